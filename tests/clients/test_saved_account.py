# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IBM's client, unmodified, and the collection on one file of saved accounts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.ibm_quantum.platform.plugins.module_utils._account import account_file, declared, settle
from ansible_collections.ibm_quantum.platform.plugins.modules.account import ARGUMENT_SPEC
from tests.clients.client import DEAD_PROXY, MARKS, interpreter, run
from tests.emulator import data
from tests.emulator.testing import EmulatorProcess

pytestmark = MARKS

#: The client as a service: a line of JSON in, a line of JSON out. It works on the file of its HOME.
SERVICE = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
from qiskit_ibm_runtime import QiskitRuntimeService
from qiskit_ibm_runtime.accounts import AccountManager
def do(work):
    file = work["file"]
    if work["do"] == "save":
        for account in work["accounts"]:
            QiskitRuntimeService.save_account(filename=file, overwrite=True, **account)
        return None
    if work["do"] == "delete":
        return QiskitRuntimeService.delete_account(filename=file, name=work["name"])
    if work["do"] == "list":
        listed = AccountManager.list(filename=file)
        return {name: account.validate().to_saved_format() for name, account in listed.items()}
    return AccountManager.get(filename=file, name=work["name"]).to_saved_format()
for line in sys.stdin:
    try:
        answer = {"result": do(json.loads(line))}
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
"""


class Client:
    """IBM's client in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], file: str = "") -> None:
        self.process, self.file = process, file

    def ask(self, do: str, **work: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"do": do, "file": self.file, **work}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("nobody")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "https_proxy": DEAD_PROXY, "http_proxy": DEAD_PROXY}
    process = subprocess.Popen(
        [interpreter(), "-c", SERVICE], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield Client(process)
        assert process.stdin
        process.stdin.close()
        process.wait(60)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(path))
    return path


@pytest.fixture
def client(running: Client, home: Path) -> Client:
    return Client(running.process, account_file(str(home)))


def row(**given: Any) -> dict[str, Any]:
    """An element of the option ``accounts`` as Ansible hands it over."""
    spec = ARGUMENT_SPEC["accounts"]["options"]
    return {**{name: option.get("default") for name, option in spec.items()}, "token": data.API_KEY, **given}


def put(*rows: dict[str, Any], overwrite: bool = False) -> dict[str, Any]:
    return settle(declared({"state": "present", "accounts": list(rows)}), overwrite, False)


def for_client(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of save_account() that say the same as a row."""
    arguments = {**given, "set_as_default": given["default"] or None}
    del arguments["default"]
    return arguments


def content(client: Client) -> bytes:
    return Path(client.file).read_bytes()


# Random accounts are written by both, and the bytes are the same

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cf", "Co", "Cn", "Z")), min_size=1, max_size=20)
TOKEN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60).filter(
    lambda text: not text.startswith("eyJ")
)
URLS = st.dictionaries(
    st.sampled_from(["http", "https", "https://host"]), TEXT.map("http://u:{}@p:3128".format), min_size=1
)
NTLM = {"username_ntlm": TEXT, "password_ntlm": TEXT}
PROXIES = st.one_of(
    st.none(),
    st.fixed_dictionaries({"urls": URLS}),
    st.fixed_dictionaries(NTLM),
    st.fixed_dictionaries({"urls": URLS, **NTLM}),
)
ROWS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "name": st.one_of(st.none(), TEXT),
        "channel": st.sampled_from(["ibm_quantum_platform", "ibm_cloud"]),
        "token": TOKEN,
        "instance": st.one_of(
            st.none(), st.sampled_from([data.INSTANCE_US, data.INSTANCE_DE, "auto"]), TEXT.map("fleet-{}".format)
        ),
        "url": st.sampled_from([None, "https://cloud.ibm.com", "https://test.example.com/x", "http://127.0.0.1:8765"]),
        "region": st.sampled_from([None, "us-east", "eu-de"]),
        "plans_preference": st.one_of(st.none(), st.lists(TEXT, max_size=3)),
        "tags": st.one_of(st.none(), st.lists(TEXT, max_size=3)),
        "proxies": PROXIES,
        "verify": st.sampled_from([None, True, False]),
        "private_endpoint": st.booleans(),
        "default": st.just(False),
    }
)
LISTS = st.lists(ROWS, min_size=1, max_size=4, unique_by=lambda given: given["name"] or given["channel"])
SHORTEST = {**row(), "token": "12345678"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=LISTS, default=st.integers(0, 5))
@example(rows=[SHORTEST], default=0)
@example(rows=[{**SHORTEST, "proxies": {}, "tags": [], "plans_preference": []}], default=1)
def test_both_write_the_same_bytes_and_the_client_reads_them(
    running: Client, tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], default: int
) -> None:
    for number, given_row in enumerate(rows):
        given_row["default"] = number == default
    place = tmp_path_factory.mktemp("homes")
    theirs = Client(running.process, account_file(str(place / "theirs")))
    theirs.ask("save", accounts=[for_client(given_row) for given_row in rows])
    ours = Client(running.process, account_file(str(place / "ours")))
    (place / "ours").mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(place / "ours"))
        put(*rows)
        assert content(ours) == content(theirs)
        accounts = json.loads(content(ours))
        if default < len(rows):
            assert ours.ask("get", name=None)["token"] == rows[default]["token"]
        for name, entry in ours.ask("list").items():
            saved = {key: value for key, value in accounts[name].items() if key != "is_default_account"}
            assert entry == {"verify": True, **saved} and ours.ask("get", name=name) == entry
        settle({}, False, False)
        assert list((place / "ours").iterdir()) == []


def test_the_clients_own_file_comes_back_byte_for_byte(client: Client, home: Path) -> None:
    client.ask(
        "save",
        accounts=[
            {"token": "the-users-own-key", "name": "mine", "set_as_default": True, "tags": ["ü"]},
            {"token": "the-users-own-key", "channel": "ibm_cloud", "proxies": {"urls": {"https": "http://p"}}},
        ],
    )
    before, modes = content(client), [path.stat().st_mode for path in (home / ".qiskit", Path(client.file))]
    put(row(default=True, instance=data.INSTANCE_US), row(name="second"))
    assert set(client.ask("list")) == {"mine", "default-ibm-cloud", "default-ibm-quantum-platform", "second"}
    assert client.ask("get", name=None)["token"] == data.API_KEY
    assert client.ask("get", name="mine")["token"] == "the-users-own-key"
    put(row(name="second"))
    assert client.ask("get", name=None)["token"] == "the-users-own-key"
    settle({}, False, False)
    assert content(client) == before
    assert [path.stat().st_mode for path in (home / ".qiskit", Path(client.file))] == modes
    assert [path.name for path in (home / ".qiskit").iterdir()] == ["qiskit-ibm.json"]


def test_both_work_on_the_file_in_turn(client: Client, home: Path) -> None:
    put(row(default=True))
    client.ask("save", accounts=[{"token": "the-users-own-key", "name": "mine", "set_as_default": True}])
    assert put(row(default=True))["default"] == "default-ibm-quantum-platform"
    assert not put(row(default=True))["changed"]
    assert client.ask("delete", name="default-ibm-quantum-platform")
    assert put(row(default=True))["changed"]
    assert Path(client.file).stat().st_mode & 0o777 == 0o600
    settle({}, False, False)
    assert list(client.ask("list")) == ["mine"] and client.ask("get", name=None)["token"] == "the-users-own-key"
    assert client.ask("delete", name="mine")
    assert content(client) == b"{}"


def test_the_service_works_from_the_saved_account(emulator: EmulatorProcess, home: Path) -> None:
    script = """
import json, warnings
warnings.simplefilter("ignore")
from qiskit_ibm_runtime import QiskitRuntimeService
service, named = QiskitRuntimeService(), QiskitRuntimeService(name="germany")
names = [sorted(backend.name for backend in one.backends()) for one in (service, named)]
print(json.dumps([service.active_instance(), *names]))
"""
    url = f"{emulator.url}/experimental/api/v1"
    put(
        row(url=url, instance="fleet-us", default=True, proxies={"urls": {"ftp": "http://unused"}}),
        row(url=url, instance=data.INSTANCE_US, name="germany", channel="ibm_cloud", verify=True, region="eu-de"),
    )
    nothing = dict.fromkeys(("QISKIT_IBM_TOKEN", "QISKIT_IBM_INSTANCE", "QISKIT_IBM_URL"), "")
    active, backends, named = run(emulator, home, script, **nothing)
    assert active == data.INSTANCE_US and {"ibm_fez", "ibm_torino", "ibm_kingston"} <= set(backends) == set(named)
    assert {row["status"] for row in emulator.journal()} == {200}
