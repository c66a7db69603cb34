# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
import os
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils import basic

from ansible_collections.ibm_quantum.platform.plugins.action import api as action
from ansible_collections.ibm_quantum.platform.plugins.module_utils import _options
from ansible_collections.ibm_quantum.platform.plugins.modules import api, usage_info
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import (
    API_KEY,
    CRN,
    CRN_DE,
    IAM,
    OTHER_TOKEN,
    TOKEN,
    api_key_form,
    ibm_error,
)

HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
USAGE = "/v1/instances/usage"
CREDENTIALS = {"api_key": API_KEY, "instance": CRN}


class Task:
    """One task, run by the action plugin; ``handed_over`` holds what was given to Ansible's own module execution."""

    def __init__(self, module, args, *, transport="ssh", environment=None, **keywords):
        defaults = {"check_mode": False, "async_val": 0, "delegate_to": None, "diff": False}
        self.task = SimpleNamespace(
            action=f"ibm_quantum.platform.{module}",
            args=args,
            environment=environment,
            **{**defaults, **keywords},
        )
        shell = SimpleNamespace(tmpdir=None, env_prefix=lambda **_: "")
        self.plugin = action.ActionModule(
            task=self.task,
            connection=SimpleNamespace(transport=transport, _shell=shell),
            play_context=SimpleNamespace(),
            loader=None,
            templar=SimpleNamespace(template=lambda value: value),
            shared_loader_obj=None,
        )
        self.handed_over = []
        self.plugin._execute_module = self._execute_module

    def _execute_module(self, **given):
        self.handed_over.append(given)
        return {"changed": False}

    def run(self):
        return self.plugin.run(task_vars={})


def run(module, args, **keywords):
    result = Task(module, args, **keywords).run()
    assert API_KEY not in json.dumps(result)
    return result


# -- like an ordinary module


def test_a_success(ibm):
    ibm.exchange()
    ibm.runtime("GET", USAGE, reply={"usage_consumed_seconds": 1})
    result = run("usage_info", CREDENTIALS)
    assert result["usage"] == {"usage_consumed_seconds": 1, "usage_remaining_seconds": None}
    assert result["changed"] is False and "failed" not in result and "_ansible_no_log" not in result


def test_no_connection_is_needed():
    assert action.ActionModule._requires_connection is False
    assert action.ActionModule.TRANSFERS_FILES is False


def as_ansible_module(monkeypatch, capsys, module, args):
    arguments = {"ANSIBLE_MODULE_ARGS": {**args, "_ansible_module_name": module}}
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    monkeypatch.setattr(basic.AnsibleModule, "_log_invocation", lambda *_: None)
    spec = (api if module.endswith(".api") else usage_info).ARGUMENT_SPEC
    with pytest.raises(SystemExit):
        basic.AnsibleModule(argument_spec=spec, supports_check_mode=True)
    return json.loads(capsys.readouterr().out)["msg"]


@pytest.mark.parametrize(
    "module, args",
    [
        ("usage_info", {"instanc": CRN}),
        ("usage_info", {"a": 1, "b": 2, "timeout": "soon"}),
        ("usage_info", {"timeout": "soon"}),
        ("usage_info", {"validate_certs": "perhaps"}),
        ("usage_info", {"run_on": "moon"}),
        ("api", {}),
        ("api", {"path": "/x", "method": "BREW"}),
        ("api", {"path": "/x", "query": "text"}),
        ("api", {"path": "/x", "current": {"pth": "/y"}}),
        ("api", {"path": "/x", "expected_status": ["many"]}),
    ],
)
def test_bad_input_reads_as_that_of_an_ordinary_module(ibm, monkeypatch, capsys, module, args):
    result = run(module, args)
    assert result["failed"] is True
    assert result["msg"] == as_ansible_module(monkeypatch, capsys, f"ibm_quantum.platform.{module}", args)


def test_bad_input_does_not_show_a_secret(ibm):
    result = run("usage_info", {**CREDENTIALS, "run_on": API_KEY})
    assert result["failed"] and "run_on" in result["msg"]


def test_defaults_env_fallbacks_and_what_invocation_shows(ibm, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", API_KEY)
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", CRN)
    ibm.exchange()
    body = {"name": "n", "apikey": "own-secret-value", "list": [{"password": "p"}]}
    ibm.cloud("POST", f"{IAM}/v1/apikeys", json=body, reply={"id": "1"})
    result = run("api", {"method": "POST", "path": f"{IAM}/v1/apikeys", "body": body, "proxy": ""})
    shown = result["invocation"]["module_args"]
    assert shown["api_key"] == HIDDEN and shown["instance"] == CRN
    assert (shown["timeout"], shown["run_on"], shown["proxy"], shown["bearer_token"]) == (60, "controller", "", None)
    assert shown["body"] == {"name": "n", "apikey": "********", "list": [{"password": "********"}]}
    assert "own-secret-value" not in json.dumps(result)


def test_what_yaml_takes_for_a_date_is_a_text(ibm):
    ibm.exchange()
    ibm.runtime("POST", "/v1/x", json={"day": "2026-01-01", "times": ["2026-01-01T10:00:00+00:00"]}, reply={})
    time = datetime.datetime(2026, 1, 1, 10, tzinfo=datetime.timezone.utc)
    body = {"day": datetime.date(2026, 1, 1), "times": [time]}
    run("api", {**CREDENTIALS, "method": "POST", "path": "/v1/x", "body": body})


@pytest.mark.parametrize("check_mode", [False, True])
def test_check_mode_and_diff(ibm, check_mode):
    ibm.exchange()
    ibm.runtime("GET", "/v1/x", reply={"a": 1})
    if not check_mode:
        ibm.runtime("PUT", "/v1/x", json={"a": 2}, status=204)
    args = {**CREDENTIALS, "method": "PUT", "path": "/v1/x", "body": {"a": 2}, "current": {}}
    result = run("api", args, check_mode=check_mode)
    assert result["changed"] is True
    assert (result["diff"]["before"], result["diff"]["after"]) == ({"a": 1}, {"a": 2})


def test_aliases_and_deprecations(ibm, monkeypatch):
    spec = {
        **usage_info.ARGUMENT_SPEC,
        "old": {"type": "str", "removed_in_version": "9.0.0", "removed_from_collection": "ibm_quantum.platform"},
        "instance": {"type": "str", "aliases": ["crn"]},
    }
    monkeypatch.setattr(usage_info, "ARGUMENT_SPEC", spec)
    ibm.exchange()
    ibm.runtime("GET", USAGE, reply={})
    result = run("usage_info", {**CREDENTIALS, "crn": CRN, "old": "x"})
    assert result["warnings"] == ["Both option instance and its alias crn are set."]
    assert [(d["version"], d["collection_name"]) for d in result["deprecations"]] == [("9.0.0", "ibm_quantum.platform")]


# -- secrets


def test_secrets_leave_results_warnings_and_errors(ibm, tokens):
    tokens.parent.mkdir(parents=True)
    tokens.symlink_to(tokens.parent)  # makes a warning
    ibm.exchange()
    ibm.runtime("GET", USAGE, status=403, reply=ibm_error(1200, f"{API_KEY} gave {TOKEN}"))
    result = run("usage_info", CREDENTIALS)
    assert result["failed"] and "token cache not used" in result["warnings"][0]
    assert "1200" in result["msg"] and "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in json.dumps(result)
    assert TOKEN not in json.dumps(result)


def test_a_secret_in_a_success(ibm):
    ibm.exchange()
    ibm.runtime("GET", "/v1/x", reply={"echo": [f"Bearer {TOKEN}", API_KEY]})
    result = run("api", {**CREDENTIALS, "path": "/v1/x"})
    assert TOKEN not in json.dumps(result)


def test_a_token_is_returned_but_hidden(ibm):
    ibm.exchange()
    result = run("iam_token", {"api_key": API_KEY})
    assert result["access_token"] == TOKEN and result["_ansible_no_log"] is True


def test_a_result_without_the_secret_is_shown(ibm):
    result = run("iam_token", {"api_key": API_KEY, "state": "absent"})
    assert result["changed"] is False and "_ansible_no_log" not in result
    ibm.exchange(status=400, reply={"errorCode": "BXNIM0415E", "errorMessage": "no"})
    result = run("iam_token", {"api_key": API_KEY})
    assert result["failed"] and "_ansible_no_log" not in result


def test_an_answer_with_a_secret_is_hidden(ibm):
    ibm.exchange()
    ibm.cloud("POST", f"{IAM}/v1/apikeys", json={"name": "n"}, reply={"id": "1", "apikey": "new-key"})
    result = run("api", {**CREDENTIALS, "method": "POST", "path": f"{IAM}/v1/apikeys", "body": {"name": "n"}})
    assert result["json"]["apikey"] == "new-key" and result["_ansible_no_log"] is True


def test_a_fault_of_ours_is_one_line_without_secrets(ibm, monkeypatch):
    shown = []
    monkeypatch.setattr(action.display, "vvv", shown.append)

    def run_badly(_module):
        raise KeyError(f"secret {API_KEY}")

    monkeypatch.setattr(usage_info, "run", run_badly)
    result = run("usage_info", CREDENTIALS)
    assert result["failed"] and result["changed"] is False
    assert result["msg"].startswith("a fault in ibm_quantum.platform.usage_info, please report it: KeyError:")
    assert "\n" not in result["msg"] and "Traceback" not in json.dumps(result)
    assert "Traceback" in shown[0] and API_KEY not in shown[0]  # the trace is for who asks for it


# -- the task's environment


def test_environment_is_applied_and_taken_off_again(ibm, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", CRN_DE)
    monkeypatch.setenv("UNTOUCHED", "x")
    before = dict(os.environ)
    ibm.exchange()
    ibm.runtime("GET", USAGE, reply={})
    outer, inner = {"IQP_API_TOKEN": "lost", "NUMBER": 7}, {"IQP_API_TOKEN": API_KEY, "QISKIT_IBM_INSTANCE": CRN}
    assert "failed" not in run("usage_info", {}, environment=[outer, inner])
    assert dict(os.environ) == before


def test_environment_is_taken_off_after_a_failure_too(ibm):
    before = dict(os.environ)
    assert run("usage_info", {"timeout": "soon"}, environment={"IQP_API_TOKEN": API_KEY})["failed"]
    with pytest.raises(AnsibleActionFail):
        run("usage_info", {}, environment={"IQP_API_TOKEN": API_KEY}, async_val=10)
    assert dict(os.environ) == before


def test_the_items_of_a_loop_have_their_own_environment(ibm):
    other = API_KEY[::-1]
    ibm.exchange(TOKEN)
    ibm.runtime("GET", USAGE, reply={})
    ibm.exchange(OTHER_TOKEN, form=api_key_form(other))
    ibm.runtime("GET", USAGE, token=OTHER_TOKEN, reply={})
    for key in (API_KEY, other):
        run("usage_info", {"instance": CRN}, environment={"IQP_API_TOKEN": key})
    assert "IQP_API_TOKEN" not in os.environ


# -- where it runs

WORKER, ELSEWHERE, REFUSED = "worker", "elsewhere", "refused"
TARGET = {"run_on": "target"}


@pytest.mark.parametrize(
    "args, keywords, where",
    [
        ({}, {}, WORKER),
        ({}, {"transport": "local"}, WORKER),
        ({}, {"transport": "ansible.builtin.local"}, WORKER),
        ({}, {"delegate_to": "localhost", "transport": "local"}, WORKER),
        ({}, {"delegate_to": "bastion", "transport": "ssh"}, ELSEWHERE),
        (TARGET, {}, ELSEWHERE),
        (TARGET, {"transport": "local"}, ELSEWHERE),
        (TARGET, {"delegate_to": "bastion"}, ELSEWHERE),
        ({}, {"async_val": 60}, REFUSED),
        ({}, {"async_val": 60, "delegate_to": "bastion"}, REFUSED),
        ({}, {"async_val": 60, "transport": "local"}, ELSEWHERE),
        (TARGET, {"async_val": 60}, ELSEWHERE),
    ],
)
def test_where_a_task_runs(ibm, args, keywords, where):
    args = {**CREDENTIALS, **args}
    task = Task("usage_info", args, **keywords)
    if where == REFUSED:
        with pytest.raises(
            AnsibleActionFail, match="add 'delegate_to: localhost', or 'run_on: target' if that is meant"
        ):
            task.run()
        return
    if where == WORKER:
        ibm.exchange()
        ibm.runtime("GET", USAGE, reply={})
    task.run()
    if where == WORKER:
        assert not task.handed_over
        return
    assert task.handed_over == [
        {
            "module_name": "ibm_quantum.platform.usage_info",
            "module_args": args,
            "task_vars": {},
            "wrap_async": keywords.get("async_val", 0),
        }
    ]


def test_what_is_handed_over_takes_no_variable_of_the_controller_along(ibm, monkeypatch):
    monkeypatch.setenv("IQP_API_TOKEN", API_KEY)
    task = Task("usage_info", {"run_on": "target"})
    task.run()
    assert task.handed_over[0]["module_args"] == {"run_on": "target"}


@pytest.mark.parametrize("name", _options.API_KEY_VARIABLES)
def test_a_key_in_the_environment_of_a_task_that_leaves_is_refused(ibm, name):
    task = Task("usage_info", {"run_on": "target"}, environment={name: API_KEY})
    with pytest.raises(AnsibleActionFail, match=f"{name} of its 'environment' would stand in a command line") as error:
        task.run()
    assert API_KEY not in str(error.value)
    assert not task.handed_over


def test_bad_options_are_refused_before_they_are_handed_over(ibm):
    task = Task("usage_info", {"run_on": "target", "timeout": "soon"})
    assert task.run()["failed"] and not task.handed_over


@pytest.mark.parametrize("transport", ["local", "ssh"])
@pytest.mark.parametrize(
    "module, args",
    [
        ("iam_token", {"api_key": API_KEY}),
        ("iam_token", {"api_key": API_KEY, "run_on": "target"}),
        ("api", {**CREDENTIALS, "path": "/v1/x", "method": "POST"}),
    ],
)
def test_async_would_print_a_secret(ibm, module, args, transport):
    task = Task(module, args, transport=transport, async_val=60)
    with pytest.raises(
        AnsibleActionFail, match="async would print the secret that this task returns: take 'async' off"
    ):
        task.run()
    assert not task.handed_over


@pytest.mark.parametrize(
    "module, args",
    [
        ("iam_token", {"api_key": API_KEY, "state": "absent"}),
        ("api", {**CREDENTIALS, "path": "/v1/x"}),
    ],
)
def test_async_of_what_returns_no_secret(ibm, module, args):
    task = Task(module, args, transport="local", async_val=60)
    task.run()
    assert len(task.handed_over) == 1


def test_a_secret_that_comes_back_from_elsewhere_is_hidden(ibm):
    task = Task("iam_token", {"api_key": API_KEY, "run_on": "target"})
    task.plugin._execute_module = lambda **_: {"changed": False, "access_token": TOKEN}
    result = task.run()
    assert result["access_token"] == TOKEN and result["_ansible_no_log"] is True


def test_the_spec_of_every_module_has_run_on():
    assert _options.argument_spec()["run_on"]["default"] == "controller"
