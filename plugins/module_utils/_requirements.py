# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What users ask pip for, checked before it is started. Standard library only: hosts import it.

The grammar is that of the packaging guide's "Dependency specifiers", without URLs, since those could carry secrets.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import re

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError

_ONE = r"(?:===?|~=|!=|<=?|>=?)\s*[A-Za-z0-9][A-Za-z0-9.*+!_-]*"
_SPECIFIER = re.compile(rf"{_ONE}(?:\s*,\s*{_ONE})*")
_VERSION = re.compile(r"v?\d[A-Za-z0-9.*+!_-]*")
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\s*\[[A-Za-z0-9._,\s-]+\])?"
_PACKAGE = re.compile(rf"({_NAME})\s*({_SPECIFIER.pattern})?")
_PIN = re.compile(rf"({_NAME})\s*==\s*[A-Za-z0-9][A-Za-z0-9.+!_-]*\s*(?:;.*)?")


def canonical(name: str) -> str:
    """A package's name in the one spelling that the packaging guide defines."""
    return re.sub(r"[-_.]+", "-", name).lower()


def versioned(option: str, package: str, version: str | None) -> str:
    """The requirement for a package of this version (``2.1.0``) or in this range (``>=2,<3``).

    Raises :class:`OptionError`.
    """
    text = (version or "").strip()
    if not text:
        return package
    if _VERSION.fullmatch(text):
        return f"{package}=={text}"
    if _SPECIFIER.fullmatch(text):
        return package + re.sub(r"\s+", "", text)
    raise OptionError(f"{option}: {text!r} is neither a version, such as 2.1.0, nor a range, such as >=2,<3")


def package(text: str) -> str:
    """One of ``extra_packages`` in one spelling. Raises :class:`OptionError`."""
    if not _PACKAGE.fullmatch(text.strip()):
        raise OptionError(
            f"extra_packages: {text!r} is no name of a package with an optional range, such as ipykernel or "
            "qiskit-aer>=0.17; for an archive name its folder with find_links"
        )
    return re.sub(r"\s+", "", text)


def pinned(text: str) -> list[str]:
    """The requirements of a locked requirements file, as pip-compile writes it, without their hashes.

    Raises :class:`OptionError` for anything in it that does not pin a version.
    """
    found = []
    joined = re.sub(r"\\\n", " ", text.replace("\r\n", "\n"))
    for line in joined.splitlines():
        bare = re.sub(r"\s+--hash[= ]\S+", "", re.sub(r"(^|\s)#.*", "", line)).strip()
        if not bare:
            continue
        if not _PIN.fullmatch(bare):
            raise OptionError(
                f"requirements: {bare!r} does not pin a version: every line is NAME==VERSION, with any hashes, as "
                "pip-compile --generate-hashes or pip freeze write it; places to install from are options of their own"
            )
        found.append(bare)
    if not found:
        raise OptionError("requirements: no package in it: give the text of the file, not its name")
    return found
