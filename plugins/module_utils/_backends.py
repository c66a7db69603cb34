# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Choosing among backends. A row is what ``GET /v1/backends`` lists: see ``_runtime.Runtime.backends``.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime

Row = Dict[str, Any]

#: The options that say what a backend must be like, as an argument spec; documented in the fragment backend_choice.
CHOICE_SPEC: dict[str, dict[str, Any]] = {
    "min_qubits": {"type": "int"},
    "processor_family": {"type": "str"},
    "max_queue_length": {"type": "int"},
    "simulator": {"type": "bool"},
}

_ONLINE = "status=online"


class _Constraint(NamedTuple):
    """What a backend must be like; ``label`` is the option with its value."""

    label: str
    fits: Callable[[Row], bool]


def choose(runtime: Runtime, params: Mapping[str, Any], names: Sequence[str] = ()) -> Row:
    """The row of the least busy backend that is online and fits the options of :data:`CHOICE_SPEC` in ``params``.

    ``names`` are those to choose from, all where there are none. Of equal queues the backend with the most qubits is
    taken, then the first by name. Raises ApiError, and OptionError where no backend fits: it says how many each
    constraint ruled out, and which to relax.
    """
    rows = runtime.backends()
    for name in names:
        _refuse_unknown(name, rows)
    candidates = [row for row in rows if row["name"] in names] if names else rows
    return _least_busy(candidates, _constraints(**{option: params[option] for option in CHOICE_SPEC}))


def matching(
    rows: list[Row],
    *,
    name: str | None = None,
    operational: bool | None = None,
    simulator: bool | None = None,
    min_qubits: int | None = None,
    processor_family: str | None = None,
    max_queue_length: int | None = None,
    least_busy: bool = False,
) -> list[Row]:
    """The rows that fit. Raises OptionError for a name that is not there, and where nothing can be least busy."""
    if name is not None:
        _refuse_unknown(name, rows, "'name': ")
    constraints = _constraints(
        name=name,
        operational=operational,
        simulator=simulator,
        min_qubits=min_qubits,
        processor_family=processor_family,
        max_queue_length=max_queue_length,
    )
    if least_busy:
        return [_least_busy(rows, constraints, "'least_busy': ")]
    return [row for row in rows if _fits(row, constraints)]


def is_operational(row: Row) -> bool:
    """Whether a backend takes jobs now."""
    return (row.get("status") or {}).get("name") == "online"


def with_details(runtime: Runtime, row: Row, details: Iterable[str], calibration_id: str | None) -> Row:
    """A row with its details under their names; the status under ``state``, as the row has a ``status`` of its own."""
    found = {detail: runtime.backend_detail(row["name"], detail, calibration_id) for detail in details}
    if "status" in found:
        found["state"] = found.pop("status")
    return {**row, **found}


def _refuse_unknown(name: str, rows: list[Row], option: str = "") -> None:
    if name not in [row["name"] for row in rows]:
        names = ", ".join(sorted(row["name"] for row in rows)) or "none"
        raise OptionError(f"{option}the instance has no backend {name!r}, it has: {names}")


def _constraints(**wanted: Any) -> list[_Constraint]:
    """The constraints of those options that are set, in their order."""
    tests: dict[str, Callable[[Row], bool]] = {
        "name": lambda row: row["name"] == wanted["name"],
        "operational": lambda row: is_operational(row) is wanted["operational"],
        "simulator": lambda row: bool(row.get("is_simulator")) is wanted["simulator"],
        "min_qubits": lambda row: _qubits(row) >= wanted["min_qubits"],
        "processor_family": lambda row: _family(row).lower() == wanted["processor_family"].strip().lower(),
        "max_queue_length": lambda row: _queue(row) <= wanted["max_queue_length"],
    }
    return [
        _Constraint(f"{option}={str(value).lower() if isinstance(value, bool) else value}", tests[option])
        for option, value in wanted.items()
        if value is not None
    ]


def _fits(row: Row, constraints: Iterable[_Constraint]) -> bool:
    return all(constraint.fits(row) for constraint in constraints)


def _least_busy(rows: list[Row], constraints: list[_Constraint], option: str = "") -> Row:
    every = [*constraints, _Constraint(_ONLINE, is_operational)]
    ready = [row for row in rows if _fits(row, every)]
    if not ready:
        raise OptionError(f"{option}none of the {len(rows)} backends fits and is online: {_why_not(rows, every)}")
    return min(ready, key=_rank)


def _rank(row: Row) -> tuple[int, int, str]:
    return _queue(row), -_qubits(row), row["name"]


def _why_not(rows: list[Row], every: list[_Constraint]) -> str:
    """How many backends fail each constraint, and which of them would, alone, make way for one."""
    if not rows:
        return "the instance has none"
    failures, remedies = [], []
    for constraint in every:
        count = sum(not constraint.fits(row) for row in rows)
        if count:
            failures.append(f"{constraint.label} rules out {count}")
        kept_out = [row for row in rows if _fits(row, [other for other in every if other is not constraint])]
        if kept_out:
            best = min(kept_out, key=_rank)
            remedies.append(f"{_remedy(constraint)} for {best['name']} ({_described(best)})")
    remedy = ", or ".join(remedies) or "relax several, as each backend fails more than one"
    return f"{', '.join(failures)}; {remedy}"


def _remedy(constraint: _Constraint) -> str:
    return "wait" if constraint.label == _ONLINE else f"relax {constraint.label}"


def _described(row: Row) -> str:
    status = (row.get("status") or {}).get("name")
    return f"{_family(row) or 'unknown family'}, {_qubits(row)} qubits, queue of {_queue(row)}, {status}"


def _qubits(row: Row) -> int:
    return row.get("qubits") or 0


def _queue(row: Row) -> int:
    return row.get("queue_length") or 0


def _family(row: Row) -> str:
    return str((row.get("processor_type") or {}).get("family") or "")
