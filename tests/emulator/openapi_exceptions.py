# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where IBM's OpenAPI document contradicts IBM's own data, clients and documentation; each with its reason.

The snapshots of configuration and properties are IBM's real answers, and IBM's own client reads them unchanged, so
where document and snapshot differ the document is wrong.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

_CONFIGURATION = r"/v1/backends/[^/]+/configuration"
_PROPERTIES = r"/v1/backends/[^/]+/properties"


class Contradiction(NamedTuple):
    """``path`` and ``line`` are regular expressions: the whole path from /v1, and any part of the deviation."""

    reason: str
    path: str
    line: str
    method: str = "GET"
    status: int = 200

    def covers(self, method: str, path: str, status: int, line: str) -> bool:
        """Whether a deviation is this one."""
        return (
            method == self.method
            and status == self.status
            and re.fullmatch(self.path, path) is not None
            and re.search(self.line, line) is not None
        )


EXCEPTIONS = (
    Contradiction(
        "newer snapshots are compact: they leave out u_channel_lo and hold null where older ones hold data",
        _CONFIGURATION,
        r"response (/: 'u_channel_lo' is a required property"
        r"|/(clops|clops_v|quantum_volume|discriminators|meas_levels|gates/\d+/(parameters|qasm_def)): None )",
    ),
    Contradiction(
        "lists that the document wants filled are empty in real data",
        _CONFIGURATION,
        r"response /(acquisition_latency|hamiltonian/h_latex): (\[\]|'') should be non-empty",
    ),
    Contradiction(
        "times are floats in real data, integers in the document",
        _CONFIGURATION,
        r"response /(dt|dtm|default_rep_delay): [\d.e-]+ is not of type 'integer'",
    ),
    Contradiction(
        "real names have underscores; the document's patterns take letters and digits only",
        _CONFIGURATION,
        r"response /(discriminators/\d+|gates/\d+/name): .* does not match",
    ),
    Contradiction(
        "the Hamiltonian of a large processor is longer than the document allows",
        _CONFIGURATION,
        r"response /hamiltonian/h_latex: .* is too long",
    ),
    Contradiction(
        "meas_levels and parametric_pulses are flat lists in real data, lists of lists in the document",
        _CONFIGURATION,
        r"response /(meas_levels|parametric_pulses)/\d+: .* is not of type 'array'",
    ),
    Contradiction(
        "real dates have an offset (25 characters); the document allows 20",
        _CONFIGURATION,
        r"response /online_date: .* is too long",
    ),
    Contradiction(
        "the speed of old processors is a number, the document has an object",
        _CONFIGURATION,
        r"response /clops: \d+ is not of type 'object'",
    ),
    Contradiction(
        "names of old processors have dots; the document's pattern has none",
        _CONFIGURATION,
        r"response /sample_name: .* does not match",
    ),
    Contradiction(
        "processor revisions are whole numbers in real data, of the form X.Y in the document",
        _CONFIGURATION,
        r"response /processor_type/revision: ('\d+' does not match|\d+ is not of type 'string')",
    ),
    Contradiction(
        "qubits count from 0 and scales are [re, im] in real data",
        _CONFIGURATION,
        r"response /u_channel_lo/\d+/\d+/(q: 0 is less than the minimum|scale: \[.*\] is not of type)",
    ),
    Contradiction(
        "real dates have an offset (25 characters); the document allows 20",
        _PROPERTIES,
        r"response /(last_update_date|.*/date): .* is too long",
    ),
    Contradiction(
        "qubits are numbers and general holds objects in real data, text in the document",
        _PROPERTIES,
        r"response /(gates/\d+/qubits/\d+: \d+ is not of type 'string'|general/\d+: \{)",
    ),
    Contradiction(
        "the field's own description says: null or an integer; null removes the limit",
        r"/v1/instances/configuration",
        r"request /instance_limit: None ",
        method="PUT",
        status=204,
    ),
    Contradiction(
        "results are text: IBM's Rust client reads nothing else",
        r"/v1/jobs/[^/]+/results",
        r"response MediaTypeNotFound: .* text/plain",
    ),
    Contradiction(
        "the logs of a job that logged nothing are an empty text",
        r"/v1/jobs/[^/]+/logs",
        r"response MissingData",
    ),
)

#: The params of the executor's schemas that are newer than the document.
_NEWER_EXECUTOR = {
    "type": "object",
    "required": ["schema_version", "quantum_program"],
    "properties": {"schema_version": {"type": "string", "pattern": r"^v[1-9]\d*\.\d+$"}},
}


def corrected(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what it has against all that IBM's own client submits.

    - Alternatives are anyOf: as oneOf they exclude most, as the params of most sampler jobs fit the estimator's schema
      too, and bodies fit with and without remote storage.
    - Levels of logging may be capitals.
    - Data of the executor may be null, which the document means as well: without a type nullable says nothing.
    - The executor has schemas since v1.0.
    """
    body = document.get("paths", {}).get("/v1/jobs", {}).get("post", {}).get("requestBody", {})
    schemas = document.get("components", {}).get("schemas", {})

    def relax(node: Any) -> None:
        if isinstance(node, dict):
            if "oneOf" in node:
                node["anyOf"] = node.pop("oneOf")
            for value in node.values():
                relax(value)
        elif isinstance(node, list):
            for value in node:
                relax(value)

    for node in (body, schemas.get("JobRunParams"), schemas.get("JobRunParamsChannelPartner")):
        relax(node)
    if "JobRunParams" in schemas:
        levels = schemas["JobRunParamsBase"]["properties"]["log_level"]["enum"]
        levels += [level.upper() for level in levels]
        _base, own = schemas["JobRunParams"]["allOf"]
        own["properties"]["params"]["anyOf"].append(_NEWER_EXECUTOR)
        schemas["DataTree"]["anyOf"].append({"type": "boolean", "nullable": True})
    return document


#: Statuses that IBM documents elsewhere (registry of error codes, guides) but hardly any operation of the document
#: lists; an answer with one of them must still have the document's error shape.
UNLISTED_STATUSES = (400, 401, 403, 404, 405, 409, 429, 500, 503)
