# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for Cloud Resource Names; parse_crn.yml documents them."""

from __future__ import annotations

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ibm_quantum.platform.plugins.module_utils._crn import InvalidCrn, parse


def parse_crn(value: Any) -> dict[str, str]:
    """The parts of a CRN by name, with the account ID. Raises AnsibleFilterError."""
    if not isinstance(value, str):
        raise AnsibleFilterError(f"parse_crn wants a CRN as text, not {type(value).__name__}")
    try:
        crn = parse(value)
    except InvalidCrn as exc:
        raise AnsibleFilterError(f"parse_crn: {exc}") from None
    return {**crn._asdict(), "account_id": crn.account_id}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"parse_crn": parse_crn}
