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
from ansible.plugins.lookup import LookupBase

from ansible_collections.ibm_quantum.platform.plugins.plugin_utils._lookup import ask


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleLookupError("the lookup iam_token takes options only, such as api_key=...")
        return ask(self, "iam_token", {}, lambda client, _params: client.iam.token().value)
