# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The tags of a job: those that users give, and those by which this collection finds its own jobs again.

IBM takes 8 tags of 86 characters (OpenAPI document, schema ``Tags``), and finds jobs by whole tags only.

| tag | says |
|---|---|
| ``ansible-job:KEY`` | the idempotency key: the job's name, or ``sha256:`` and the digest of what it is |
| ``ansible-content:DIGEST`` | what a job with a name is, so that another one under its name is noticed |
| ``ansible-session:NAME`` | the name of the session that it is in, so that the session is found from any controller |

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Iterable, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError

MOST = 8
LONGEST = 86

JOB = "ansible-job:"
CONTENT = "ansible-content:"
SESSION = "ansible-session:"
_OWN = (JOB, CONTENT, SESSION)

#: What a name may have for its tag to be short enough.
LONGEST_NAME = LONGEST - len(JOB)
LONGEST_SESSION_NAME = LONGEST - len(SESSION)


def of_users(tags: Iterable[str]) -> list[str]:
    """The tags that are not this collection's own."""
    return [tag for tag in tags if not tag.startswith(_OWN)]


def of_ours(tags: Iterable[str]) -> list[str]:
    """The tags that are this collection's own."""
    return [tag for tag in tags if tag.startswith(_OWN)]


def checked(wanted: Sequence[str], own: Sequence[str]) -> list[str]:
    """All tags of a job, the own ones first. Raises OptionError for too many, and for one that IBM would not take."""
    tags = list(dict.fromkeys(wanted))
    for tag in tags:
        if not tag or len(tag) > LONGEST:
            raise OptionError(
                f"'tags': IBM takes tags of 1 to {LONGEST} characters, not the {len(tag)} of {tag[:40]!r}"
            )
        if tag.startswith(_OWN):
            raise OptionError(f"'tags': {tag!r} begins like the tags by which this collection finds its own jobs")
    if len(tags) + len(own) > MOST:
        raise OptionError(
            f"'tags': {len(tags)} are too many: IBM takes {MOST}, {len(own)} of them needed to find the job again"
        )
    return [*own, *tags]


def checked_name(option: str, name: str, longest: int) -> str:
    """A name that becomes part of a tag. Raises OptionError."""
    if not name.strip() or len(name) > longest:
        raise OptionError(f"{option!r} must have 1 to {longest} characters: it is kept in one of IBM's tags")
    if name.startswith("sha256:"):
        raise OptionError(f"{option!r} must not begin with 'sha256:': so begin the keys of jobs without a name")
    return name
