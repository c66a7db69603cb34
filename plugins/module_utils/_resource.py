# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Desired against present state: find, compare, plan. What is done about it is the caller's.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError


def covers(present: Any, desired: Any) -> bool:
    """Whether what is present has all that is desired. Mappings may hold more; lists and scalars must be equal."""
    if isinstance(desired, Mapping) and isinstance(present, Mapping):
        return all(key in present and covers(present[key], value) for key, value in desired.items())
    if isinstance(desired, (list, tuple)) and isinstance(present, (list, tuple)):
        return len(present) == len(desired) and all(map(covers, present, desired))
    # IBM writes some numbers as strings ("instance_limit_seconds": "600"); True is not 1 though
    if isinstance(desired, bool) or isinstance(present, bool) or desired is None or present is None:
        return present is desired
    return present == desired or str(present) == str(desired)


def find_one(items: Iterable[Any], match: Mapping[str, Any]) -> dict[str, Any] | None:
    """The item that has all fields of ``match``, or None. IBM's names are not unique: several are an OptionError."""
    found = [item for item in items if isinstance(item, dict) and covers(item, match)]
    if len(found) > 1:
        ids = ", ".join(str(item.get("id") or item.get("crn") or item.get("name")) for item in found)
        raise OptionError(
            f"{len(found)} items match {dict(match)}: {ids}. Add a field to 'match' that tells them apart"
        )
    return found[0] if found else None


def part(present: Any, desired: Any) -> Any:
    """What is present of the desired fields: the "before" of a diff, without the noise of all other fields."""
    if isinstance(desired, Mapping) and isinstance(present, Mapping):
        return {key: part(present[key], value) for key, value in desired.items() if key in present}
    return present


def diff(before: Any, after: Any, label: str) -> dict[str, Any]:
    """A result's ``diff``."""
    return {
        "before": before if before is not None else {},
        "after": after if after is not None else {},
        "before_header": label,
        "after_header": label,
    }
