# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin: API modules in Ansible's worker behave as modules do, and go elsewhere only when asked to."""

from __future__ import annotations

import time
from typing import Any

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import Controller

HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


def test_task_keywords_on_hosts_that_cannot_be_reached(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.fault(path="/v1/tags$", status=404, times=2)
    run = controller.tasks(
        """
        - name: forty
          ibm_quantum.platform.api: {path: /v1/versions}
          loop: "{{ range(40) | list }}"
          loop_control: {label: "call {{ item }}"}
          run_once: true
        - name: read
          ibm_quantum.platform.usage_info:
          register: quantum
        - name: when
          ibm_quantum.platform.backend_info:
          when: quantum.usage.usage_consumed_seconds == 0
        - name: until
          ibm_quantum.platform.api: {path: /v1/tags, query: {type: job, search: nightly}}
          register: found
          until: found.status | default(0) == 200
          retries: 5
          delay: 0
          run_once: true
        - name: ignored
          ibm_quantum.platform.backend_info: {name: ibm_nowhere}
          ignore_errors: true
          run_once: true
        - name: judged
          ibm_quantum.platform.usage_info:
          register: judged
          failed_when: judged.usage.usage_remaining_seconds < 10 ** 9
          ignore_errors: true
          run_once: true
        - name: changed
          ibm_quantum.platform.usage_info:
          changed_when: true
          run_once: true
        - name: rescued
          when: inventory_hostname == 'far01'
          block:
            - name: breaks
              ibm_quantum.platform.api: {path: /v1/nothing}
          rescue:
            - name: after
              ibm_quantum.platform.api: {path: /v1/versions}
        """,
        hosts=3,
        play="become: true",
        env={"ANSIBLE_BECOME_EXE": "/nonexistent/sudo"},
    ).succeeded()

    items = run.items("forty")
    assert len(items) == 40
    assert {item["status"] for item in items} == {200}
    first = [row for row in emulator.journal() if row["path"].endswith("/v1/versions")][:40]
    exchange = emulator.exchanges()
    assert len(exchange) == 1
    assert {row["connection"] for row in [*exchange, *first]} == {exchange[0]["connection"]}

    remaining = {host: result["usage"]["usage_remaining_seconds"] for host, result in run.results("read").items()}
    assert remaining == dict.fromkeys(("far00", "far01", "far02"), 10000 - 1834)
    assert {row["event"] for row in run.rows("when")} == {"skipped"}
    assert len(run.rows("when")) == 3
    assert run.one("until")["attempts"] == 3
    assert len(run.rows("until", "retry")) == 2
    assert run.one("ignored")["failed"]
    assert run.one("judged")["failed_when_result"]
    assert run.one("changed")["changed"]
    assert run.one("breaks")["error"]["status"] == 404
    assert run.one("after")["status"] == 200
    assert {host: stats["unreachable"] for host, stats in run.stats.items()} == dict.fromkeys(run.stats, 0)
    assert run.stats["far01"]["rescued"] == 1
    assert run.stats["far00"]["ignored"] == 2


def test_check_mode_and_diff(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.tasks(
        """
        - name: change
          ibm_quantum.platform.api:
            method: PUT
            path: /v1/instances/configuration
            body: {instance_limit: 6000}
            current: {}
        - name: blind
          ibm_quantum.platform.api:
            method: POST
            path: "{{ url }}/v1/apikeys"
            body: {name: x, iam_id: y, apikey: known-by-nobody-known-by-nobody-1234}
        - name: reads
          ibm_quantum.platform.usage_info:
        - name: really
          ibm_quantum.platform.api:
            method: PUT
            path: /v1/instances/configuration
            body: {instance_limit: 6000}
            current: {}
          check_mode: false
        """,
        "--check",
        "--diff",
    ).succeeded()
    assert run.one("change")["changed"]
    assert run.one("change")["status"] is None
    assert run.one("blind")["changed"]
    assert run.one("reads")["usage"]["usage_limit_seconds"] == 10000
    assert run.one("really")["status"] == 204
    assert [row["method"] for row in emulator.journal(service="runtime")] == ["GET", "GET", "GET", "PUT"]
    assert not emulator.journal(service="iam")
    assert '- "instance_limit": 10000' in run.text
    assert '+ "instance_limit": 6000' in run.text
    assert "+++ after: POST" in run.text
    assert "known-by-nobody" not in run.text


def test_defaults_names_and_environment(controller: Controller, emulator: EmulatorProcess) -> None:
    # nothing in the environment of the command: all comes from the play
    nothing = dict.fromkeys(emulator.env())
    run = controller.run(
        """
        - name: Defaults
          hosts: fleet
          gather_facts: false
          module_defaults:
            group/ibm_quantum.platform.all:
              api_key: "{{ key }}"
              iam_url: "{{ url }}"
              runtime_url: "{{ url }}/api"
              instance: "{{ us }}"
            ibm_quantum.platform.backend_info:
              min_qubits: 150
            ibm_quantum.platform.api:
              path: /v1/instance
          tasks:
            - name: group
              ibm_quantum.platform.usage_info:
            - name: single
              ibm_quantum.platform.backend_info:
            - name: generic
              ibm_quantum.platform.api:
            - name: token
              ibm_quantum.platform.iam_token:
            - name: own
              ibm_quantum.platform.backend_info: {min_qubits: 1}

        - name: Short names and environment
          hosts: fleet
          gather_facts: false
          collections: [ibm_quantum.platform]
          environment:
            IQP_API_TOKEN: "{{ key }}"
            QISKIT_IBM_INSTANCE: "{{ us }}"
            IAM_URL: "{{ url }}"
            IBM_QUANTUM_RUNTIME_URL: "{{ url }}/api"
          tasks:
            - name: play level
              usage_info:
            - name: block
              environment:
                QISKIT_IBM_INSTANCE: "{{ de }}"
                IBM_QUANTUM_RUNTIME_URL: "{{ url }}/eu-de/api"
              block:
                - name: block level
                  usage_info:
            - name: after the block
              api: {path: /v1/instances/usage}
            - name: items
              usage_info:
              environment: "{{ item }}"
              loop:
                - {QISKIT_IBM_INSTANCE: "{{ de }}", IBM_QUANTUM_RUNTIME_URL: "{{ url }}/eu-de/api"}
                - {}

        - name: Nothing stays
          hosts: fleet
          gather_facts: false
          tasks:
            - name: no key
              ibm_quantum.platform.usage_info:
              ignore_errors: true
        """,
        env=nothing,
        variables={"key": emulator.api_key, "us": data.INSTANCE_US, "de": data.INSTANCE_DE},
    ).succeeded()
    assert run.one("group")["usage"]["instance_id"] == data.INSTANCE_US
    assert {row["qubits"] >= 150 for row in run.one("single")["backends"]} == {True}
    assert len(run.one("own")["backends"]) > len(run.one("single")["backends"])
    assert run.one("generic")["status"] == 200
    assert "censored" in run.one("token")
    assert run.one("play level")["usage"]["instance_id"] == data.INSTANCE_US
    assert run.one("block level")["usage"]["instance_id"] == data.INSTANCE_DE
    assert run.one("after the block")["json"]["instance_id"] == data.INSTANCE_US
    assert [item["usage"]["instance_id"] for item in run.items("items")] == [data.INSTANCE_DE, data.INSTANCE_US]
    assert "no credential: set 'api_key' (or export IQP_API_TOKEN)" in run.one("no key")["msg"]


#: Calls that must come out the same in the worker and as an ordinary module: name -> task.
CALLS = {
    "good": "ibm_quantum.platform.usage_info: {run_on: RUN_ON}",
    "list": "ibm_quantum.platform.backend_info: {run_on: RUN_ON, min_qubits: '150', operational: 'yes'}",
    "refused": "ibm_quantum.platform.api: {run_on: RUN_ON, path: /v1/nothing, query: {a: b}}",
    "change": "ibm_quantum.platform.api: {run_on: RUN_ON, method: PUT, path: /v1/instances/configuration, "
    "body: {instance_limit: 5000}, current: {}, desired: {instance_limit: 10000}}",
    "unknown": "ibm_quantum.platform.usage_info: {run_on: RUN_ON, regoin: us-east}",
    "choice": "ibm_quantum.platform.api: {run_on: RUN_ON, path: /v1/versions, method: BREW}",
    "missing": "ibm_quantum.platform.api: {run_on: RUN_ON}",
    "type": "ibm_quantum.platform.backend_info: {run_on: RUN_ON, min_qubits: many}",
    "value": "ibm_quantum.platform.usage_info: {run_on: RUN_ON, timeout: 0}",
    "wrong key": "ibm_quantum.platform.usage_info: {run_on: RUN_ON, api_key: '{{ unknown }}', retries: 0}",
    "no log": "ibm_quantum.platform.usage_info: {run_on: RUN_ON, api_key: '{{ unknown }}', instance: '{{ unknown }}'}",
}


def _tasks(where: str) -> str:
    return "".join(
        f"- name: {name} {where}\n  {task.replace('RUN_ON', where)}\n  diff: true\n  ignore_errors: true\n"
        for name, task in CALLS.items()
    )


def _comparable(result: dict[str, Any]) -> dict[str, Any]:
    """A result without what differs from call to call, and without what Ansible itself adds to a module's."""
    kept = {name: value for name, value in result.items() if not name.startswith("_ansible") and name != "exception"}
    invocation = kept.get("invocation", {}).get("module_args", {})
    kept["invocation"] = {name: value for name, value in invocation.items() if name != "run_on"}
    for name in ("headers", "ansible_facts", "warnings"):
        kept.pop(name, None)
    kept.get("usage", {}).pop("usage_period", None)
    if "error" in kept:
        kept["error"] = {**kept["error"], "trace": ""}
        kept["msg"] = kept["msg"].partition(" Trace id")[0]
    return kept


def test_same_result_as_an_ordinary_module(controller: Controller) -> None:
    variables = {"unknown": data.UNKNOWN_API_KEY}
    tasks = _tasks("controller") + _tasks("target")
    run = controller.tasks(tasks, "-vvv", hosts=["runner"], variables=variables).succeeded()
    for name in CALLS:
        here, there = run.one(f"{name} controller"), run.one(f"{name} target")
        if "invocation" not in there:  # a module that refuses its arguments shows none
            here.pop("invocation", None)
        assert _comparable(here) == _comparable(there), name
    assert f'"api_key": "{HIDDEN}"' in run.text
    assert run.one("unknown controller")["msg"].startswith(
        "Unsupported parameters for (ibm_quantum.platform.usage_info) module: regoin."
    )
    assert data.UNKNOWN_API_KEY not in str(run.events)


def test_where_it_runs(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.tasks(
        """
        - name: to localhost
          ibm_quantum.platform.usage_info:
          delegate_to: localhost
        - name: to a local host without Python
          ibm_quantum.platform.usage_info:
          delegate_to: bare
        - name: to another host
          ibm_quantum.platform.usage_info:
          delegate_to: elsewhere
        - name: target has no Python
          ibm_quantum.platform.usage_info: {run_on: target}
          delegate_to: bare
          ignore_errors: true
        - name: target
          ibm_quantum.platform.iam_token: {run_on: target}
          delegate_to: runner
        - name: async without a local connection
          ibm_quantum.platform.usage_info:
          async: 60
          poll: 1
          ignore_errors: true
        - name: async with a secret
          ibm_quantum.platform.iam_token:
          delegate_to: runner
          async: 60
          ignore_errors: true
        """,
        "-vvv",
        hosts=1,
    ).succeeded()
    for task in ("to localhost", "to a local host without Python", "to another host"):
        assert run.one(task)["usage"]["instance_id"] == data.INSTANCE_US, task
    assert "/nonexistent/python" in str(run.one("target has no Python"))
    assert "censored" in run.one("target")
    assert "AnsiballZ_usage_info.py" in controller.commands
    assert "add 'delegate_to: localhost', or 'run_on: target'" in run.one("async without a local connection")["msg"]
    assert "take 'async' off it" in run.one("async with a secret")["msg"]
    assert f'"api_key": "{HIDDEN}"' in run.text
    assert emulator.api_key not in run.text


def test_async(controller: Controller) -> None:
    run = controller.tasks(
        """
        - name: polled
          ibm_quantum.platform.usage_info:
          async: 60
          poll: 1
        - name: start
          ibm_quantum.platform.usage_info:
          async: 60
          poll: 0
          register: job
        - name: finish
          ansible.builtin.async_status: {jid: "{{ job.ansible_job_id }}"}
          register: state
          until: state.finished
          retries: 60
          delay: 1
        """,
        hosts=["runner"],
    ).succeeded()
    assert run.one("polled")["usage"]["instance_id"] == data.INSTANCE_US
    assert run.one("finish")["usage"]["instance_id"] == data.INSTANCE_US


def test_timeout_strategies_and_errors_fatal(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.fault(path="/v1/tags$", delay=6.0, status=200)
    run = controller.run(
        """
        - name: Free
          hosts: fleet
          gather_facts: false
          strategy: ansible.builtin.free
          tasks:
            - name: free
              ibm_quantum.platform.usage_info:
            - name: also free
              ibm_quantum.platform.backend_info: {least_busy: true}

        - name: Time
          hosts: fleet
          gather_facts: false
          tasks:
            - name: late
              ibm_quantum.platform.api: {path: /v1/tags}
              timeout: 1
              ignore_errors: true
              run_once: true
            - name: after it
              ibm_quantum.platform.usage_info:

        - name: Fatal
          hosts: fleet
          gather_facts: false
          any_errors_fatal: true
          tasks:
            - name: fatal
              ibm_quantum.platform.backend_info:
                name: "{{ 'ibm_nowhere' if inventory_hostname == 'far01' else omit }}"
            - name: never
              ibm_quantum.platform.usage_info:
        """,
        hosts=3,
    ).failed()
    assert len(run.results("free")) == len(run.results("also free")) == len(run.results("after it")) == 3
    assert run.one("late")["failed"]
    late = run.one("late")
    assert "timedout" in late or "expected time frame (1)" in late["msg"]  # the latter before ansible-core 2.19
    assert [row["host"] for row in run.rows("fatal", "failed")] == ["far01"]
    assert not run.rows("never")
    deadline = time.monotonic() + 30
    while not emulator.journal(fault="200, delay 6"):  # it must not turn up in the journal of the next test
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ad_hoc_and_warnings(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.adhoc("localhost", "-m", "ibm_quantum.platform.usage_info", "-vvv").succeeded()
    assert f'"instance_id": "{data.INSTANCE_US}"' in run.text
    assert f'"api_key": "{HIDDEN}"' in run.text
    assert emulator.api_key not in run.text

    run = controller.adhoc("localhost", "-m", "ibm_quantum.platform.usage_info", "-a", "regoin=us-east").failed()
    assert "Unsupported parameters for (ibm_quantum.platform.usage_info) module: regoin." in run.text

    # the cache's folder is a file: said once, not once an item; the task works all the same
    folder = controller.folder / "no-cache"
    (folder / "ibm_quantum").mkdir(parents=True)
    (folder / "ibm_quantum" / "tokens").write_text("")
    run = controller.tasks(
        """
        - name: loop
          ibm_quantum.platform.api: {path: /v1/versions}
          loop: [1, 2, 3]
        """,
        hosts=2,
        env={"XDG_RUNTIME_DIR": str(folder)},
    ).succeeded()
    assert run.text.count("token cache not used") == 1
    assert {item["status"] for item in run.items("loop")} == {200}
