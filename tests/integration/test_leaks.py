# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No API key and no bearer token leaves: everything that a run prints, writes or starts is searched for them.

The key is made for the test, so that it is found nowhere by chance, and reaches the playbook only by the environment.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess
from tests.integration.leaks import PUBLIC, Finding, ProcessSampler, Scanner, cache_faults, describe
from tests.integration.playbook import ROOT, Controller

BELL = ROOT / "tests/demo/bell.qasm"
PROXY_PASSWORD = secrets.token_urlsafe(24)


def _post(url: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, body, headers), timeout=30) as reply:
        answer: dict[str, str] = json.loads(reply.read())
    return answer


def _new_key(emulator: EmulatorProcess) -> str:
    """An API key of the emulator that nobody else has."""
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": emulator.api_key}
    token = _post(f"{emulator.url}/identity/token", urlencode(form).encode(), {})["access_token"]
    body = json.dumps({"name": "leaks", "iam_id": data.IAM_ID}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return _post(f"{emulator.url}/v1/apikeys", body, headers)["apikey"]


def _logged(controller: Controller) -> dict[str, str]:
    """Ansible's log and fact cache, as files of the user."""
    return {
        "ANSIBLE_LOG_PATH": str(controller.folder / "ansible.log"),
        "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(controller.folder / "facts"),
    }


#: All API modules, good and failing, in the worker and as ordinary modules. Keys come out of the environment.
PLAYBOOK = """
- name: In the worker
  hosts: far00
  gather_facts: false
  vars:
    wrong: "{{ lookup('env', 'WRONG_KEY') }}"
    own: "{{ lookup('env', 'OWN_KEY') }}"
    key: "{{ lookup('env', 'IQP_API_TOKEN') }}"
  tasks:
    - name: usage
      ibm_quantum.platform.usage_info: {api_key: "{{ key }}"}
    - name: fact
      ansible.builtin.set_fact: {cached_fact: "something of no secrecy", cacheable: true}
    - name: backends
      ibm_quantum.platform.backend_info: {least_busy: true}
    - name: token
      ibm_quantum.platform.iam_token:
      register: token
    - name: token used
      ibm_quantum.platform.api: {path: /v1/instance, bearer_token: "{{ token.access_token }}"}
      loop: [1, 2]
    - name: lookup
      ansible.builtin.debug:
        msg: "{{ lookup('ibm_quantum.platform.iam_token') }}"
      no_log: true
    - name: made
      ibm_quantum.platform.api:
        method: POST
        path: "{{ url }}/v1/apikeys"
        body: {name: made, iam_id: "{{ iam_id }}"}
        current: {path: "{{ url }}/v1/apikeys", items: apikeys, match: {name: made}}
      diff: true
      register: made
    - name: made used
      ibm_quantum.platform.usage_info: {api_key: "{{ made.json.apikey }}"}
    - name: own value
      ibm_quantum.platform.api:
        method: POST
        path: "{{ url }}/v1/apikeys"
        body: {name: own, iam_id: "{{ iam_id }}", apikey: "{{ own }}"}
      diff: true
    - name: own value in check mode
      ibm_quantum.platform.api:
        method: POST
        path: "{{ url }}/v1/apikeys"
        body: {name: own, iam_id: "{{ iam_id }}", apikey: "{{ own }}"}
      diff: true
      check_mode: true
    - name: header
      ibm_quantum.platform.api: {path: "{{ url }}/v1/apikeys/details", headers: {IAM-ApiKey: "{{ own }}"}}
    - name: key made
      ibm_quantum.platform.api_key: {name: of the module}
      diff: true
      register: made_by_module
    - name: key made before
      ibm_quantum.platform.api_key: {name: of the module, description: another one}
      diff: true
    - name: key by its value
      ibm_quantum.platform.api_key_info: {value: "{{ made_by_module.value }}"}
    - name: key by a value that is none
      ibm_quantum.platform.api_key_info: {value: "{{ wrong }}"}
      ignore_errors: true
    - name: key deleted
      ibm_quantum.platform.api_key: {name: of the module, state: absent}
      diff: true
    - name: key with a key for an ID
      ibm_quantum.platform.api_key: {id: "{{ wrong }}", api_key: "{{ wrong }}", state: absent}
      ignore_errors: true
    - name: environment of the task
      ibm_quantum.platform.usage_info:
      environment: {IQP_API_TOKEN: "{{ own }}"}
    - name: wrong key
      ibm_quantum.platform.usage_info: {api_key: "{{ wrong }}"}
      ignore_errors: true
    - name: wrong option
      ibm_quantum.platform.usage_info: {api_key: "{{ wrong }}", instance: "{{ wrong }}", timeout: "{{ wrong }}"}
      ignore_errors: true
    - name: key for a CRN
      ibm_quantum.platform.usage_info: {api_key: "{{ wrong }}", instance: "{{ wrong }}"}
      ignore_errors: true
    - name: key for a proxy
      ibm_quantum.platform.usage_info: {proxy: "http://fleet:{{ lookup('env', 'PROXY_WORD') }}@127.0.0.1:9", retries: 0}
      ignore_errors: true
    - name: answers that repeat secrets
      ibm_quantum.platform.api: {path: "/v1/{{ item }}"}
      loop: [accounts, tags, workloads]
      ignore_errors: true
    - name: session
      ibm_quantum.platform.session: {name: leaks, mode: batch, backend: ibm_fez, api_key: "{{ key }}"}
      diff: true
    - name: job whose answers repeat secrets while it is submitted and waited for
      ibm_quantum.platform.job:
        name: leaks
        session: leaks
        circuit_file: "{{ bell }}"
        wait: true
        retries: 0
        result_file: "{{ lookup('env', 'HOME') }}/leaks.json"
        details: [metrics, logs, params]
        api_key: "{{ key }}"
      diff: true
    - name: job with a wrong key
      ibm_quantum.platform.job: {circuit_file: "{{ bell }}", backend: ibm_fez, api_key: "{{ wrong }}"}
      ignore_errors: true
    - name: job with a key where other things belong
      ibm_quantum.platform.job: {circuit: "{{ wrong }}", name: "{{ wrong }}", api_key: "{{ wrong }}"}
      ignore_errors: true
    - name: jobs
      ibm_quantum.platform.job_info: {results: raw, wait: true, api_key: "{{ key }}"}
    - name: workloads
      ibm_quantum.platform.workload_info: {mine: true, api_key: "{{ key }}"}
    - name: session closed
      ibm_quantum.platform.session: {name: leaks, state: closed}
      diff: true
    - name: backend
      ansible.builtin.debug:
        msg: "{{ lookup('ibm_quantum.platform.backend', api_key=key) }}"
    - name: IAM repeats the key
      ibm_quantum.platform.iam_token: {api_key: "{{ wrong }}", iam_url: "{{ url }}/", token_cache: false}
      ignore_errors: true
    - name: lookup with a wrong key
      ansible.builtin.debug:
        msg: "{{ lookup('ibm_quantum.platform.iam_token', api_key=wrong) }}"
      ignore_errors: true

- name: As ordinary modules
  hosts: runner
  gather_facts: false
  vars:
    wrong: "{{ lookup('env', 'WRONG_KEY') }}"
    own: "{{ lookup('env', 'OWN_KEY') }}"
    key: "{{ lookup('env', 'IQP_API_TOKEN') }}"
  tasks:
    - name: target
      ibm_quantum.platform.usage_info: {run_on: target, api_key: "{{ key }}"}
      delegate_to: elsewhere
    - name: token on the target
      ibm_quantum.platform.iam_token: {run_on: target}
      register: token
    - name: wrong key on the target
      ibm_quantum.platform.backend_info: {run_on: target, api_key: "{{ wrong }}"}
      ignore_errors: true
    - name: header on the target
      ibm_quantum.platform.api:
        run_on: target
        path: "{{ url }}/v1/apikeys/details"
        headers: {IAM-ApiKey: "{{ own }}"}
    - name: made on the target
      ibm_quantum.platform.api:
        run_on: target
        method: POST
        path: "{{ url }}/v1/apikeys"
        body: {name: "made there", iam_id: "{{ iam_id }}"}
      diff: true
    - name: own value on the target
      ibm_quantum.platform.api:
        run_on: target
        method: POST
        path: "{{ url }}/v1/apikeys"
        body: {name: own, iam_id: "{{ iam_id }}", apikey: "{{ own }}"}
      ignore_errors: true
    - name: environment foretold
      ibm_quantum.platform.environment: {scope: user, platform: {api_key: "{{ key }}"}}
      check_mode: true
      diff: true
    - name: environment
      ibm_quantum.platform.environment: {scope: user, platform: {api_key: "{{ key }}"}}
      diff: true
    - name: environment with a key for a CRN
      ibm_quantum.platform.environment: {scope: user, platform: {api_key: "{{ key }}", instance: "{{ wrong }}"}}
      ignore_errors: true
    - name: environment with a secret in the open
      ibm_quantum.platform.environment:
        scope: user
        variables: [{name: A, value: "{{ wrong }}", secret: true}, {name: B, value: "of {{ wrong }}"}]
      ignore_errors: true
    - name: credential
      ibm_quantum.platform.credential_check:
        scope: user
        iam_url: "{{ url }}"
        sha256: ["{{ key | hash('sha256') }}"]
    - name: another credential
      ibm_quantum.platform.credential_check:
        scope: user
        iam_url: "{{ url }}"
        sha256: ["{{ wrong | hash('sha256') }}"]
      ignore_errors: true
    - name: environment taken off
      ibm_quantum.platform.environment: {scope: user, state: absent}
      diff: true
    - name: async
      ibm_quantum.platform.usage_info: {api_key: "{{ key }}"}
      async: 60
      poll: 1
    - name: async with a wrong key
      ibm_quantum.platform.usage_info: {api_key: "{{ wrong }}"}
      async: 60
      poll: 1
      ignore_errors: true
"""


def _wait_until_empty(folder: Path) -> None:
    """Async tasks remove their files when their process ends, which can be after the play."""
    deadline = time.monotonic() + 30
    while any(folder.iterdir()):
        assert time.monotonic() < deadline, f"left behind: {list(folder.iterdir())}"
        time.sleep(0.02)


def test_no_secret_leaves(controller: Controller, emulator: EmulatorProcess) -> None:
    start = time.time()
    key, wrong, own = _new_key(emulator), secrets.token_urlsafe(33), secrets.token_urlsafe(33)
    env = {
        **_logged(controller),
        "IQP_API_TOKEN": key,
        "WRONG_KEY": wrong,
        "OWN_KEY": own,
        "PROXY_WORD": PROXY_PASSWORD,
    }
    # the token that will be in use, so that an answer can repeat it
    controller.tasks("- name: token\n  ibm_quantum.platform.iam_token:\n", env=env).succeeded()
    token = emulator.tokens()["tokens"][-1]
    for path, secret in (("accounts", key), ("tags", token), ("workloads", f"Bearer {token}")):
        body = {"errors": [{"code": 1200, "message": f"{secret} may not do this"}]}
        emulator.fault(path=f"/v1/{path}$", status=403, body=body)
    emulator.settings(engine="builtin", queue_seconds=1.5)
    for method, path in (("POST", "/v1/jobs$"), ("GET", "/v1/jobs/[^/]+$")):
        body = {"errors": [{"code": 1000, "message": f"{key} and {token} met an error"}]}
        emulator.fault(method=method, path=path, status=503, body=body)
    emulator.fault(
        path="//identity/token$", status=400, body={"errorCode": "BXNIM0415E", "errorMessage": f"{wrong} is unknown"}
    )

    with ProcessSampler() as sampler:
        run = controller.run(
            PLAYBOOK, "-vvvv", hosts=["far00", "runner"], variables={"iam_id": data.IAM_ID, "bell": str(BELL)}, env=env
        ).succeeded()
        _wait_until_empty(controller.temp / "remote")
    hidden = ("token", "made", "key made", "own value", "token on the target", "made on the target")
    assert {name: bool(run.one(name).get("censored")) for name in hidden} == dict.fromkeys(hidden, True)
    failed = {row["task"] for row in run.events if row["event"] == "failed"}
    assert len(failed) >= 15, failed
    assert "looking whether it is there" in run.text and "IBM is asked again" in run.text  # what it shows as it goes

    everything = [*emulator.secrets(), key, wrong, own, PROXY_PASSWORD]
    assert len(emulator.tokens()["tokens"]) >= 4
    scanner = Scanner(set(everything) - {emulator.api_key, data.CR_TOKEN, data.EXPIRED_API_KEY, data.OTHER_API_KEY})
    found = [
        *scanner.data("stdout", run.stdout),
        *scanner.data("stderr", run.stderr),
        *scanner.tree(controller.folder, exempt=[controller.cache]),
        *scanner.world_readable(*PUBLIC, since=start),
        *sampler.findings(scanner),
    ]
    assert not found, describe(found)
    assert not cache_faults(controller.cache, [key, wrong, own, *emulator.tokens()["api_keys"]])

    # what was searched was there
    assert (controller.folder / "ansible.log").stat().st_size > 10000
    assert "something of no secrecy" in "".join(file.read_text() for file in (controller.folder / "facts").iterdir())
    assert any(b"ansible-playbook" in command for command in sampler.commands)
    assert any(b"AnsiballZ_usage_info" in command for command in sampler.commands)
    assert any(token in file.read_text() for file in controller.entries())


@pytest.mark.parametrize("kind", ["key", "token"])
def test_the_search_would_find_them(controller: Controller, kind: str) -> None:
    """The same secret planted in every place that the test above searches, through the same channels."""
    start = time.time()
    parts = [secrets.token_urlsafe(48).replace("-", "+" if kind == "key" else "-") for _part in range(3)]
    secret = parts[0] if kind == "key" else "eyJ" + ".".join(parts)
    scanner = Scanner([secret])
    program = [sys.executable, "-c", "import sys; sys.stdin.read()", secret]
    with ProcessSampler() as sampler:
        process = subprocess.Popen(program, stdin=subprocess.PIPE)
        try:
            run = controller.tasks(
                """
                - name: printed
                  ansible.builtin.debug: {msg: "{{ lookup('env', 'PLANTED') }}"}
                - name: fact
                  ansible.builtin.set_fact: {planted: "{{ lookup('env', 'PLANTED') }}", cacheable: true}
                """,
                "-vvvv",
                env={**_logged(controller), "PLANTED": secret},
            ).succeeded()
            sampler.full_round()
        finally:
            process.communicate(timeout=30)

    def places(findings: list[Finding]) -> set[str]:
        return {finding.where for finding in findings}

    assert scanner.data("stdout", run.stdout)
    assert "command lines" in places(sampler.findings(scanner))
    found = places(scanner.tree(controller.folder))
    assert str(controller.folder / "ansible.log") in found
    assert any(place.startswith(str(controller.folder / "facts")) for place in found)
    assert any("/records/" in place for place in found)

    # every form, in files wherever a run may leave them
    planted = {
        controller.home / ".netrc": secret,
        controller.temp / "url": f"https://127.0.0.1/?apikey={quote(secret, safe='')}",
        controller.runtime / "basic": base64.b64encode(f"apikey:{secret}".encode()).decode(),
        controller.home / "shifted": base64.b64encode(f"x{secret}y".encode()).decode(),
        controller.home / "args": json.dumps({"ANSIBLE_MODULE_ARGS": {"api_key": secret}}),
        controller.temp / "hex": secret.encode().hex(),
        controller.temp / "backwards": secret[::-1],
    }
    for path, text in planted.items():
        path.write_text(text)
    named = controller.temp / secret
    named.touch()
    found = places(scanner.tree(controller.folder, exempt=[controller.cache]))
    assert {str(path) for path in planted} <= found
    assert f"name of {named}" in found

    # exempt is exempt, and a cache is judged by its own rules
    controller.cache.mkdir(parents=True, mode=0o700)
    entry = controller.cache / "entry.json"
    entry.touch(mode=0o600)
    entry.write_text(secret)
    assert str(entry) not in places(scanner.tree(controller.folder, exempt=[controller.cache]))
    assert cache_faults(controller.cache, ["another-secret-of-nobody"]) == []
    assert cache_faults(controller.cache, [secret])
    entry.chmod(0o640)
    controller.cache.chmod(0o750)
    assert len(cache_faults(controller.cache, ["another-secret-of-nobody"])) == 2

    # world-readable, and not
    shared, private = controller.folder / "shared", controller.folder / "private"
    for path, mode in ((shared, 0o644), (private, 0o600)):
        path.write_text(secret)
        path.chmod(mode)
    public = places(scanner.world_readable(controller.folder, since=start))
    assert str(shared) in public
    assert str(private) not in public
    assert not scanner.world_readable(controller.folder, since=time.time() + 3600)


def test_a_readable_environment_would_be_found(tmp_path: Path) -> None:
    for name, mode in (("1", 0o400), ("2", 0o444)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "cmdline").write_bytes(b"python\0task.py\0")
        (folder / "environ").touch()
        (folder / "environ").chmod(mode)
    with ProcessSampler(str(tmp_path)) as sampler:
        sampler.full_round()
    assert sampler.commands == {b"python\0task.py\0"}
    assert sampler.findings(Scanner(["nothing-of-the-kind"])) == [Finding("environment of 2 is readable", -1, "mode")]


def test_nothing_goes_to_the_log_of_a_host() -> None:
    """As an ordinary module, where Ansible would write the options to syslog."""
    key = secrets.token_urlsafe(33)
    options = {"path": "/v1/apikeys", "method": "POST", "headers": {"IAM-ApiKey": key}, "body": {"apikey": key}}
    code = f"""
import json, sys, syslog
syslog.syslog = lambda *words: print(words, file=sys.stderr)
from ansible.module_utils import basic
basic.has_journal = False
basic._ANSIBLE_ARGS = json.dumps({{"ANSIBLE_MODULE_ARGS": {options!r}}}).encode()
basic._ANSIBLE_PROFILE = "legacy"
%s
"""
    ordinary = f"basic.AnsibleModule({{name: {{'type': 'raw'}} for name in {list(options)}}}).exit_json()"
    ours = (
        "from ansible_collections.ibm_quantum.platform.plugins.modules import api as m; m.main(m.run, m.ARGUMENT_SPEC)"
    )
    printed = {}
    for name, line in (("ordinary", ordinary), ("ours", ours)):
        done = subprocess.run(
            [sys.executable, "-c", code % line],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / ".ansible/collections")},
        )
        printed[name] = done
    assert key in printed["ordinary"].stderr  # the log is where this looks
    assert "no credential" in printed["ours"].stdout
    assert key not in printed["ours"].stdout + printed["ours"].stderr


def test_a_search_for_nothing_is_refused() -> None:
    for wrong in ([], ["", "x"]):
        with pytest.raises(ValueError, match="secret"):
            Scanner(wrong)
