# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of ``docs/secrets.md`` run as they are written there, and print no secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.leaks import ProcessSampler, Scanner, describe
from tests.integration.playbook import ROOT, TIMEOUT, Controller, Run

PAGE = (ROOT / "docs" / "secrets.md").read_text()
#: File name -> text, of every block that begins with its file's name.
FILES = dict(re.findall(r"^```yaml(?:\+jinja)?\n# (\S+\.yml)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
TASK = "What is left of the allowance?"
#: They need what is not of this collection and not of Ansible.
FOREIGN = {"hashi_vault.yml", "sops.yml", "awx_credential_type.yml"}
RUN = {
    *("environment.yml", "environment_named.yml", "vault_value.yml", "vault_file.yml", "file.yml"),
    *("password_manager.yml", "awx.yml"),
}
PASSWORD = "the password of these vaults"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Where secrets may be: it is not searched for them."""
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def password_file(outside: Path) -> Path:
    path = outside / "vault-password"
    path.touch(mode=0o600)
    path.write_text(PASSWORD)
    return path


def _vault(controller: Controller, password_file: Path, text: str, *args: str) -> str:
    """What ansible-vault makes of its input."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-vault")), *args, "--vault-password-file", str(password_file)],
        env=controller.env,
        input=text,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    return done.stdout


def _play(controller: Controller, name: str, *args: str, text: str = "", **env: str | None) -> Run:
    """Run a playbook of the page as verbosely as can be; the key is in the environment only if it is given here."""
    environment: dict[str, str | None] = {"IQP_API_TOKEN": None, "QISKIT_IBM_INSTANCE": None, **env}
    variables = {"ibm_quantum_instance": data.INSTANCE_US}
    with ProcessSampler() as sampler:
        run = controller.run(text or FILES[name], "-vvvv", *args, env=environment, variables=variables)
    scanner = Scanner([controller.emulator.api_key, PASSWORD, *controller.emulator.tokens()["tokens"]])
    found = [
        *scanner.data("stdout", run.stdout),
        *scanner.data("stderr", run.stderr),
        *scanner.tree(controller.folder, exempt=[controller.cache]),
        *sampler.findings(scanner),
    ]
    assert not found, describe(found)
    assert len(run.stdout) > 1000
    return run


def _worked(run: Run) -> None:
    """The playbook reached IBM with the key."""
    run.succeeded()
    assert run.one(TASK)["usage"]


def test_every_playbook_of_the_page_is_run_or_known() -> None:
    assert set(FILES) == RUN | FOREIGN | {"secrets.yml"}
    for name in RUN | {"hashi_vault.yml", "sops.yml"}:
        assert FILES[name].count(f"name: {TASK}") == 1


def test_the_environment(controller: Controller, emulator: EmulatorProcess) -> None:
    _worked(_play(controller, "environment.yml", IQP_API_TOKEN=emulator.api_key))
    assert emulator.exchanges()
    for name in ("QISKIT_IBM_TOKEN", "IBMCLOUD_API_KEY"):
        _worked(_play(controller, "environment.yml", **{name: emulator.api_key}))
    run = _play(controller, "environment.yml").failed()
    assert "export IQP_API_TOKEN" in run.text


def test_a_named_variable(controller: Controller, emulator: EmulatorProcess) -> None:
    _worked(_play(controller, "environment_named.yml", CI_QUANTUM_KEY=emulator.api_key))
    run = _play(controller, "environment_named.yml").failed()
    assert "export CI_QUANTUM_KEY" in run.text


def test_a_value_of_ansible_vault(controller: Controller, emulator: EmulatorProcess, password_file: Path) -> None:
    args = ("encrypt_string", "--stdin-name", "ibm_quantum_api_key")
    encrypted = _vault(controller, password_file, emulator.api_key, *args)
    assert encrypted.startswith("ibm_quantum_api_key: !vault |\n")
    lines = [line.strip() for line in encrypted.splitlines()[1:] if line.strip()]
    shown = re.compile(r"(!vault \|\n)((?: {6}\S+\n)+)")
    text = shown.sub(lambda m: m.group(1) + "".join(f"      {line}\n" for line in lines), FILES["vault_value.yml"])
    assert text != FILES["vault_value.yml"]
    _worked(_play(controller, "vault_value.yml", "--vault-password-file", str(password_file), text=text))
    assert "vault" in _play(controller, "vault_value.yml", text=text).text.lower()


def test_the_value_on_the_page_is_what_it_says(controller: Controller, outside: Path) -> None:
    password = outside / "example"
    password.write_text("example")
    block = re.search(r"!vault \|\n((?: {6}\S+\n)+)", FILES["vault_value.yml"])
    assert block
    text = _vault(controller, password, re.sub(r"(?m)^ +", "", block[1]), "decrypt", "--output", "-", "-")
    assert re.fullmatch(r"(example)+\d*", text) and len(text) == 44


def test_a_file_of_ansible_vault(controller: Controller, emulator: EmulatorProcess, password_file: Path) -> None:
    content = FILES["secrets.yml"].replace("the key", emulator.api_key)
    assert yaml.safe_load(content) == {"ibm_quantum_api_key": emulator.api_key}
    encrypted = _vault(controller, password_file, content, "encrypt", "--output", "-", "-")
    assert encrypted.startswith("$ANSIBLE_VAULT;")
    (controller.folder / "input" / "secrets.yml").write_text(encrypted)
    _worked(_play(controller, "vault_file.yml", "--vault-password-file", str(password_file)))


def test_a_mounted_file(controller: Controller, emulator: EmulatorProcess, outside: Path) -> None:
    file = outside / "mounted"
    file.write_text(f"{emulator.api_key}\n")
    text = FILES["file.yml"].replace("/run/secrets/ibm_quantum_api_key", str(file))
    assert text != FILES["file.yml"]
    _worked(_play(controller, "file.yml", text=text))


def test_a_password_manager(controller: Controller, emulator: EmulatorProcess, outside: Path) -> None:
    """One that gives the key to who asks for the right entry."""
    (outside / "store").write_text(emulator.api_key)
    manager = outside / "pass"
    manager.write_text(f'#!/bin/sh\n[ "$*" = "show ibm-quantum/api-key" ] && exec cat "{outside}/store"\nexit 1\n')
    manager.chmod(0o700)
    _worked(_play(controller, "password_manager.yml", PATH=f"{outside}:{os.environ['PATH']}"))


def _injected(**values: str) -> dict[str, str]:
    """What AWX puts into the environment of a job."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    definition = json.loads((ROOT / "docs" / "awx" / "credential_type.json").read_text())
    environment = ImmutableSandboxedEnvironment()
    return {k: environment.from_string(v).render(values) for k, v in definition["injectors"]["env"].items()}


def test_awx(controller: Controller, emulator: EmulatorProcess) -> None:
    urls = {"iam_url": emulator.url, "runtime_url": emulator.runtime_url}
    for name in emulator.env():
        del controller.env[name]
    env = _injected(api_key=emulator.api_key, instance=emulator.instance, **urls)
    _worked(_play(controller, "awx.yml", **env))
    assert emulator.exchanges()

    # an instance that is left empty in AWX is none: the playbook names it
    env = _injected(api_key=emulator.api_key, **urls)
    assert env["QISKIT_IBM_INSTANCE"] == ""
    _worked(_play(controller, "environment.yml", **env))


def test_ansible_gives_awx_the_type_as_it_is_in_the_file(controller: Controller, outside: Path) -> None:
    """The injectors are templates, too, but AWX's: Ansible must leave them alone."""
    name = "awx_credential_type.yml"
    text = FILES[name].replace("awx.awx.credential_type:\n", "ansible.builtin.copy:\n          content:\n")
    text = re.sub(r"(?m)^ {8}(name|description|kind|inputs|injectors): ", r"            \1: ", text)
    text = text.replace("docs/awx/credential_type.json", str(ROOT / "docs" / "awx" / "credential_type.json"))
    text = text.replace("          content:\n", f"          dest: {outside}/sent.json\n          content:\n")
    text = re.sub(r"(?m)^ {10}(dest|content)", r"        \1", text)
    task: Any = yaml.safe_load(text)[0]["tasks"][0]
    assert set(task["ansible.builtin.copy"]) == {"dest", "content"}
    controller.run(text.replace("hosts: localhost", "hosts: runner"), hosts=["runner"]).succeeded()
    sent = json.loads((outside / "sent.json").read_text())
    assert sent == json.loads((ROOT / "docs" / "awx" / "credential_type.json").read_text())
