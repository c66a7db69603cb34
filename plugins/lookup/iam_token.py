# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: iam_token
short_description: Exchange an IBM Cloud API key for a bearer token
version_added: "0.1.0"
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
description:
  - Returns the bearer token of an API key or trusted profile, on the controller, from the shared cache while it has a
    fifth of its life left.
  - A lookup cannot hide its result, so put C(no_log) on tasks that use it.
extends_documentation_fragment:
  - ibm_quantum.platform.api
seealso:
  - module: ibm_quantum.platform.iam_token
"""

EXAMPLES = r"""
- name: Give a program a bearer token instead of the API key
  ansible.builtin.command: /usr/local/bin/report
  environment:
    BEARER_TOKEN: "{{ lookup('ibm_quantum.platform.iam_token', api_key=ibm_quantum_api_key) }}"
  no_log: true
  changed_when: false
"""

RETURN = r"""
_raw:
  description: One bearer token, without the word Bearer.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import CONNECTION_SPEC

display = Display()


class _Options:
    """The lookup's options in the shape that a module gives them, see ``_module.ModuleLike``."""

    check_mode = False

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.no_log_values: set[str] = set()

    def warn(self, warning: str) -> None:
        display.warning(warning)


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleLookupError("the lookup iam_token takes options only, such as api_key=...")
        given = {name: value for name, value in self.get_options().items() if value is not None}
        validated = ArgumentSpecValidator(CONNECTION_SPEC).validate(given)
        if validated.error_messages:
            raise AnsibleLookupError(f"iam_token: {validated.errors.msg}")
        try:
            return [Client(_Options(validated.validated_parameters)).iam.token().value]
        except (ApiError, OptionError) as exc:
            raise AnsibleLookupError(f"iam_token: {exc}") from None
