# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the collection's API modules in Ansible's own worker process: no zip, no copy, no new Python, no SSH.

Every API module has this plugin under its own name. The module's file stays the single source: its ARGUMENT_SPEC is
validated and its ``run()`` called with an object that stands in for AnsibleModule. Where the user wants the call to
leave from elsewhere, the very same file is sent there as an ordinary module.
"""

from __future__ import annotations

import os
import traceback
from contextlib import contextmanager
from datetime import date
from importlib import import_module
from typing import Any, Iterator

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import invocation, outcome
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import API_KEY_VARIABLES

MODULES = "ansible_collections.ibm_quantum.platform.plugins.modules."

display = Display()

# Ansible compiles a collection's code in every process anew; what all API modules share is best loaded before it forks.
import_module(MODULES + "api")


class WorkerModule:
    """What ``run()`` sees in the worker: see ``_module.ModuleLike``."""

    def __init__(self, params: dict[str, Any], check_mode: bool, no_log_values: set[str], host: str) -> None:
        self.host = host
        self.params = params
        self.check_mode = check_mode
        self.no_log_values = no_log_values
        self.warnings: list[str] = []

    def warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)

    def progress(self, text: str) -> None:
        text = remove_values(f"[{self.host}] {text}", {value for value in self.no_log_values if value})
        display.display(text, stderr=True)  # Ansible flushes stdout only at its end, where that is no terminal


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        name = self._task.action.rpartition(".")[2]
        module = import_module(MODULES + name)
        returns_secret = getattr(module, "returns_secret", lambda params, result=None: False)
        host = str((task_vars or {}).get("inventory_hostname", "localhost"))
        with self._task_environment() as environment:
            validated = ArgumentSpecValidator(module.ARGUMENT_SPEC, **getattr(module, "CONSTRAINTS", {})).validate(
                _as_json(self._task.args)
            )
            params, secrets = validated.validated_parameters, set(validated._no_log_values)
            if validated.error_messages:
                return self._finish({"failed": True, "msg": _argument_error(name, validated)}, secrets)
            if self._leaves_controller(params, returns_secret(params)):
                _refuse_key_in(environment)
                result = self._execute_module(
                    module_name=f"ibm_quantum.platform.{name}",
                    module_args=self._task.args,
                    task_vars=task_vars,
                    wrap_async=self._task.async_val,
                )
            else:
                result = self._in_worker(module, params, secrets, host)
                result["invocation"] = invocation(params, module.ARGUMENT_SPEC)
                _add_notices(result, validated)
                result = self._finish(result, secrets)
        if returns_secret(params, result):
            result["_ansible_no_log"] = True
        return result

    def _in_worker(self, module: Any, params: dict[str, Any], secrets: set[str], host: str) -> dict[str, Any]:
        worker = WorkerModule(params, bool(self._task.check_mode), secrets, host)
        try:
            result = outcome(module.run, worker)
        except Exception as exc:  # a fault of ours: say so in one line, the trace is for who asks with -vvv
            display.vvv(remove_values(traceback.format_exc(), secrets))
            result = {
                "failed": True,
                "msg": f"a fault in {self._task.action}, please report it: {type(exc).__name__}: {exc}",
            }
        result.setdefault("changed", False)
        if worker.warnings:
            result["warnings"] = worker.warnings
        return result

    def _leaves_controller(self, params: dict[str, Any], secret: bool) -> bool:
        """Whether the task asks to run elsewhere, as an ordinary module. Refuses what would spill a secret."""
        local = self._connection.transport in ("local", "ansible.builtin.local")
        if self._task.async_val:
            if secret:
                raise AnsibleActionFail("async would print the secret that this task returns: take 'async' off it")
            if not local and params["run_on"] != "target":
                raise AnsibleActionFail(
                    "async starts a process where the play's host is, and the API key would go there: "
                    "add 'delegate_to: localhost', or 'run_on: target' if that is meant"
                )
            return True
        return params["run_on"] == "target" or bool(self._task.delegate_to and not local)

    @contextmanager
    def _task_environment(self) -> Iterator[dict[str, Any]]:
        """Apply the task's ``environment:`` to this worker, and take it off again: the next loop item has its own."""
        wanted: dict[str, Any] = {}
        self._compute_environment_string(wanted)
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update({name: str(value) for name, value in wanted.items()})
        try:
            yield wanted
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    @staticmethod
    def _finish(result: dict[str, Any], secrets: set[str]) -> dict[str, Any]:
        """Take every secret out of a result, as AnsibleModule does; an action plugin gets no help with it."""
        return remove_values(result, {value for value in secrets if value})


def _as_json(value: Any) -> Any:
    """Options as a module gets them, through JSON: what YAML takes for a date is a text there."""
    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _refuse_key_in(environment: dict[str, Any]) -> None:
    """Ansible hands a task's environment to an ordinary module in a command line, which every user of a host sees."""
    exposed = [name for name in API_KEY_VARIABLES if environment.get(name)]
    if exposed:
        raise AnsibleActionFail(
            f"the task leaves the controller, and {exposed[0]} of its 'environment' would stand in a command line: "
            "give the key as 'api_key' instead"
        )


def _argument_error(name: str, validated: Any) -> str:
    """The text that AnsibleModule would fail with."""
    message = validated.errors.msg
    if isinstance(validated.errors[0], UnsupportedError):
        return f"Unsupported parameters for (ibm_quantum.platform.{name}) module: {message}"
    return str(message)


def _add_notices(result: dict[str, Any], validated: Any) -> None:
    """What the validation has to tell: deprecated options, an option and its alias both set."""
    for warning in validated._warnings:
        result.setdefault("warnings", []).append(
            f"Both option {warning['option']} and its alias {warning['alias']} are set."
        )
    for notice in validated._deprecations:
        result.setdefault("deprecations", []).append(
            {
                "msg": notice["msg"],
                "version": notice.get("version"),
                "date": notice.get("date"),
                "collection_name": notice.get("collection_name"),
            }
        )
