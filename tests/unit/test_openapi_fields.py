# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every field of IBM's schemas of jobs, sessions and workloads is an option, a return value, or left out with a reason.

The document is not part of this project: OPENAPI_SPEC names it. The reasons stand in docs/jobs.md, for users.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from ansible_collections.ibm_quantum.platform.tests.unit.test_docs_agree import documentation

ROOT = Path(__file__).resolve().parents[2]
SPEC = os.environ.get("OPENAPI_SPEC")
needs_document = pytest.mark.skipif(not SPEC, reason="OPENAPI_SPEC names no document of IBM's to compare with")

#: What users know a schema as -> its name in the document, the module, and whether it is what that module sends.
SCHEMAS = {
    "JobRunParams": ("JobRunParams", "job", True),
    "JobRunParams of channel partners": ("JobRunParamsChannelPartner", "job", True),
    "JobRunParamsSampler": ("JobRunParamsSampler", "job", True),
    "JobRunParamsEstimator": ("JobRunParamsEstimator", "job", True),
    "JobResponse": ("JobResponseV3", "job", False),
    "JobResponse of job_info": ("JobResponseV3", "job_info", False),
    "Jobs": ("JobsResponse", "job_info", False),
    "CreateSessionRequest": ("CreateSessionRequestCloud", "session", True),
    "CreateSessionRequest of channel partners": ("CreateSessionRequestChannelPartner", "session", True),
    "JobSession": ("JobSession", "session", False),
    "JobSession of session_info": ("JobSession", "session_info", False),
    "Workload": ("WorkloadResponse", "workload_info", False),
    "Workloads": ("PaginationWorkloadsResponse", "workload_info", False),
}
#: Operations whose query parameters are filters of a module.
QUERIES = {"/v1/jobs": "job_info", "/v1/workloads": "workload_info", "/v1/tags": "tag_info"}
#: IBM's name -> the option, where the two differ.
RENAMED = {
    "job": {"cost": "max_execution_time"},
    "job_info": {"program": "program_id", "offset": "limit", "exclude_params": "details"},
    "workload_info": {"user": "mine", "previous": "limit", "next": "limit"},
    "tag_info": {"type": "search"},  # IBM has tags of jobs only
}


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    text = Path(str(SPEC)).read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return loaded


def properties(schema: dict[str, Any]) -> Iterator[str]:
    """The fields of a schema, those of what it is made of too."""
    if "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield from schema.get("properties", {})
    for part in schema.get("allOf", []):
        yield from properties(part)


def left_out() -> set[str]:
    """``Schema.field`` as the guide lists them."""
    text = (ROOT / "docs/jobs.md").read_text(encoding="utf-8").partition("leaves out")[2]
    rows = re.findall(r"^\| (`[^|]+`) \| [^|]{10,} \|$", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+\.\w+)`", row)}


def returned(module: str) -> set[str]:
    """The return values of a module and what they contain."""
    path = ROOT / "plugins/modules" / f"{module}.py"
    text = re.search(r'^RETURN = r"""\n(.*?)^"""', path.read_text(), re.MULTILINE | re.DOTALL)
    assert text
    values = yaml.safe_load(text[1])
    return {name for value in values.values() for name in value.get("contains", {})} | set(values)


@needs_document
@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_there_or_left_out_with_a_reason(name: str) -> None:
    schema, module, sent = SCHEMAS[name]
    fields = set(properties(document()["components"]["schemas"][schema]))
    assert fields
    known = set(documentation("module", module)["options"]) if sent else returned(module)
    renamed = RENAMED.get(module, {}) if sent else {}
    missing = {field for field in fields if renamed.get(field, field) not in known}
    assert {f"{name.partition(' of ')[0]}.{field}" for field in missing} <= left_out()


@needs_document
@pytest.mark.parametrize("path", QUERIES)
def test_every_filter_is_an_option(path: str) -> None:
    module = QUERIES[path]
    parameters = document()["paths"][path]["get"].get("parameters", [])
    names = {row["name"] for row in parameters if row.get("in") == "query"}
    assert names
    options = set(documentation("module", module)["options"])
    assert {name for name in names if RENAMED.get(module, {}).get(name, name) not in options} == set()


@needs_document
def test_nothing_is_left_out_that_is_there_or_does_not_exist() -> None:
    known = {
        f"{name.partition(' of ')[0]}.{field}"
        for name, (schema, _module, _sent) in SCHEMAS.items()
        for field in properties(document()["components"]["schemas"][schema])
    }
    assert left_out() <= known


def test_the_guide_has_reasons() -> None:
    assert len(left_out()) > 5
