# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Choosing among backends. A row is what ``GET /v1/backends`` lists: see ``_runtime.Runtime.backends``.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Iterable

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime


def matching(
    rows: list[dict[str, Any]],
    *,
    name: str | None = None,
    operational: bool | None = None,
    simulator: bool | None = None,
    min_qubits: int | None = None,
    least_busy: bool = False,
) -> list[dict[str, Any]]:
    """The rows that fit. Raises OptionError for a name that is not there, and where nothing can be least busy."""
    if name is not None and name not in [row["name"] for row in rows]:
        names = ", ".join(sorted(row["name"] for row in rows)) or "none"
        raise OptionError(f"'name': the instance has no backend {name!r}, it has: {names}")
    fitting = [
        row
        for row in rows
        if name in (None, row["name"])
        and operational in (None, is_operational(row))
        and simulator in (None, bool(row.get("is_simulator")))
        and (min_qubits is None or (row.get("qubits") or 0) >= min_qubits)
    ]
    if not least_busy:
        return fitting
    ready = [row for row in fitting if is_operational(row)]
    if not ready:
        raise OptionError(
            f"'least_busy': none of the {len(rows)} backends fits and is online; relax the other options or try later"
        )
    return [min(ready, key=lambda row: row.get("queue_length") or 0)]


def is_operational(row: dict[str, Any]) -> bool:
    """Whether a backend takes jobs now."""
    return (row.get("status") or {}).get("name") == "online"


def with_details(
    runtime: Runtime, row: dict[str, Any], details: Iterable[str], calibration_id: str | None
) -> dict[str, Any]:
    """A row with its details under their names; the status under ``state``, as the row has a ``status`` of its own."""
    found = {detail: runtime.backend_detail(row["name"], detail, calibration_id) for detail in details}
    if "status" in found:
        found["state"] = found.pop("status")
    return {**row, **found}
