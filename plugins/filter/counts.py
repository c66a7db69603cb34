# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that counts the shots of a result; counts.yml documents it."""

from __future__ import annotations

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ibm_quantum.platform.plugins.module_utils._results import counts_of


def counts(value: Any, pub: Any = 0, register: str | None = None) -> dict[str, int]:
    """Bit string -> shots, those that came most often first. Raises AnsibleFilterError."""
    try:
        found = counts_of(value, _number(pub), register)
    except ValueError as exc:
        raise AnsibleFilterError(f"counts: {exc}") from None
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _number(pub: Any) -> int:
    """Nothing converts a filter's arguments, and variables of an inventory or a command line are text."""
    try:
        return int(pub)
    except (TypeError, ValueError):
        raise ValueError(f"'pub' must be a number, not {pub!r}") from None


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"counts": counts}
