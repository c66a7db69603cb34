# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written down twice says the same: documentation and specs, routing and files, versions."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

from ansible_collections.ibm_quantum.platform.plugins.action.api import ActionModule
from ansible_collections.ibm_quantum.platform.plugins.doc_fragments.api import ModuleDocFragment
from ansible_collections.ibm_quantum.platform.plugins.doc_fragments.backend_choice import ModuleDocFragment as Choice
from ansible_collections.ibm_quantum.platform.plugins.doc_fragments.endpoints import ModuleDocFragment as Endpoints
from ansible_collections.ibm_quantum.platform.plugins.module_utils import _backends, _endpoints, _http, _options

COLLECTION = "ibm_quantum.platform"
PACKAGE = f"ansible_collections.{COLLECTION}.plugins"
ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
API_MODULES = [
    name for name in MODULES if "_options import argument_spec" in (ROOT / "plugins/modules" / f"{name}.py").read_text()
]
RUNTIME = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())


def documentation(kind, name):
    """A plugin's documentation with its fragments."""
    path = ROOT / "plugins" / ("modules" if kind == "module" else kind) / f"{name}.py"
    found = get_docstring(str(path), fragment_loader, is_module=True, collection_name=COLLECTION, plugin_type=kind)[0]
    assert found, f"{path} has no documentation"
    return found


def from_documentation(options):
    """Documented options, reduced to what a spec says too."""
    return {
        name: {
            "type": option.get("type", "str"),
            "elements": option.get("elements"),
            "required": option.get("required", False),
            "default": option.get("default"),
            "choices": sorted(option.get("choices") or ()),
            "aliases": sorted(option.get("aliases") or ()),
            "suboptions": from_documentation(option.get("suboptions") or {}),
        }
        for name, option in options.items()
    }


def from_spec(spec):
    return {
        name: {
            "type": option.get("type", "str"),
            "elements": option.get("elements"),
            "required": option.get("required", False),
            "default": option.get("default"),
            "choices": sorted(option.get("choices") or ()),
            "aliases": sorted(option.get("aliases") or ()),
            "suboptions": from_spec(option.get("options") or {}),
        }
        for name, option in spec.items()
    }


def test_there_are_api_modules():
    assert {"api", "backend_info", "iam_token", "usage_info"} <= set(API_MODULES)
    assert "environment" not in API_MODULES


@pytest.mark.parametrize("name", MODULES)
def test_a_modules_documentation_agrees_with_its_spec(name):
    module = import_module(f"{PACKAGE}.modules.{name}")
    documented, declared = from_documentation(documentation("module", name)["options"]), from_spec(module.ARGUMENT_SPEC)
    assert documented == declared


def test_the_fragment_agrees_with_the_shared_spec():
    fragment = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert from_documentation(fragment) == from_spec(_options.CONNECTION_SPEC)
    own = yaml.safe_load(ModuleDocFragment.MODULE)["options"]
    assert from_documentation({**fragment, **own}) == from_spec(_options.argument_spec())
    assert list(fragment) == list(_options.CONNECTION_SPEC)  # in one order, for who compares them by eye


@pytest.mark.parametrize("option", _options.CONNECTION_SPEC)
def test_the_variables_of_an_option_are_documented(option):
    text = str(yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"][option]["description"])
    _fallback, *names = _options.CONNECTION_SPEC[option].get("fallback", (None, []))
    assert all(f"E({name})" in text for name in (names[0] if names else []))


@pytest.mark.parametrize("name", API_MODULES)
def test_every_api_module_is_routed_to_the_action_plugin(name):
    assert name in RUNTIME["action_groups"]["all"]
    assert import_module(f"{PACKAGE}.action.{name}").ActionModule is ActionModule
    if name != "api":
        assert RUNTIME["plugin_routing"]["modules"][name] == {"action_plugin": f"{COLLECTION}.{name}"}
    assert callable(import_module(f"{PACKAGE}.modules.{name}").run)


def test_nothing_else_is_routed_or_in_the_group():
    assert sorted(RUNTIME["action_groups"]["all"]) == API_MODULES
    assert set(RUNTIME["plugin_routing"]["modules"]) | {"api"} == set(API_MODULES)


def test_the_endpoints_fragment_agrees_with_the_catalogue():
    fragment = yaml.safe_load(Endpoints.DOCUMENTATION)["options"]
    assert from_documentation(fragment) == from_spec(_endpoints.CATALOGUE_SPEC)
    assert list(fragment["features"]["choices"].items()) == list(_endpoints.FEATURES.items())  # words and order, too
    assert tuple(fragment["regions"]["choices"]) == _endpoints.REGIONS


def _with_catalogue():
    """Plugins with an option ``regions`` or ``features``, and that option."""
    for kind, folder in (("module", "modules"), ("lookup", "lookup")):
        for path in sorted((ROOT / "plugins" / folder).glob("*.py")):
            options = documentation(kind, path.stem).get("options", {})
            for option in _endpoints.CATALOGUE_SPEC:
                if option in options:
                    yield pytest.param(options[option], option, id=f"{path.stem}-{option}")


def test_some_plugins_choose_from_the_catalogue():
    names = {
        f"{name}-{option}"
        for name in ("egress_allowlist", "endpoint_check", "endpoints")
        for option in _endpoints.CATALOGUE_SPEC
    }
    assert names <= {parameter.id for parameter in _with_catalogue()}


@pytest.mark.parametrize("documented, option", list(_with_catalogue()))
def test_regions_and_features_are_those_of_the_fragment(documented, option):
    assert documented == yaml.safe_load(Endpoints.DOCUMENTATION)["options"][option]


def test_the_fragment_of_a_choice_agrees_with_its_spec():
    fragment = yaml.safe_load(Choice.DOCUMENTATION)["options"]
    assert from_documentation(fragment) == from_spec(_backends.CHOICE_SPEC)
    assert list(fragment) == list(_backends.CHOICE_SPEC)


@pytest.mark.parametrize("kind, name", [("module", "backend_info"), ("module", "job"), ("lookup", "backend")])
def test_who_chooses_a_backend_takes_the_fragments_words(kind, name):
    documented = documentation(kind, name)["options"]
    fragment = yaml.safe_load(Choice.DOCUMENTATION)["options"]
    assert {option: documented[option] for option in fragment} == fragment


def test_the_version_is_one():
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert f"ansible-{COLLECTION}/{version}" == _http.USER_AGENT


def test_the_api_version_is_one():
    assert _options.CONNECTION_SPEC["api_version"]["default"] == _options.API_VERSION


def test_every_reason_of_the_allowlist_is_documented():
    """What a playbook can branch on: the second argument of a FirewallError, or one that is called ``reason``."""
    used = {"invalid"}  # unless said otherwise
    files = [*(ROOT / "plugins/module_utils/_firewall").glob("*.py"), ROOT / "plugins/modules/egress_allowlist.py"]
    for path in [*files, ROOT / "plugins/action/egress_allowlist.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                named = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
                if getattr(node.func, "id", None) == "FirewallError":
                    named += node.args[1:2]
                used |= {value.value for value in named if isinstance(value, ast.Constant)}
            elif isinstance(node, ast.Dict):
                pairs = {
                    key.value: value for key, value in zip(node.keys, node.values) if isinstance(key, ast.Constant)
                }
                used |= {v.value for k, v in pairs.items() if k == "reason" and isinstance(v, ast.Constant)}
    text = (ROOT / "plugins/modules/egress_allowlist.py").read_text()
    documented = re.search(r"A word for the kind of the problem(.*?)\n    - ", text, re.DOTALL)
    assert documented and set(re.findall(r"V\((\w+)\)", documented[1])) == used
