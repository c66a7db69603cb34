# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name; a change that could cut the host off is confirmed over a new connection."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import CONFIRM_TIMEOUT

MODULE = "ibm_quantum.platform.egress_allowlist"


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_async = False  # the confirmation comes from here, and nobody is here with async

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        try:
            result: dict[str, Any] = self._execute_module(MODULE, arguments, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            seconds = arguments.get("confirm_timeout", CONFIRM_TIMEOUT)
            raise AnsibleConnectionFailure(
                f"{error} (should the new rules have cut this connection, the host rolls them back by itself within "
                f"{seconds} seconds: then see to management_ports and to other firewalls of the host)"
            ) from error
        pending = result.pop("pending_confirmation", None)
        if not pending:
            return result
        try:
            # The connection there is proves nothing: it may live on in connection tracking while new ones are cut off.
            self._connection.reset()
            answer = self._execute_module(MODULE, {**arguments, "confirm": pending["token"]}, task_vars=task_vars)
        except AnsibleError as error:
            answer = {"failed": True, "msg": str(error), "reason": "not_confirmed"}
        if answer.get("failed"):
            said = answer.get("msg") or answer.get("module_stderr") or answer.get("module_stdout") or "nothing"
            return {
                "failed": True,
                "changed": False,
                "reason": answer.get("reason", "not_confirmed"),
                "diff": result.get("diff", {}),
                "msg": "The allowlist was loaded but could not be confirmed over a new connection; the host rolls it "
                f"back by itself within {pending['seconds']} seconds of the start. See to management_ports and to "
                f"other firewalls of the host. The connection said: {str(said).strip()}",
            }
        result["counters"] = answer["counters"]
        for key in ("warnings", "deprecations"):
            more = [entry for entry in answer.get(key, []) if entry not in result.get(key, [])]
            if more:
                result[key] = [*result.get(key, []), *more]
        return result
