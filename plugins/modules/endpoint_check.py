#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: endpoint_check
short_description: Check from a host that it reaches the IBM Quantum Platform, and say why not
version_added: 0.1.0
description:
  - Probes every endpoint of IBM's firewall list for the chosen regions and features, all at once and from the managed
    host itself. It looks at DNS, TCP, the proxy, TLS and HTTP, and returns one row for each endpoint.
  - Fails when an endpoint is not as O(expect) says, with one line for each that gives the cause and the remedy.
  - Any HTTP answer of the service is good enough, also 401 or 404. No credentials are sent.
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ibm_quantum.platform.endpoints
attributes:
  check_mode:
    support: full
    details: The module only reads.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  endpoints:
    description: More endpoints to probe; the only ones where O(features) is an empty list.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: A host name or an address.
        type: str
        required: true
      port:
        description: The TCP port.
        type: int
        default: 443
      tls:
        description: Whether TLS is spoken there.
        type: bool
        default: true
      path:
        description: The path to ask for.
        type: str
        default: /
      expect:
        description: What this endpoint is expected to be. The default is O(expect).
        type: str
        choices: [reachable, blocked]
  expect:
    description:
      - What the endpoints are expected to be.
      - V(blocked) is met where traffic is dropped, rejected, refused or cut. A closed port looks like a firewall.
        A name that does not resolve proves nothing and does not meet it.
    type: str
    choices: [reachable, blocked]
    default: reachable
  proxy:
    description:
      - The HTTP proxy to go through, as V(http://HOST:PORT) or V(http://USER:PASSWORD@HOST:PORT), or the same with
        V(https) for one that is spoken to by TLS.
      - If not set, E(HTTPS_PROXY), E(HTTP_PROXY), E(ALL_PROXY) and E(NO_PROXY) count, as
        M(ibm_quantum.platform.environment) wrote them on the host, else those of the module's environment.
        An empty string means no proxy.
      - The password appears in no output.
    type: str
  ca_path:
    description:
      - A file or folder of CA certificates on the host to trust in place of the host's own.
      - If not set, E(REQUESTS_CA_BUNDLE) counts, as it does for IBM's client, from the same places as for O(proxy).
    type: path
  timeout:
    description:
      - Seconds for each of the stages DNS, TCP, proxy, TLS and HTTP, V(1) to V(60).
    type: int
    default: 5
seealso:
  - module: ibm_quantum.platform.environment
  - name: Configure your firewall
    description: IBM's list of endpoints.
    link: https://quantum.cloud.ibm.com/docs/en/guides/quickstart-steps-org
"""

EXAMPLES = r"""
- name: Everything that us-east needs
  ibm_quantum.platform.endpoint_check:

- name: Both regions through a proxy, REST only
  ibm_quantum.platform.endpoint_check:
    regions: [us-east, eu-de]
    features: [rest]
    proxy: http://proxy.example.com:3128

- name: The allowlist is enforced, and lets through what it should
  ibm_quantum.platform.endpoint_check:
    endpoints:
      - host: example.com
        expect: blocked

- name: See the rows whatever they say
  ibm_quantum.platform.endpoint_check:
  register: check
  failed_when: false

- name: Fewer than 30 days left on a certificate
  ansible.builtin.debug:
    msg: "{{ check.endpoints | selectattr('tls') | selectattr('tls.days_left', 'lt', 30) | map(attribute='host') }}"
"""

RETURN = r"""
endpoints:
  description: One row for each endpoint.
  returned: when the options are valid
  type: list
  elements: dict
  contains:
    host:
      description: The name or address.
      type: str
      sample: quantum.cloud.ibm.com
    port:
      description: The port.
      type: int
      sample: 443
    purpose:
      description: What the endpoint is for; empty for those of O(endpoints).
      type: str
      sample: Runtime REST API, us-east
    expect:
      description: What was expected.
      type: str
      sample: reachable
    ok:
      description: Whether it is as expected.
      type: bool
      sample: true
    reachable:
      description: Whether the service answered.
      type: bool
      sample: true
    diagnosis:
      description:
        - V(ok), or what is wrong.
        - V(no_dns), V(dns_timeout), V(blocked) (no answer), V(rejected) (by a firewall), V(no_route), V(refused),
          V(reset), V(no_answer) (connected, then silence).
        - V(not_tls), V(tls_intercepted) (by a CA that the host does not trust), V(tls_expired), V(tls_wrong_name),
          V(tls_failed).
        - V(proxy_unreachable), V(proxy_auth_required), V(proxy_refused), V(proxy_failed).
        - V(not_http), V(http_error) (500 and above), V(edge_refused) (IBM's edge refuses the country or network).
      type: str
      sample: ok
    remedy:
      description: What to do about it; empty if nothing.
      type: str
      sample: ""
    proxy:
      description: The proxy gone through, without its credentials, or null.
      type: str
      sample: http://proxy.example.com:3128
    addresses:
      description: The addresses tried (the proxy's if there is one). RV(endpoints[].addresses[].ok) is null for one
        that had not answered when another one was in use already.
      type: list
      elements: dict
      contains:
        address:
          description: The address.
          type: str
          sample: 192.0.2.7
        ok:
          description: Whether it took the connection.
          type: bool
          sample: true
        error:
          description: Why not, or null.
          type: str
          sample: null
    stages:
      description: The stages C(dns), C(tcp), C(proxy), C(tls) and C(http). Each is null if it was not come to, else it
        has C(ok), C(ms) (milliseconds) and C(error).
      type: dict
      sample:
        dns: {ok: true, ms: 1.2, error: null}
        tcp: {ok: true, ms: 20.1, error: null}
        proxy: null
        tls: {ok: true, ms: 41.0, error: null}
        http: {ok: true, ms: 22.5, error: null}
    tls:
      description: The server's certificate and the TLS version, or null if there was none.
      type: dict
      sample:
        issuer: C=US, O=DigiCert Inc, CN=DigiCert TLS RSA SHA256 2020 CA1
        subject: CN=quantum.cloud.ibm.com
        names: [quantum.cloud.ibm.com]
        not_before: "2026-01-01T00:00:00Z"
        not_after: "2027-01-01T23:59:59Z"
        days_left: 211
        version: TLSv1.3
    status:
      description: The HTTP status, or null.
      type: int
      sample: 200
proxies:
  description: The proxies that were gone through, without their credentials; empty if none.
  returned: when the options are valid
  type: list
  elements: str
  sample: [http://proxy.example.com:3128]
reachable:
  description: How many endpoints are reachable.
  returned: when the options are valid
  type: int
  sample: 7
failed_endpoints:
  description: Those that are not as expected, as V(HOST:PORT).
  returned: when the options are valid
  type: list
  elements: str
  sample: []
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import CATALOGUE_SPEC
from ansible_collections.ibm_quantum.platform.plugins.module_utils._expectations import EXPECT, complaint, judged
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_module import HostModule, proxy_secrets

ARGUMENT_SPEC: dict[str, Any] = {
    **CATALOGUE_SPEC,
    "endpoints": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 443},
            "tls": {"type": "bool", "default": True},
            "path": {"type": "str", "default": "/"},
            "expect": {"type": "str", "choices": list(EXPECT)},
        },
    },
    "expect": {"type": "str", "choices": list(EXPECT), "default": "reachable"},
    "proxy": {"type": "str", "no_log": True},
    "ca_path": {"type": "path"},
    "timeout": {"type": "int", "default": 5},
}


def run(module: HostModule) -> dict[str, Any]:
    """Probe, and judge. Raises :class:`OptionError`."""
    rows = judged(module.params)
    bad = [row for row in rows if not row["ok"]]
    result = {
        "changed": False,
        "endpoints": rows,
        "proxies": sorted({row["proxy"] for row in rows if row["proxy"]}),
        "reachable": sum(row["reachable"] for row in rows),
        "failed_endpoints": [f"{row['host']}:{row['port']}" for row in bad],
    }
    if bad:
        lines = [complaint(row) for row in bad]
        result.update(
            failed=True,
            msg="\n".join([f"{len(bad)} of {len(rows)} endpoints are not as expected:", *lines]),
        )
    return result


def main() -> None:
    HostModule(ARGUMENT_SPEC, hidden=(), secrets=proxy_secrets).carry_out(run)


if __name__ == "__main__":
    main()
