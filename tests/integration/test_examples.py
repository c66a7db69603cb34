# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the documentation: those of API modules, lookups and filters run, all others are checked as far as
they can be without a host to change."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path
from textwrap import indent
from typing import Any, Iterator

import pytest
import yaml

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import ROOT, Controller

PLUGINS = ROOT / "plugins"
#: IBM's base URLs, each of which the emulator serves by path.
IBM = (
    "https://iam.cloud.ibm.com",
    "https://resource-controller.cloud.ibm.com",
    "https://api.global-search-tagging.cloud.ibm.com",
    "https://quantum.cloud.ibm.com",
)
#: What the examples take from a user's inventory.
VARIABLES = {
    "ibm_quantum_api_key": data.API_KEY,
    "ibm_quantum_instance": data.INSTANCE_US,
    "ibm_quantum_account": data.ACCOUNT_ID,
}
#: Keywords of a task; what is left is the module.
KEYWORDS = {
    *("name", "register", "vars", "when", "loop", "loop_control", "run_once", "no_log", "become", "environment"),
    *("changed_when", "failed_when", "delegate_to", "until", "retries", "delay", "diff", "check_mode"),
}


def _documentation(path: Path) -> dict[str, Any]:
    """DOCUMENTATION and EXAMPLES of a plugin, of a Python file or of a YAML one."""
    if path.suffix == ".yml":
        found: dict[str, Any] = yaml.safe_load(path.read_text())
        return found
    texts = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("DOCUMENTATION", "EXAMPLES") and isinstance(node.value, ast.Constant):
                texts[name] = str(node.value.value)
    return {"EXAMPLES": texts.get("EXAMPLES", ""), "DOCUMENTATION": yaml.safe_load(texts.get("DOCUMENTATION", "{}"))}


def _plugins() -> dict[str, dict[str, Any]]:
    """Kind/name -> documentation, of everything that has examples."""
    files = sorted(path for kind in ("modules", "lookup", "filter", "inventory", "callback") for path in _files(kind))
    found = {f"{path.parent.name}/{path.stem}": _documentation(path) for path in files}
    return {name: docs for name, docs in found.items() if docs["EXAMPLES"]}


def _files(kind: str) -> Iterator[Path]:
    folder = PLUGINS / kind
    yield from (path for path in folder.glob("*.*") if path.suffix in (".py", ".yml"))


def _api_modules() -> set[str]:
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    return {f"modules/{name}" for name in groups["all"]}


DOCS = _plugins()
RUN = sorted(name for name in DOCS if name in _api_modules() or not name.startswith("modules/"))
CHECKED = sorted(set(DOCS) - set(RUN))


def test_every_plugin_has_examples() -> None:
    assert _api_modules() <= set(RUN)
    assert {"lookup/iam_token", "lookup/endpoints", "filter/parse_crn"} <= set(RUN)
    modules = {f"modules/{path.stem}" for path in _files("modules")}
    assert modules <= set(DOCS)


def test_examples_run(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.settings(usage={data.INSTANCE_US: 100})  # the examples set a limit of ten minutes
    plays = []
    for name in RUN:
        text = str(DOCS[name]["EXAMPLES"]).replace("/usr/local/bin/report", "/bin/true")
        for url in IBM:
            text = text.replace(url, emulator.url)
        head = f"- name: {name}\n  hosts: fleet\n  gather_facts: false\n  tasks:\n"
        plays.append(head + indent(text, "    "))
    run = controller.run("\n".join(plays), hosts=["runner"], variables=VARIABLES).succeeded()
    written = [task["name"] for name in RUN for task in yaml.safe_load(str(DOCS[name]["EXAMPLES"]))]
    assert {row["task"] for row in run.events if row["event"] == "ok"} == set(written)
    assert emulator.journal(service="search")
    assert emulator.journal(service="iam")


def _modules(tasks: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for task in tasks:
        for name in set(task) - KEYWORDS:
            yield name, task[name] or {}


@pytest.mark.parametrize("name", sorted(DOCS))
def test_examples_use_documented_options(name: str) -> None:
    """Every option of this collection's modules is documented, every choice exists, nothing required is missing."""
    used = 0
    for module, options in _modules(yaml.safe_load(str(DOCS[name]["EXAMPLES"]))):
        namespace, _sep, short = module.rpartition(".")
        if namespace != "ibm_quantum.platform":
            assert namespace == "ansible.builtin", f"{module}: not ours, not Ansible's own"
            continue
        used += 1
        documented = _options(DOCS[f"modules/{short}"]["DOCUMENTATION"])
        assert set(options) <= set(documented), module
        for option, description in documented.items():
            assert option in options or not description.get("required"), f"{module} needs {option}"
            value = options.get(option)
            if "choices" in description and value is not None:
                values = value if isinstance(value, list) else [value]
                assert set(values) <= set(description["choices"]), f"{module}: {option}"
    assert used or not name.startswith("modules/")


def _options(documentation: dict[str, Any]) -> dict[str, Any]:
    """A module's options with those of its fragments."""
    found: dict[str, Any] = {}
    fragments = documentation.get("extends_documentation_fragment", [])
    for fragment in [fragments] if isinstance(fragments, str) else fragments:
        parts = fragment.split(".")
        if parts[:2] == ["ibm_quantum", "platform"]:
            source = runpy.run_path(str(PLUGINS / "doc_fragments" / f"{parts[2]}.py"))["ModuleDocFragment"]
            text = getattr(source, (parts[3:] or ["DOCUMENTATION"])[0].upper())
            found.update(yaml.safe_load(text).get("options", {}))
    return {**found, **documentation.get("options", {})}


def _blocks() -> dict[str, str]:
    """The playbooks in README files and guides: file and number -> text, an empty one where there is none."""
    found = {}
    for path in sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("roles/*/README.md")]):
        texts = re.findall(r"^```ya?ml\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
        for number, text in enumerate(texts):
            content = yaml.safe_load(text)
            if isinstance(content, list) and all(isinstance(row, dict) for row in content):
                found[f"{path.relative_to(ROOT)}#{number}"] = text
    return found


def test_syntax_of_all_that_is_not_run(controller: Controller) -> None:
    """Ansible parses them: modules, roles and keywords exist."""
    plays = []
    for name in CHECKED:
        head = f"- name: {name}\n  hosts: fleet\n  gather_facts: false\n  tasks:\n"
        plays.append(head + indent(str(DOCS[name]["EXAMPLES"]), "    "))
    for name, text in _blocks().items():
        if "hosts" in yaml.safe_load(text)[0] or "ansible.builtin.import_playbook" in yaml.safe_load(text)[0]:
            plays.append(text)
        else:
            plays.append(f"- name: {name}\n  hosts: fleet\n  gather_facts: false\n  tasks:\n{indent(text, '    ')}")
    plays += [f"- ansible.builtin.import_playbook: {path}\n" for path in sorted(map(str, ROOT.glob("playbooks/*.yml")))]
    assert len(plays) > len(CHECKED)
    controller.run("\n".join(plays), "--syntax-check").succeeded()

    # a misspelt module or role is what this finds
    for wrong in ("tasks: [{ibm_quantum.platform.enviroment: {}}]", "roles: [ibm_quantum.platform.enviroment]"):
        run = controller.run(f"- name: Wrong\n  hosts: fleet\n  {wrong}\n", "--syntax-check")
        assert run.rc in (1, 4), run.report  # which of them differs between versions of Ansible
        assert "enviroment" in run.text


def test_the_harmless_one_in_check_mode(controller: Controller) -> None:
    """Of the examples that change a host, the one in user scope: below this test's own HOME."""
    tasks = yaml.safe_load(str(DOCS["modules/environment"]["EXAMPLES"]))
    mine = [task for task in tasks if task.get("ibm_quantum.platform.environment", {}).get("scope") == "user"]
    assert mine
    before = sorted(controller.home.rglob("*"))
    run = controller.tasks(yaml.safe_dump(mine), "--check", hosts=["runner"], variables={"vault_api_key": data.API_KEY})
    run.succeeded()
    assert run.one(mine[0]["name"])["changed"]
    assert data.API_KEY not in run.text + str(run.events)
    new = set(controller.home.rglob("*")) - set(before)
    assert not [path for path in new if ".ansible" not in path.parts]
