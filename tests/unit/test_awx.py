# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX accepts the credential type in ``docs/awx``, and what it injects is what the modules read.

The rules are those of AWX: "Custom Credential Types" of its user guide, and the schemas that its API checks
``/api/v2/credential_types/`` with.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible.module_utils.basic import env_fallback
from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _endpoints
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import (
    CONNECTION_SPEC,
    credential,
    settings,
)

FILE = Path(__file__).resolve().parents[2] / "docs" / "awx" / "credential_type.json"
DEFINITION: dict[str, Any] = json.loads(FILE.read_text())

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FIELD = {
    **dict.fromkeys(("id", "label", "help_text"), str),
    **dict.fromkeys(("multiline", "secret", "ask_at_runtime"), bool),
    "type": str,
    "format": str,
    "choices": list,
    "default": object,
}
#: Variables that AWX sets for its jobs itself.
_RESERVED = frozenset(
    (
        *("VIRTUAL_ENV", "PATH", "PYTHONPATH", "JOB_ID", "INVENTORY_ID", "INVENTORY_SOURCE_ID", "INVENTORY_UPDATE_ID"),
        *("AD_HOC_COMMAND_ID", "REST_API_URL", "REST_API_TOKEN", "MAX_EVENT_RES", "CALLBACK_QUEUE", "CACHE"),
        *("CALLBACK_CONNECTION", "JOB_CALLBACK_DEBUG", "INVENTORY_HOSTVARS", "AWX_HOST", "PROJECT_REVISION"),
    )
)


def refused(definition: dict[str, Any]) -> list[str]:
    """Why AWX would refuse a credential type; empty if it would not."""
    wrong = [f"unknown: {name}" for name in set(definition) - {"name", "description", "kind", "inputs", "injectors"}]
    if not definition.get("name") or len(definition["name"]) > 512:
        wrong.append("name")
    if definition.get("kind") not in ("cloud", "net"):
        wrong.append("kind")
    inputs, injectors = definition["inputs"], definition["injectors"]
    wrong += [f"unknown: inputs.{name}" for name in set(inputs) - {"fields", "required"}]
    ids = [field.get("id") for field in inputs.get("fields", [])]
    wrong += ["ids are not unique"] if len(set(ids)) < len(ids) else []
    wrong += [f"required: {name}" for name in inputs.get("required", []) if name not in ids]
    for field in inputs.get("fields", []):
        wrong += _refused_field(field)
    wrong += [f"unknown: injectors.{name}" for name in set(injectors) - {"env", "extra_vars", "file"}]
    for kind, templates in injectors.items():
        for name, template in templates.items():
            wrong += _refused_injector(kind, name, template, ids)
    return wrong


def _refused_field(field: dict[str, Any]) -> list[str]:
    name = str(field.get("id", ""))
    wrong = [f"field {name} lacks {key}" for key in ("id", "label") if key not in field]
    wrong += [f"field {name}: {key}" for key, value in field.items() if not isinstance(value, _FIELD.get(key, ()))]
    kind = field.get("type", "string")
    if not _NAME.match(name) or name == "tower":
        wrong.append(f"field {name}: not a name")
    if kind not in ("string", "boolean"):
        wrong.append(f"field {name}: type")
    if kind != "string" and set(field) & {"choices", "multiline", "format", "secret"}:
        wrong.append(f"field {name}: only of strings")
    if field.get("format", "url") not in ("url", "ssh_private_key"):
        wrong.append(f"field {name}: format")
    return wrong


def _refused_injector(kind: str, name: str, template: Any, ids: list[str]) -> list[str]:
    if not isinstance(template, str) or (kind == "env" and not template.isascii()):
        return [f"injector {name}: no text"]
    if kind == "env" and (not _NAME.match(name) or name.startswith("ANSIBLE_") or name in _RESERVED):
        return [f"injector {name}: not allowed"]
    try:
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        environment.from_string(template).render(dict.fromkeys(ids, "EXAMPLE"))
    except TemplateError as error:
        return [f"injector {name}: {error}"]
    return []


def injected(**values: str) -> dict[str, str]:
    """The environment of a job with a credential of the type, as AWX makes it: what is left empty is undefined."""
    environment = ImmutableSandboxedEnvironment()
    return {
        name: environment.from_string(template).render(values)
        for name, template in DEFINITION["injectors"]["env"].items()
    }


def test_awx_accepts_it() -> None:
    assert refused(DEFINITION) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(managed=True),
        lambda d: d.update(name=""),
        lambda d: d.update(kind="ssh"),
        lambda d: d["inputs"].update(dependencies={}),
        lambda d: d["inputs"]["required"].append("other"),
        lambda d: d["inputs"]["fields"].append(d["inputs"]["fields"][0]),
        lambda d: d["inputs"]["fields"][0].pop("label"),
        lambda d: d["inputs"]["fields"][0].update(help="text"),
        lambda d: d["inputs"]["fields"][0].update(type="text"),
        lambda d: d["inputs"]["fields"][0].update(type="boolean"),
        lambda d: d["inputs"]["fields"][0].update(secret="yes"),
        lambda d: d["inputs"]["fields"][0].update(id="api-key"),
        lambda d: d["inputs"]["fields"][0].update(id="tower"),
        lambda d: d["inputs"]["fields"][2].update(format="uri"),
        lambda d: d["injectors"].update(environment={}),
        lambda d: d["injectors"]["env"].update(X="{{ apikey }}"),
        lambda d: d["injectors"]["env"].update(X="{{ api_key"),
        lambda d: d["injectors"]["env"].update(X="schlüssel"),
        lambda d: d["injectors"]["env"].update(X=1),
        lambda d: d["injectors"]["env"].update(ANSIBLE_CONFIG="x"),
        lambda d: d["injectors"]["env"].update(PATH="x"),
        lambda d: d["injectors"]["env"].update({"A-B": "x"}),
    ],
)
def test_the_rules_would_refuse(change: Callable[[dict[str, Any]], Any]) -> None:
    wrong = copy.deepcopy(DEFINITION)
    change(wrong)
    assert refused(wrong)


def test_the_key_is_secret_and_nothing_is_an_extra_variable() -> None:
    """Extra variables are known to every template of a job; AWX hides secret fields only."""
    assert set(DEFINITION["injectors"]) == {"env"}
    assert [field["id"] for field in DEFINITION["inputs"]["fields"] if field.get("secret")] == ["api_key"]
    assert DEFINITION["inputs"]["required"] == ["api_key"]


def test_every_field_is_injected_as_it_is() -> None:
    fields = [field["id"] for field in DEFINITION["inputs"]["fields"]]
    environment = ImmutableSandboxedEnvironment()
    used = [meta.find_undeclared_variables(environment.parse(t)) for t in DEFINITION["injectors"]["env"].values()]
    assert sorted(name for names in used for name in names) == sorted(fields)
    assert set(injected(**{name: f"<{name}> & {name}" for name in fields}).values()) == {
        f"<{name}> & {name}" for name in fields
    }


def _parameters(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a task without options has, in an environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    params: dict[str, Any] = {}
    for option, spec in CONNECTION_SPEC.items():
        params[option] = spec.get("default")
        _fallback, *names = spec.get("fallback", (env_fallback, []))
        values = [environment[name] for name in names[0] if name in environment]
        params[option] = values[0] if values else params[option]
    return params


def test_the_modules_read_what_is_injected(monkeypatch: pytest.MonkeyPatch) -> None:
    crn = f"crn:v1:bluemix:public:quantum-computing:eu-de:a/{'1' * 32}:instance::"
    values = {"iam_url": "https://iam.example.org", "runtime_url": "https://runtime.example.org/api"}
    environment = injected(api_key="the-key", instance=crn, **values)
    params = _parameters(environment, monkeypatch)
    assert {name: params[name] for name in ("api_key", "instance", *values)} == {
        "api_key": "the-key",
        "instance": crn,
        **values,
    }
    assert credential(params) == ("api_key", "the-key")
    made = settings(params)
    assert (made.iam_url, made.runtime_url, str(made.instance)) == (*values.values(), crn)


def test_what_is_left_empty_is_ibms(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = injected(api_key="the-key")
    assert set(environment.values()) == {"the-key", ""}
    params = _parameters(environment, monkeypatch)
    made = settings(params)
    assert credential(params) == ("api_key", "the-key")
    assert (made.iam_url, made.runtime_url, made.instance) == (_endpoints.IAM_URL, None, None)
