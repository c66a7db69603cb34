# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Environment variables for what reads none of the formats of ``_envfile``: csh and fish, and programs that are given
their variables by the files of others (systemd's drop-ins, cron, Jupyter). Pure text in, text out; standard library
only.

Sources: tcsh(1), "Lexical structure" and "History substitution"; fish's language reference, "Quotes" and "Special
variables"; systemd.unit(5) and systemd.exec(5); crontab(5); Jupyter's client documentation, "Kernel specs"; and the
parsers behind these pages where the pages are silent.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import json
import re
from typing import Iterable, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import (
    RUN,
    FormatError,
    Variable,
    loader,
)

#: A csh that is not tcsh reads a word, quotes and all, into a buffer of 8 KiB, and ends with an error at a longer one.
_CSH_WORD = 8000

#: cron reads an assignment into a buffer of 1000 bytes, and passes over a longer one.
_CRON_LINE = 990

#: Variables that fish makes itself: it refuses to set them, and reads on.
_FISH_OWN = frozenset(
    ["_", "FISH_VERSION", "PWD", "SHLVL", "fish_kill_signal", "fish_killring", "fish_pid", "fish_private_mode"]
    + ["history", "hostname", "pipestatus", "status", "status_generation", "umask", "version"]
)

_NOT_LOGIN = "leave login out of its scopes"

_CREDENTIAL = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9_.-]{1,255}\Z")


def csh(variables: Iterable[Variable]) -> str:
    """Lines ``setenv NAME 'value'`` for csh and tcsh. Raises :class:`FormatError`, naming the variable.

    Single quotes there do not keep ``!`` from being history, a newline needs a backslash even within them, and whether
    a backslash quotes anything else within them is a setting. So ``!``, ``\\`` and ``'`` are written outside.
    """
    return "".join(_csh_line(v) for v in variables)


def _csh_line(variable: Variable) -> str:
    name, word = variable.name, _csh_quoted(variable.value)
    if name == "LS_COLORS":
        raise FormatError(f"{name}: csh reads it as colours and ends at one that it does not know; {_NOT_LOGIN}")
    if len(word.encode("utf-8")) > _CSH_WORD:
        raise FormatError(f"{name}: the value is too long: csh holds words of {_CSH_WORD} bytes; {_NOT_LOGIN}")
    return f"setenv {name} {word}\n"


def _csh_quoted(text: str) -> str:
    return "'" + re.sub(r"['!\\]", r"'\\\g<0>'", text).replace("\n", "\\\n") + "'"


def csh_loader(files: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Text for csh that reads each file of :func:`csh`, if this user may. The names are as in ``_envfile.loader``."""
    return "".join("if ( -r {path} ) source {path}\n".format(path=_csh_quoted(path)) for path, names in files)


def fish(variables: Iterable[Variable]) -> str:
    """Lines ``set -gx NAME 'value'`` for fish. Raises :class:`FormatError`, naming the variable.

    fish splits a variable whose name ends in PATH at colons, and joins it again for the programs that it starts.
    """
    return "".join(_fish_line(v) for v in variables)


def _fish_line(variable: Variable) -> str:
    name, value = variable.name, variable.value
    if name in _FISH_OWN:
        raise FormatError(f"{name}: fish keeps a variable of this name for itself; {_NOT_LOGIN}")
    if name in ("PATH", "CDPATH") and "" in value.split(":"):
        raise FormatError(f"{name}: the value has an empty part, for which fish writes a dot: write the dot")
    return f"set -gx {name} {_fish_quoted(value)}\n"


def _fish_quoted(text: str) -> str:
    return "'" + re.sub(r"['\\]", r"\\\g<0>", text) + "'"


def fish_loader(files: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Text for fish that reads each file of :func:`fish`, if this user may. The names are as in :func:`csh_loader`."""
    return "".join(
        "if test -r {path}\n    source {path}\nend\n".format(path=_fish_quoted(path)) for path, names in files
    )


def runner(files: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A script that runs its arguments, in its own place, with the variables of those files that this user may read.

    As ``SHELL=`` of a cron file it is called with ``-c`` and is then what ``/bin/sh`` would be.
    """
    return "#!/bin/sh\n" + loader(files) + RUN


def drop_in(environment_files: Iterable[str], credentials: Iterable[tuple[str, str]], encrypted: bool = False) -> str:
    """A drop-in for a unit of systemd. ``credentials``: name and file; ``encrypted``: by ``systemd-creds``.

    Raises :class:`FormatError` for a path or a name that a unit cannot hold.
    """
    option = "LoadCredentialEncrypted" if encrypted else "LoadCredential"
    lines = ["[Service]"]
    # Of all paths only those of environment files are patterns.
    lines += ["EnvironmentFile=" + re.sub(r"[\\*?[\]]", r"\\\g<0>", _unit_path(path)) for path in environment_files]
    for name, path in credentials:
        if not _CREDENTIAL.match(name):
            raise FormatError(f"{name!r} is no name of a credential: letters, digits, '_', '-' and '.' only")
        if re.search(r"[\s\\]", path):  # systemd 254 to 257 hands it on to its executor unquoted
            raise FormatError(f"{path!r} cannot be a credential's file: a path without blanks and \\ only")
        lines.append(f"{option}={name}:{_unit_path(path)}")
    return "\n".join(lines) + "\n"


def _unit_path(path: str) -> str:
    """A path in a unit goes to the end of its line, unquoted; ``%`` begins a specifier."""
    if not path.startswith("/") or path != path.strip() or "\n" in path or path.endswith("\\"):
        raise FormatError(f"{path!r} cannot be in a unit: absolute paths without blanks or \\ at their end only")
    return path.replace("%", "%%")


def kernel(display_name: str, python: str, runner: str) -> str:
    """A ``kernel.json`` for Jupyter that starts Python by the runner, and so has no values in it."""
    argv = [runner, python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": display_name, "language": "python", "metadata": {"debugger": True}}
    return json.dumps(spec, indent=1, sort_keys=True) + "\n"


def crontab(runner: str) -> str:
    """The line of a cron file after which its jobs are run by the runner. Raises :class:`FormatError`."""
    quote = "" if re.match(r"[^\s'\"]+\Z", runner) else '"' if "'" in runner else "'"
    if not runner.startswith("/") or "\n" in runner or (quote and quote in runner):
        raise FormatError(f"{runner!r} cannot be in a cron file: an absolute path without both kinds of quotes only")
    line = f"SHELL={quote}{runner}{quote}\n"
    if len(line.encode("utf-8")) > _CRON_LINE:
        raise FormatError(f"{runner!r} is too long for a cron file")
    return line
