# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a module of this collection is: an ARGUMENT_SPEC and ``run(module)``, which returns the result.

``run`` is called by the action plugin ``api`` in Ansible's own worker, or by :func:`main` where the module was sent to
a host. Both give it an object of this shape, and both turn its errors into the same results.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Callable, Protocol

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._http import REQUESTS_IMPORT_ERROR
from ansible_collections.ibm_quantum.platform.plugins.module_utils._secret_fields import mask

Result = dict  # a module's result as Ansible knows it


class ModuleLike(Protocol):
    """The part of AnsibleModule that ``run`` may use."""

    params: dict[str, Any]
    check_mode: bool
    no_log_values: set[str]

    def warn(self, warning: str) -> None:
        """Show a warning to the user."""

    def progress(self, text: str) -> None:
        """Show at once how work is going that takes long; only a task that runs in Ansible's worker can."""


def outcome(run: Callable[[Any], Result], module: ModuleLike) -> Result:
    """Run a module; what it raises becomes a failed result with one clear ``msg``."""
    if REQUESTS_IMPORT_ERROR is not None:
        return {"failed": True, "msg": missing_required_lib("requests")}
    try:
        return run(module)
    except OptionError as error:
        return {"failed": True, "msg": str(error)}
    except ApiError as error:
        return {"failed": True, **error.as_result()}


def invocation(params: dict[str, Any], argument_spec: dict[str, Any]) -> dict[str, Any]:
    """A result's ``invocation``: the options, without the secrets that also stand inside of bodies and headers."""
    hidden = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    secret = {name for name, option in argument_spec.items() if option.get("no_log")}
    shown = {name: hidden if value and name in secret else mask(value) for name, value in params.items()}
    return {"module_args": shown}


class _Module(AnsibleModule):
    def _log_invocation(self) -> None:
        """Nothing into the host's log: Ansible hides whole options there, not the secrets in a body or a header."""

    def progress(self, text: str) -> None:
        """Nobody sees what an ordinary module prints before its end."""


def main(run: Callable[[Any], Result], argument_spec: dict[str, Any], **constraints: Any) -> None:
    """Run a module as an ordinary one, on the host it was sent to."""
    module = _Module(argument_spec=argument_spec, supports_check_mode=True, **constraints)
    result = outcome(run, module)
    result["invocation"] = invocation(module.params, argument_spec)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)
