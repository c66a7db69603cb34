# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that jobs may run: what a submission must have, and how many shots it asks for. Standard library only.

The whole of the params is checked where they run: against ibm-quantum-schemas in the worker, by the built-in simulator
else. A job with params that pass here and not there ends as Failed, which is what IBM does as well.
"""

from __future__ import annotations

import math
from typing import Any

#: Program -> the keys of its params (IBM's schema takes no others). Executor's are in its own, versioned schema.
_KEYS = {
    "sampler": {"pubs", "options", "shots", "support_qiskit", "version"},
    "estimator": {"pubs", "options", "precision", "resilience_level", "support_qiskit", "version"},
    "executor": {"schema_version", "quantum_program", "options"},
}
#: IBM has them; the emulator does not.
REFUSED = ("noise-learner", "calibrate", "circuit-runner", "qasm3-runner")

_DEFAULT_SHOTS = 4096
_DEFAULT_PRECISION = 0.015625


class BadParams(ValueError):
    """The params of a submission are not what the program takes; the text says what is wrong."""


def known() -> tuple[str, ...]:
    return tuple(_KEYS)


def check(program: str, params: dict[str, Any]) -> None:
    """The outer shape of a submission's params. Raises :class:`BadParams`."""
    unknown = sorted(set(params) - _KEYS[program])
    if unknown:
        raise BadParams(f"params: unknown {', '.join(unknown)}; {program} takes {', '.join(sorted(_KEYS[program]))}")
    if not isinstance(params.get("options", {}), dict):
        raise BadParams("params.options must be an object")
    if program == "executor":
        if not isinstance(params.get("schema_version"), str) or not isinstance(params.get("quantum_program"), dict):
            raise BadParams("params needs schema_version, text, and quantum_program, an object")
        return
    pubs = params.get("pubs")
    if not isinstance(pubs, list) or not pubs:
        raise BadParams("params.pubs must be a list of at least one pub")
    if params.get("version", 2) != 2:
        raise BadParams("params.version must be 2")
    if not isinstance(params.get("support_qiskit", False), bool):
        raise BadParams("params.support_qiskit must be true or false")
    for number, pub in enumerate(pubs):
        parts = pub if isinstance(pub, list) else [pub]
        fewest, most = (1, 3) if program == "sampler" else (2, 4)
        if not fewest <= len(parts) <= most:
            raise BadParams(f"params.pubs[{number}] must have {fewest} to {most} elements, not {len(parts)}")
        if not isinstance(parts[0], (str, dict)):
            raise BadParams(f"params.pubs[{number}][0] must be a circuit: OpenQASM 3 text or the client's QPY")
    for name in ("shots", "precision"):
        value = params.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0):
            raise BadParams(f"params.{name} must be a number above 0")


def defaults(params: dict[str, Any]) -> tuple[int, float]:
    """Shots and precision of pubs that name none."""
    options = params.get("options") or {}
    shots = params.get("shots") or options.get("default_shots") or _DEFAULT_SHOTS
    precision = params.get("precision") or options.get("default_precision") or _DEFAULT_PRECISION
    if not params.get("precision") and options.get("default_shots"):
        precision = 1 / math.sqrt(options["default_shots"])
    return shots, precision


def shots(program: str, params: dict[str, Any]) -> int:
    """How many shots a job asks for, roughly and always the same: what its use of the QPU is reckoned from."""
    try:
        if program == "executor":
            work = params["quantum_program"]
            return int(work["shots"]) * sum(math.prod(item.get("shape") or [1]) for item in work["items"])
        total, (default, precision) = 0, defaults(params)
        for pub in params["pubs"]:
            parts = pub if isinstance(pub, list) else [pub]
            if program == "sampler":
                total += int(parts[2] if len(parts) > 2 and parts[2] else default)
            else:
                total += math.ceil(1 / float(parts[3] if len(parts) > 3 and parts[3] else precision) ** 2)
        return total
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return _DEFAULT_SHOTS  # bad params: where they run they will fail
