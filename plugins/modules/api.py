#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: api
short_description: Make any call of the IBM Quantum Platform REST APIs
version_added: "0.1.0"
description:
  - Calls the Runtime REST API, IAM, the Resource Controller, Global Search or the Global Catalog, with bearer token,
    headers, retries, paging and error texts taken care of.
  - With O(current) a call that writes becomes idempotent, and gets check mode and diff.
  - The token is sent to IBM's hosts and to those of O(runtime_url) and O(iam_url), to no other.
  - Nothing is sent to the hosts of the play.
options:
  method:
    description:
      - The HTTP method.
    type: str
    choices: [GET, HEAD, POST, PUT, PATCH, DELETE]
    default: GET
  path:
    description:
      - A path below O(runtime_url) that begins with the version, such as V(/v1/instances/usage), or a full URL of one
        of IBM's services, such as V(https://resource-controller.cloud.ibm.com/v2/resource_instances).
      - In calls that write, C({field}) stands for a field of the item that O(current) found, as in V(/v1/apikeys/{id}).
    type: str
    required: true
  query:
    description:
      - Query parameters. A list is sent as a repeated parameter, as the Runtime API wants it.
    type: dict
    default: {}
  headers:
    description:
      - Further headers, such as C(If-Match). C({field}) stands for a field of the item that O(current) found.
    type: dict
    default: {}
  body:
    description:
      - The body, which is sent as JSON.
    type: raw
  expected_status:
    description:
      - The statuses that are right. By default all below 400, but redirections in calls that write, which are not
        followed.
    type: list
    elements: int
    default: []
  paginate:
    description:
      - Whether to collect all pages of a list, whichever way the service pages.
    type: bool
    default: false
  read_only:
    description:
      - The call changes nothing although its method could, as a search by POST. It is made in check mode too, repeated
        like a GET, and never reported as a change.
    type: bool
    default: false
  current:
    description:
      - How to read what is already there, in calls that write. With it the call is made only if it is needed.
      - C(POST) is needed when nothing is found, C(DELETE) when something is, C(PUT) and C(PATCH) when what is found
        does not have all that O(desired) or O(body) says. O(desired) decides for C(POST) and C(DELETE) too if set.
      - It is also how a lost answer is settled. The call is not sent again, the module looks whether it took effect.
    type: dict
    suboptions:
      path:
        description:
          - Path or URL to read; by default O(path). An answer 404 means that nothing is there.
        type: str
      query:
        description:
          - Query parameters for reading.
        type: dict
        default: {}
      items:
        description:
          - The name of the list in the answer; by default the only list in it.
        type: str
      match:
        description:
          - Fields of the one item that is meant. Without it the whole answer is what is there.
          - It is an error if several items match, as IBM's names are not unique.
        type: dict
  desired:
    description:
      - The fields that make the call unnecessary if they are already so. By default O(body), for C(PUT) and C(PATCH).
    type: dict
attributes:
  check_mode:
    support: full
    details: Calls that only read are made. Without O(current), a call that writes is skipped and reported as a change.
  diff_mode:
    support: full
    details: Secrets in bodies are replaced.
notes:
  - An answer with a secret in it, as when an API key is made, is hidden from all output; after C(register) it can be
    used.
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: Read something that has no module of its own
  ibm_quantum.platform.api:
    path: /v1/instance
    instance: "{{ ibm_quantum_instance }}"
  register: answer

- name: Limit the instance to ten minutes of QPU time, if it is not already
  ibm_quantum.platform.api:
    method: PUT
    path: /v1/instances/configuration
    body:
      instance_limit: 600
    current: {}
    instance: "{{ ibm_quantum_instance }}"

- name: List all API keys of the account
  ibm_quantum.platform.api:
    path: https://iam.cloud.ibm.com/v1/apikeys
    query:
      account_id: "{{ ibm_quantum_account }}"
    paginate: true
  register: keys

- name: Delete the API key of that name, if there is one
  ibm_quantum.platform.api:
    method: DELETE
    path: https://iam.cloud.ibm.com/v1/apikeys/{id}
    current:
      path: https://iam.cloud.ibm.com/v1/apikeys
      query:
        account_id: "{{ ibm_quantum_account }}"
      items: apikeys
      match:
        name: old-laptop

- name: Find all IBM Quantum instances
  ibm_quantum.platform.api:
    method: POST
    path: https://api.global-search-tagging.cloud.ibm.com/v3/resources/search
    body:
      query: service_name:quantum-computing
      fields: [crn, name]
    read_only: true
    paginate: true
"""

RETURN = r"""
status:
  description: The HTTP status, V(null) where no call was needed, or none was made in check mode.
  returned: success
  type: int
  sample: 200
json:
  description: The decoded answer, its text where it is not JSON; what was found already where no call was made.
  returned: success
  type: raw
headers:
  description: The headers of the answer, their names in lower case.
  returned: when a call was made
  type: dict
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._call import Call, perform
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._secret_fields import holds_secret

ARGUMENT_SPEC = argument_spec(
    method={"type": "str", "choices": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], "default": "GET"},
    path={"type": "str", "required": True},
    query={"type": "dict", "default": {}},
    headers={"type": "dict", "default": {}},
    body={"type": "raw"},
    expected_status={"type": "list", "elements": "int", "default": []},
    paginate={"type": "bool", "default": False},
    read_only={"type": "bool", "default": False},
    current={
        "type": "dict",
        "options": {
            "path": {"type": "str"},
            "query": {"type": "dict", "default": {}},
            "items": {"type": "str"},
            "match": {"type": "dict"},
        },
    },
    desired={"type": "dict"},
)


def returns_secret(params: dict[str, Any], result: dict[str, Any] | None = None) -> bool:
    """Whether a result must be hidden; without one, whether it could have to be."""
    return params["method"] not in ("GET", "HEAD") if result is None else holds_secret(result.get("json"))


def run(module: ModuleLike) -> dict[str, Any]:
    call = Call(**{name: module.params[name] for name in Call._fields})
    outcome = perform(Client(module), call, module.check_mode)
    result: dict[str, Any] = {"changed": outcome.changed, "status": None, "json": outcome.found}
    if outcome.diff:
        result["diff"] = outcome.diff
    if outcome.notice:
        module.warn(outcome.notice)
    if outcome.reply:
        headers = {name.lower(): value for name, value in outcome.reply.headers.items()}
        headers.pop("set-cookie", None)
        result.update(status=outcome.reply.status, json=outcome.reply.json, headers=headers)
    return result


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC)
