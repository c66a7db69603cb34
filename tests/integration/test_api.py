# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``api``: desired state, lists in pages, and whatever can go wrong on the way."""

from __future__ import annotations

import hashlib

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import Controller

_LAPTOP = "current: {path: '{{ url }}/v1/apikeys', items: apikeys, match: {name: laptop}}"
#: Creates an API key, whatever there is.
BLIND = f"{{method: POST, path: '{{{{ url }}}}/v1/apikeys', body: {{name: laptop, iam_id: {data.IAM_ID}}}}}"
#: Creates the API key of that name, if there is none.
CREATE = f"{BLIND[:-1]}, {_LAPTOP}}}"
#: Deletes it.
DELETE = f"{{method: DELETE, path: '{{{{ url }}}}/v1/apikeys/{{id}}', {_LAPTOP}}}"


def _writes(emulator: EmulatorProcess, service: str) -> list[tuple[str, int]]:
    return [(row["method"], row["status"]) for row in emulator.journal(service=service) if row["method"] != "GET"]


def test_put_is_idempotent(controller: Controller, emulator: EmulatorProcess) -> None:
    limit = "method: PUT, path: /v1/instances/configuration, body: {instance_limit: 6000}, current: {}"
    run = controller.tasks(
        f"""
        - name: predicted
          ibm_quantum.platform.api: {{{limit}}}
          check_mode: true
        - name: done
          ibm_quantum.platform.api: {{{limit}}}
        - name: unchanged
          ibm_quantum.platform.api: {{{limit}}}
        - name: wanted elsewhere
          ibm_quantum.platform.api: {{{limit}, desired: {{instance_limit: 7000}}}}
          check_mode: true
        - name: refused
          ibm_quantum.platform.api:
            method: PUT
            path: /v1/instances/configuration
            body: {{instance_limit: 10}}
            current: {{}}
          ignore_errors: true
        - name: without current
          ibm_quantum.platform.api:
            method: PUT
            path: /v1/instances/configuration
            body: {{instance_limit: 6000}}
        """,
        "--diff",
    ).succeeded()
    predicted, done = run.one("predicted"), run.one("done")
    assert predicted["changed"]
    assert predicted["diff"] == done["diff"]
    assert (done["diff"]["before"], done["diff"]["after"]) == ({"instance_limit": 10000}, {"instance_limit": 6000})
    assert (done["changed"], done["status"], done["json"]) == (True, 204, None)
    unchanged = run.one("unchanged")
    assert (unchanged["changed"], unchanged["status"], unchanged["json"]) == (False, None, {"instance_limit": 6000})
    assert unchanged["diff"]["before"] == unchanged["diff"]["after"]
    assert run.one("wanted elsewhere")["changed"]
    assert run.one("refused")["error"]["status"] == 409
    assert "The usage exceeds the instance limit" in run.one("refused")["msg"]
    assert run.one("without current")["changed"]
    assert _writes(emulator, "runtime") == [("PUT", 204), ("PUT", 409), ("PUT", 204)]


def test_api_keys_made_used_and_deleted(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.tasks(
        f"""
        - name: predicted
          ibm_quantum.platform.api: {CREATE}
          check_mode: true
        - name: made
          ibm_quantum.platform.api: {CREATE}
          register: made
        - name: used
          ibm_quantum.platform.usage_info:
            api_key: "{{{{ made.json.apikey }}}}"
        - name: digest
          ansible.builtin.debug:
            msg: "{{{{ made.json.apikey | hash('sha256') }}}}"
        - name: made again
          ibm_quantum.platform.api: {CREATE}
          register: again
        - name: described
          ibm_quantum.platform.api:
            method: PUT
            path: "{{{{ url }}}}/v1/apikeys/{{id}}"
            headers: {{If-Match: "{{entity_tag}}"}}
            body: {{description: of the fleet}}
            {_LAPTOP}
          register: described
        - name: deletion predicted
          ibm_quantum.platform.api: {DELETE}
          check_mode: true
        - name: deleted
          ibm_quantum.platform.api: {DELETE}
        - name: deleted again
          ibm_quantum.platform.api: {DELETE}
        - name: nothing to fill in
          ibm_quantum.platform.api:
            method: PUT
            path: "{{{{ url }}}}/v1/apikeys/{{id}}"
            body: {{description: x}}
            {_LAPTOP}
          ignore_errors: true
        """,
        "-vvv",
    ).succeeded()
    secret = emulator.tokens()["api_keys"][-1]
    assert run.one("predicted")["changed"]
    assert "censored" in run.one("made")
    assert run.one("digest")["msg"] == hashlib.sha256(secret.encode()).hexdigest()
    assert run.one("used")["usage"]["instance_id"] == data.INSTANCE_US
    assert secret not in run.text
    assert not run.one("made again")["changed"]
    assert run.one("made again")["json"]["name"] == "laptop"
    assert run.one("described")["json"]["description"] == "of the fleet"
    assert run.one("deletion predicted")["changed"]
    assert run.one("deleted")["status"] == 204
    assert not run.one("deleted again")["changed"]
    assert "nothing was found to take {id} from" in run.one("nothing to fill in")["msg"]
    assert _writes(emulator, "iam") == [("POST", 201), ("PUT", 200), ("DELETE", 204)]


def test_lost_answers_and_ambiguity(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.fault("lost_answer", method="POST", path="/v1/apikeys$")
    emulator.fault("dropped", method="POST", path="/v1/apikeys$")
    emulator.fault("503", method="POST", path="/v1/apikeys$")
    run = controller.tasks(
        f"""
        - name: lost
          ibm_quantum.platform.api: {CREATE}
        - name: there
          ibm_quantum.platform.api: {CREATE}
        - name: deleted
          ibm_quantum.platform.api: {DELETE}
        - name: never arrived
          ibm_quantum.platform.api: {CREATE}
          ignore_errors: true
        - name: blind
          ibm_quantum.platform.api: {BLIND}
          ignore_errors: true
        - name: two
          ibm_quantum.platform.api: {BLIND}
          loop: [1, 2]
        - name: which
          ibm_quantum.platform.api: {DELETE}
          ignore_errors: true
        """
    ).succeeded()
    assert run.one("lost")["changed"]
    assert run.one("lost")["json"]["name"] == "laptop"
    assert "the answer was lost, but the call took effect" in run.text
    assert not run.one("there")["changed"]
    assert run.one("deleted")["changed"]
    assert "It did not take effect: run the task again" in run.one("never arrived")["msg"]
    assert run.one("blind")["error"]["outcome_unknown"]
    ids = [row["id"] for row in _keys(emulator, controller) if row["name"] == "laptop"]
    assert len(ids) == 2
    assert "2 items match" in run.one("which")["msg"]
    assert all(id in run.one("which")["msg"] for id in ids)
    # each of the failures was sent once
    assert _writes(emulator, "iam") == [
        ("POST", 201),
        ("DELETE", 204),
        ("POST", None),
        ("POST", 503),
        ("POST", 201),
        ("POST", 201),
    ]


def _keys(emulator: EmulatorProcess, controller: Controller) -> list[dict[str, str]]:
    run = controller.tasks(
        '- name: list\n  ibm_quantum.platform.api: {path: "{{ url }}/v1/apikeys", paginate: true}\n'
    ).succeeded()
    found: list[dict[str, str]] = run.one("list")["json"]["apikeys"]
    return found


def test_lists_in_pages(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.settings(page_size=2)
    run = controller.tasks(
        """
        - name: keys
          ibm_quantum.platform.api:
            method: POST
            path: "{{ url }}/v1/apikeys"
            body: {name: "key {{ item }}", iam_id: "{{ iam_id }}"}
          loop: [1, 2, 3]
        - name: apikeys
          ibm_quantum.platform.api: {path: "{{ url }}/v1/apikeys", query: {scope: account}, paginate: true}
        - name: instances
          ibm_quantum.platform.api: {path: "{{ url }}/v2/resource_instances", paginate: true}
        - name: search
          ibm_quantum.platform.api:
            method: POST
            path: "{{ url }}/v3/resources/search"
            body: {query: "service_name:quantum-computing", fields: [crn, name]}
            read_only: true
            paginate: true
          check_mode: true
        - name: workloads
          ibm_quantum.platform.api: {path: /v1/workloads, query: {mode: [job, batch], sort: createdAt}, paginate: true}
        - name: one page
          ibm_quantum.platform.api: {path: "{{ url }}/v2/resource_instances"}
        - name: no list
          ibm_quantum.platform.api: {path: /v1/instances/usage, paginate: true}
        """,
        variables={"iam_id": data.IAM_ID},
    ).succeeded()
    mine = [seed for seed in data.INSTANCES if seed.crn != data.OTHER_INSTANCE]
    names = ["fleet", "key 1", "key 2", "key 3", "last-year"]
    assert [key["name"] for key in run.one("apikeys")["json"]["apikeys"]] == names
    assert "next" not in run.one("apikeys")["json"]
    assert {row["crn"] for row in run.one("instances")["json"]["resources"]} == {seed.crn for seed in mine}
    assert {row["name"] for row in run.one("search")["json"]["items"]} == {seed.name for seed in mine}
    assert not run.one("search")["changed"]
    workloads = run.one("workloads")["json"]
    assert len(workloads["workloads"]) == workloads["total_count"] > 2
    assert len({row["id"] for row in workloads["workloads"]}) == workloads["total_count"]
    assert {row["mode"] for row in workloads["workloads"]} == {"job", "batch"}
    assert len(run.one("one page")["json"]["resources"]) == 2
    assert run.one("no list")["json"]["instance_id"] == data.INSTANCE_US


def test_what_can_go_wrong(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.fault("429", path="/v1/versions$", headers={"retry-after": "0"}, times=2)
    emulator.fault("429", path="/v1/accounts", headers={"retry-after": "3600"}, times=None)
    emulator.fault("edge_403", path="/v1/tags", times=None)
    emulator.fault("503", path="/v1/instance$", times=1)
    emulator.fault("truncated", path="/v1/backends$", times=1)
    emulator.fault("truncated", path="/v1/workloads$", times=None)
    emulator.fault("502", path="/status$", times=None)
    emulator.fault("lost_answer", method="PUT", path="/v1/instances/configuration$")
    run = controller.tasks(
        """
        - name: limited
          ibm_quantum.platform.api: {path: /v1/versions}
        - name: limited for long
          ibm_quantum.platform.api: {path: "/v1/accounts/{{ account }}"}
          ignore_errors: true
        - name: edge
          ibm_quantum.platform.api: {path: /v1/tags}
          ignore_errors: true
        - name: comes back
          ibm_quantum.platform.api: {path: /v1/instance}
        - name: cut once
          ibm_quantum.platform.api: {path: /v1/backends}
        - name: always cut
          ibm_quantum.platform.api: {path: /v1/workloads, retries: 1}
          ignore_errors: true
        - name: gateway
          ibm_quantum.platform.api: {path: /v1/backends/ibm_fez/status, retries: 0}
          ignore_errors: true
        - name: repeatable
          ibm_quantum.platform.api: {method: PUT, path: /v1/instances/configuration, body: {instance_limit: 6000}}
        - name: expected
          ibm_quantum.platform.api: {path: /v1/backends/ibm_fez/defaults, expected_status: [404]}
        - name: unexpected
          ibm_quantum.platform.api: {path: /v1/instance, expected_status: [204]}
          ignore_errors: true
        - name: nobody there
          ibm_quantum.platform.usage_info: {runtime_url: "http://127.0.0.1:9/api", retries: 0}
          ignore_errors: true
        - name: dead proxy
          ibm_quantum.platform.usage_info: {proxy: "http://fleet:s3cret-of-the-proxy@127.0.0.1:9", retries: 0}
          ignore_errors: true
        """,
        variables={"account": data.ACCOUNT_ID},
    ).succeeded()
    statuses = [row["status"] for row in emulator.journal() if row["path"].endswith("/v1/versions")]
    assert statuses == [429, 429, 200]
    # Retry-After of an hour is an answer, not a wait
    assert run.one("limited for long")["error"]["status"] == 429
    assert "IBM asks to wait 3600 seconds: run the task again after that" in run.one("limited for long")["msg"]
    assert 'an HTML page titled "Access Denied" (403)' in run.one("edge")["msg"]
    assert "try from another network, or set 'proxy'" in run.one("edge")["msg"]
    assert run.one("comes back")["status"] == 200
    assert run.one("cut once")["json"]["devices"]
    assert "the connection broke before the answer was complete" in run.one("always cut")["msg"]
    assert 'an HTML page titled "502 Bad Gateway" (502)' in run.one("gateway")["msg"]
    assert run.one("repeatable")["status"] == 204
    assert len(emulator.journal(method="PUT")) == 2
    assert run.one("expected")["status"] == 404
    assert run.one("expected")["json"]["errors"][0]["code"] == 1007
    assert "answered 200, expected 204" in run.one("unexpected")["msg"]
    assert "the connection was refused" in run.one("nobody there")["msg"]
    assert "the proxy cannot be reached" in run.one("dead proxy")["msg"]
    assert "s3cret-of-the-proxy" not in run.text


def test_refused_before_anything_is_sent(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.tasks(
        """
        - name: stranger
          ibm_quantum.platform.api: {path: "https://quantum.example.com/v1/instance"}
          ignore_errors: true
        - name: user in the URL
          ibm_quantum.platform.api: {path: "https://iam.cloud.ibm.com@example.com/v1/apikeys"}
          ignore_errors: true
        - name: dots
          ibm_quantum.platform.api: {path: /v1/../../v1/apikeys}
          ignore_errors: true
        - name: own token
          ibm_quantum.platform.api: {method: PUT, path: /v1/instance, headers: {Authorization: Bearer x}}
          ignore_errors: true
        - name: plain http
          ibm_quantum.platform.api: {path: /v1/instance, runtime_url: "http://quantum.cloud.ibm.com/api"}
          ignore_errors: true
        - name: region
          ibm_quantum.platform.api:
            path: /v1/instance
            instance: "{{ de }}"
            runtime_url: https://quantum.cloud.ibm.com/api
          ignore_errors: true
        - name: crn
          ibm_quantum.platform.api: {path: /v1/instance, instance: fleet-us}
          ignore_errors: true
        - name: version
          ibm_quantum.platform.api: {path: /v1/instance, api_version: latest}
          ignore_errors: true
        - name: no list named
          ibm_quantum.platform.api: {method: DELETE, path: "/v1/apikeys/{id}", current: {match: {name: x}}}
          ignore_errors: true
        """,
        variables={"de": data.INSTANCE_DE},
    ).succeeded()
    assert "'path' must begin with '/' or be a URL of one of IBM's services" in run.one("stranger")["msg"]
    assert "not of 'example.com'" in run.one("user in the URL")["msg"]
    assert "'path' must not hold '..'" in run.one("dots")["msg"]
    assert "'headers' must not set Authorization" in run.one("own token")["msg"]
    assert "'runtime_url' must use https" in run.one("plain http")["msg"]
    assert "leave 'runtime_url' out, or set it to https://eu-de.quantum" in run.one("region")["msg"]
    assert "'instance': not a CRN" in run.one("crn")["msg"]
    assert "'api_version' must be a date" in run.one("version")["msg"]
    assert "'current' needs its own 'path'" in run.one("no list named")["msg"]
    assert emulator.journal() == []


def test_tls(tls_controller: Controller, emulator: EmulatorProcess) -> None:
    run = tls_controller.tasks(
        """
        - name: known
          ibm_quantum.platform.usage_info: {ca_path: "{{ ca }}"}
        - name: keys
          ibm_quantum.platform.api: {path: "{{ url }}/v1/apikeys", ca_path: "{{ ca }}"}
        - name: forty
          ibm_quantum.platform.api: {path: /v1/versions, ca_path: "{{ ca }}"}
          loop: "{{ range(40) | list }}"
        - name: unchecked
          ibm_quantum.platform.usage_info: {validate_certs: false}
        - name: unknown
          ibm_quantum.platform.usage_info: {token_cache: false}
          ignore_errors: true
        - name: missing
          ibm_quantum.platform.usage_info: {ca_path: /nonexistent/ca.pem}
          ignore_errors: true
        - name: lookup
          ansible.builtin.debug:
            msg: "{{ lookup('ibm_quantum.platform.iam_token', ca_path=ca) | hash('sha256') }}"
        """,
        variables={"ca": emulator.ca_file},
    ).succeeded()
    rows = emulator.journal()
    assert {row["url"].partition(":")[0] for row in rows} == {"https"}
    assert run.one("known")["usage"]["instance_id"] == data.INSTANCE_US
    assert run.one("keys")["json"]["apikeys"]
    loop = [row for row in rows if row["path"].endswith("/v1/versions")]
    assert (len(loop), len({row["connection"] for row in loop})) == (40, 1)
    assert run.one("unchecked")["usage"]["instance_id"] == data.INSTANCE_US
    assert "the certificate is not trusted" in run.one("unknown")["msg"]
    assert "set 'ca_path' to its CA bundle" in run.one("unknown")["msg"]
    assert "'ca_path': /nonexistent/ca.pem does not exist" in run.one("missing")["msg"]
    assert len(run.one("lookup")["msg"]) == 64
    assert len(emulator.exchanges()) == 1
