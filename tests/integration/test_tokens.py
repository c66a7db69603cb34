# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bearer tokens across workers and plays: one exchange an hour, renewal, refusal, and every credential."""

from __future__ import annotations

import json
from pathlib import Path

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import Controller

FLEET = """
- name: usage
  ibm_quantum.platform.usage_info:
- name: backends
  ibm_quantum.platform.backend_info:
- name: instance
  ibm_quantum.platform.api: {path: /v1/instance}
- name: limit
  ibm_quantum.platform.api: {path: /v1/instances/configuration}
- name: token
  ibm_quantum.platform.iam_token:
"""


def _age(entry: Path, part: float) -> None:
    """Make a cached token so old that this part of its life is over."""
    content = json.loads(entry.read_text())
    content["obtained"] -= part * content["lifetime"]
    entry.write_text(json.dumps(content))


def test_one_exchange_for_a_fleet_and_none_for_the_next_play(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.settings(token_delay=0.5)  # long enough for all workers to wait for it
    run = controller.tasks(FLEET, "--forks", "20", hosts=20).succeeded()
    assert {(stats["ok"], stats["failures"]) for stats in run.stats.values()} == {(5, 0)}
    assert len(emulator.exchanges()) == 1
    assert len(emulator.journal(service="runtime", status=200)) == 80
    assert len({row["token_sha256"] for row in emulator.journal(service="runtime")}) == 1

    emulator.clear_journal()
    controller.tasks(FLEET, hosts=2).succeeded()
    assert emulator.exchanges() == []
    assert len(emulator.journal(service="runtime", status=200)) == 8

    (entry,) = controller.entries()
    files = list(controller.cache.iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert controller.cache.stat().st_mode & 0o777 == 0o700
    assert not any(emulator.api_key in file.read_text() for file in files)


def test_renewal_at_four_fifths_of_a_short_life(controller: Controller, emulator: EmulatorProcess) -> None:
    emulator.settings(token_lifetime=900)
    once = "- name: usage\n  ibm_quantum.platform.usage_info:\n"
    controller.tasks(once).succeeded()
    (entry,) = controller.entries()
    assert json.loads(entry.read_text())["lifetime"] == 900

    _age(entry, 0.7)  # the test itself has the other tenth
    controller.tasks(once).succeeded()
    assert len(emulator.exchanges()) == 1

    _age(entry, 0.1)
    controller.tasks(FLEET, "--forks", "10", hosts=10).succeeded()
    assert len(emulator.exchanges()) == 2

    # IAM is out of order: the old token goes on serving, and says so
    _age(entry, 0.85)
    emulator.fault("503", path="/identity/token", times=None)
    run = controller.tasks("- name: usage\n  ibm_quantum.platform.usage_info: {retries: 0}\n").succeeded()
    assert "the token could not be renewed yet, the old one still serves" in run.text


def test_refused_token_is_dropped_once(controller: Controller, emulator: EmulatorProcess) -> None:
    controller.tasks("- name: usage\n  ibm_quantum.platform.usage_info:\n").succeeded()
    (entry,) = controller.entries()
    before = entry.read_text()
    emulator.clear_journal()

    emulator.clock(advance=3700)  # by IBM's clock it has expired, by this machine's it has not
    loop = "- name: loop\n  ibm_quantum.platform.api: {path: /v1/instance}\n  loop: [1, 2, 3, 4]\n"
    run = controller.tasks(loop, "--forks", "5", hosts=5).succeeded()
    assert {item["status"] for item in run.items("loop")} == {200}
    assert len(emulator.exchanges()) == 1
    assert 1 <= len(emulator.journal(status=401)) <= 5  # each worker can have held the old one
    assert entry.read_text() != before

    # a torn entry is no entry
    entry.write_text(entry.read_text()[:40])
    emulator.clear_journal()
    controller.tasks("- name: usage\n  ibm_quantum.platform.usage_info:\n").succeeded()
    assert len(emulator.exchanges()) == 1

    # refused for good: one new exchange, then the error
    emulator.clear_journal()
    emulator.fault("401", path="/v1/instance$", times=None)
    run = controller.tasks("- name: refused\n  ibm_quantum.platform.api: {path: /v1/instance}\n").failed()
    assert run.one("refused")["error"]["code"] == "1201"
    assert len(emulator.exchanges()) == 1
    assert len(emulator.journal(status=401)) == 2


def test_iam_token_and_the_cache(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.tasks(
        """
        - name: without the cache
          ibm_quantum.platform.api: {path: /v1/versions, token_cache: false}
          loop: [1, 2, 3]
        - name: nothing cached
          ibm_quantum.platform.iam_token: {state: absent}
        - name: present
          ibm_quantum.platform.iam_token:
          register: first
        - name: present again
          ibm_quantum.platform.iam_token:
          register: second
        - name: shape
          ansible.builtin.debug:
            msg:
              digest: "{{ first.access_token | hash('sha256') }}"
              same: "{{ first.access_token == second.access_token }}"
              account: "{{ first.account_id }}"
              identity: "{{ first.iam_id }}"
              exchanged: "{{ first.exchanged }} {{ second.exchanged }}"
              life: "{{ first.expires_in }}"
              ends: "{{ first.expiration }}"
        - name: use
          ibm_quantum.platform.usage_info: {bearer_token: "{{ first.access_token }}", api_key: "{{ omit }}"}
        - name: absent in check mode
          ibm_quantum.platform.iam_token: {state: absent}
          check_mode: true
          diff: true
        - name: absent
          ibm_quantum.platform.iam_token: {state: absent}
        - name: absent again
          ibm_quantum.platform.iam_token: {state: absent}
        """
    ).succeeded()
    exchanges = emulator.exchanges()
    assert len(exchanges) == 2
    assert not run.one("nothing cached")["changed"]
    shape = run.one("shape")["msg"]
    used = [row for row in emulator.journal(service="runtime") if row["path"].endswith("/usage")]
    assert [row["token_sha256"] for row in used] == [shape.pop("digest")]
    assert 3500 < int(shape.pop("life")) <= 3600
    assert int(shape.pop("ends")) > exchanges[0]["time"]
    # all texts: before ansible-core 2.19 templates give nothing else
    assert {name: str(value) for name, value in shape.items()} == {
        "same": "True",
        "account": data.ACCOUNT_ID,
        "identity": data.IAM_ID,
        "exchanged": "True False",
    }
    assert run.one("present")["censored"]
    assert "access_token" not in str(run.events)
    assert run.one("absent in check mode")["changed"]
    assert run.one("absent")["changed"]
    assert not run.one("absent again")["changed"]
    assert controller.entries() == []


def test_wrong_keys_on_every_fork(controller: Controller, emulator: EmulatorProcess) -> None:
    run = controller.tasks(
        "- name: usage\n  ibm_quantum.platform.usage_info:\n",
        "--forks",
        "20",
        hosts=20,
        env={"IQP_API_TOKEN": data.UNKNOWN_API_KEY},
    ).failed()
    failed = run.rows("usage", "failed")
    assert len(failed) == 20
    for row in failed:
        assert "Provided API key could not be found (400, code BXNIM0415E)" in row["result"]["msg"]
        assert "check 'api_key' for missing characters" in row["result"]["msg"]
        assert row["result"]["error"]["code"] == "BXNIM0415E"
    assert emulator.journal(service="runtime") == []


def test_credentials(controller: Controller, emulator: EmulatorProcess) -> None:
    token_file = controller.folder / "cr-token"
    token_file.write_text(data.CR_TOKEN)
    emulator.fault("503", path="/identity/token", times=2)
    run = controller.tasks(
        """
        - name: IAM comes back
          ibm_quantum.platform.usage_info:
        - name: profile by name
          ibm_quantum.platform.usage_info: {trusted_profile: fleet-onboarding, cr_token_file: "{{ file }}"}
        - name: profile by id
          ibm_quantum.platform.usage_info: {trusted_profile: "{{ profile }}", cr_token_file: "{{ file }}"}
        - name: no token file
          ibm_quantum.platform.usage_info: {trusted_profile: fleet-onboarding, cr_token_file: /nonexistent/token}
          ignore_errors: true
        - name: unknown profile
          ibm_quantum.platform.usage_info: {trusted_profile: nobody, cr_token_file: "{{ file }}"}
          ignore_errors: true
        - name: expired key
          ibm_quantum.platform.usage_info: {api_key: "{{ expired }}"}
          ignore_errors: true
        - name: key of another account
          ibm_quantum.platform.usage_info: {api_key: "{{ other }}"}
          ignore_errors: true
        - name: token as key
          ibm_quantum.platform.usage_info: {api_key: "{{ jwt }}"}
          ignore_errors: true
        - name: key as token
          ibm_quantum.platform.usage_info: {bearer_token: "{{ other }}"}
          ignore_errors: true
        - name: two of them
          ibm_quantum.platform.usage_info: {api_key: "{{ other }}", trusted_profile: nobody}
          ignore_errors: true
        """,
        variables={
            "file": str(token_file),
            "profile": data.TRUSTED_PROFILE_ID,
            "expired": data.EXPIRED_API_KEY,
            "other": data.OTHER_API_KEY,
            "jwt": data.CR_TOKEN,
        },
    ).succeeded()
    for good in ("IAM comes back", "profile by name", "profile by id"):
        assert run.one(good)["usage"]["instance_id"] == data.INSTANCE_US
    assert "set 'cr_token_file'" in run.one("no token file")["msg"]
    assert run.one("unknown profile")["error"]["code"] == "BXNIM0500E"
    assert run.one("expired key")["error"]["code"] == "BXNIM0415E"
    assert run.one("key of another account")["error"]["code"] == "1200"
    assert "'api_key' holds a bearer token" in run.one("token as key")["msg"]
    assert "an API key goes into 'api_key'" in run.one("key as token")["msg"]
    assert "give one of 'trusted_profile' and 'api_key', not several" in run.one("two of them")["msg"]
    assert [row["status"] for row in emulator.exchanges()] == [503, 503, 200, 200, 200, 400, 400, 200]
    grants = [row["grant_type"].rpartition(":")[2] for row in emulator.exchanges()]
    assert grants == ["apikey"] * 3 + ["cr-token"] * 3 + ["apikey"] * 2
