# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options that all API modules share; _options.CONNECTION_SPEC holds the same, a unit test compares them.
    DOCUMENTATION = r"""
options:
  api_key:
    description:
      - The IBM Cloud API key, which is exchanged for a bearer token. That happens once an hour for all hosts and plays
        of a user, see O(token_cache).
      - An API key from the environment gives way to O(bearer_token) and O(trusted_profile); one that is written in the
        task beside them is refused.
      - If not set, the environment variables E(IQP_API_TOKEN), E(QISKIT_IBM_TOKEN) and E(IBMCLOUD_API_KEY) of the
        controller are tried in this order.
    type: str
  bearer_token:
    description:
      - A bearer token that was obtained elsewhere, such as RV(ibm_quantum.platform.iam_token#module:access_token). It
        is used as it is, and never renewed.
    type: str
  trusted_profile:
    description:
      - The name, ID or CRN of a trusted profile, which is assumed with the token of the compute resource the task runs
        on, instead of an API key.
    type: str
  cr_token_file:
    description:
      - The file with the compute resource's token, for O(trusted_profile).
      - If not set, the places where IBM's platforms mount it are tried.
    type: path
  instance:
    description:
      - The CRN of the IBM Quantum instance, as the instances page shows it.
      - Needed for the Runtime API, not for IAM.
      - If not set, the environment variable E(QISKIT_IBM_INSTANCE) of the controller is used.
    type: str
  runtime_url:
    description:
      - The base URL of the Runtime REST API, without the version.
      - By default the one of the region in O(instance), V(https://quantum.cloud.ibm.com/api) for us-east.
      - Plain C(http) is refused for all but this machine's own addresses.
      - If not set, the environment variable E(IBM_QUANTUM_RUNTIME_URL) of the controller is used.
    type: str
  iam_url:
    description:
      - The base URL of IBM Cloud IAM. By default V(https://iam.cloud.ibm.com).
      - If not set, the environment variable E(IAM_URL) of the controller is used.
    type: str
  api_version:
    description:
      - The version of the Runtime API, sent as the header C(IBM-API-Version).
    type: str
    default: "2026-04-15"
  private_endpoint:
    description:
      - Use the private endpoints, which are reachable from an IBM Cloud VPC only.
    type: bool
    default: false
  validate_certs:
    description:
      - Whether to check the certificates of the servers.
    type: bool
    default: true
  ca_path:
    description:
      - A file with the CA certificates to trust, for proxies that inspect TLS.
    type: path
  proxy:
    description:
      - The URL of the proxy, with user and password if it wants them.
      - If not set, E(HTTPS_PROXY) and E(NO_PROXY) of the environment count.
    type: str
  timeout:
    description:
      - Seconds to wait for an answer, V(1) to V(900). A connection is given up after ten seconds.
    type: int
    default: 60
  retries:
    description:
      - How many times a request is repeated when the connection fails or IBM answers 429 or 5xx, V(0) to V(10), with
        growing pauses; C(Retry-After) is honoured.
      - A request that creates something is repeated only where it certainly was not processed.
    type: int
    default: 4
  token_cache:
    description:
      - Whether to share the bearer token with other tasks, hosts and plays of the same user, through files with mode
        0600 below E(XDG_RUNTIME_DIR) or E(XDG_CACHE_HOME). The API key is never stored.
    type: bool
    default: true
"""

    # What only modules have.
    MODULE = r"""
options:
  run_on:
    description:
      - V(controller) makes the calls in Ansible's own process, whatever hosts the play names; no connection is opened.
      - V(target) sends the module to the task's host like any other, with the options of the task, and needs Python's
        C(requests) there. A task that is delegated to a host with a non-local connection does the same.
    type: str
    choices: [controller, target]
    default: controller
attributes:
  check_mode:
    description: Can run in check mode and says what it would change, without changing anything.
  diff_mode:
    description: Says in detail what it changed, or in check mode would change.
  action:
    description: Has an action plugin, so that some of its work runs on the controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: partial
    details:
      - With a local connection, or with O(run_on=target).
      - Refused elsewhere, so that no API key reaches a host by accident.
"""
