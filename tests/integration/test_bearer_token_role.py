# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of the role bearer_token. What hosts do with the token is shown on real ones: tests/lab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.emulator.testing import EmulatorProcess
from tests.integration.leaks import Scanner, cache_faults, describe
from tests.integration.playbook import Controller, Run

ROLE = "ibm_quantum.platform.bearer_token"
EXCHANGE = f"{ROLE} : Exchange the API key, on the controller"
LAY_DOWN = f"{ROLE} : Lay the token down in the host's memory"


def play(**variables: Any) -> str:
    role = {"role": ROLE, "vars": variables}
    return json.dumps([{"name": "Tokens", "hosts": "fleet", "gather_facts": False, "roles": [role]}])


def assert_no_leak(emulator: EmulatorProcess, controller: Controller, run: Run, *texts: str) -> None:
    scanner = Scanner([*emulator.tokens()["tokens"], emulator.api_key])
    found = scanner.data("printed", run.stdout + run.stderr) + scanner.data("others", "".join(texts))
    found += scanner.tree(controller.folder, exempt=[controller.cache])
    assert not found, describe(found)
    assert not cache_faults(controller.cache, [emulator.api_key])


def test_one_exchange_for_all_hosts(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.run(play(), "-vvvv", "--diff", hosts=5)
    assert run.rc == 4, run.report  # the hosts themselves are not there
    assert len(run.rows(EXCHANGE, "ok")) == 5 and len(run.rows(LAY_DOWN, "unreachable")) == 5
    assert len(emulator.exchanges()) == 1
    assert_no_leak(emulator, controller, run)
    Path(controller.folder, "ssh-calls").unlink()  # those were meant


def test_the_token_goes_to_the_host_by_standard_input(controller: Controller, emulator: EmulatorProcess) -> None:
    # In check mode: this machine is not to be changed. Whether it could keep the promise makes no difference here.
    run = controller.run(play(), "-vvvv", "--check", hosts=["elsewhere"])
    (row,) = [row for row in run.rows(LAY_DOWN) if row["event"] in ("ok", "failed")]
    assert row["event"] == "ok" or "one_use_key" in row["result"]["msg"] or "systemd" in row["result"]["msg"], (
        run.report
    )
    assert controller.commands and "AnsiballZ" not in controller.commands, "a file was written on the host"
    assert_no_leak(emulator, controller, run, controller.commands)


def test_a_wrong_key_or_instance_is_told_before_any_host_is_touched(
    controller: Controller, emulator: EmulatorProcess
) -> None:
    wrong = "W" * 44
    run = controller.run(play(bearer_token_api_key=wrong), hosts=1).failed()
    assert "BXNIM0415E" in run.text and wrong not in run.text
    run = controller.run(play(bearer_token_instance="crn:of:something"), hosts=1).failed()
    assert "'instance'" in run.text
    run = controller.run(play(bearer_token_minimum_life=7200), hosts=1).failed()
    assert "'minimum_life' must be 0 to 3600" in run.text


def test_a_key_in_a_wrong_shape_is_not_printed(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.run(play(bearer_token_api_key=[emulator.api_key]), "-vvvv", hosts=1)
    assert run.rc == 2, run.report
    assert emulator.api_key not in run.stdout + run.stderr


def test_renewing_is_for_hosts_that_are_not_trusted(controller: Controller, emulator: EmulatorProcess) -> None:
    inventory = controller._inventory(2, {})
    command = ["ansible-playbook", "-i", str(inventory), "--limit", "fleet", "ibm_quantum.platform.renew_tokens"]
    controller.command(*command).succeeded()
    assert emulator.exchanges() == []
    run = controller.command(*command, "-e", "ibm_quantum_trust=untrusted")
    assert run.rc == 4 and len(emulator.exchanges()) == 1, run.report
    Path(controller.folder, "ssh-calls").unlink()  # those were meant


def test_taking_it_off_needs_no_key(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.run(play(bearer_token_state="absent"), "--check", hosts=["runner"], env={"IQP_API_TOKEN": None})
    run.succeeded()
    assert emulator.exchanges() == []
