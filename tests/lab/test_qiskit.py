# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role qiskit on real hosts, from an index inside, and IBM's client, unmodified, in what it makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator

import pytest

from tests.emulator import data
from tests.lab.host import Host
from tests.lab.jupyter import PYTHON, run_in_kernel
from tests.lab.lab import Lab, Play
from tests.lab.wheelhouse import LOGIN, Index

PASSWORD = LOGIN.partition(":")[2]
CA = "/etc/ssl/certs/ca-certificates.crt"
FROM_INDEX = {"qiskit_index_url": Index.url, "qiskit_ca_path": CA}
OLDER = {**FROM_INDEX, "qiskit_runtime_version": "0.50.0", "qiskit_extra_packages": ["ipykernel"]}
VERSION = "import qiskit_ibm_runtime; print(qiskit_ibm_runtime.__version__)"

#: What the guide's reader would write, and no word more.
CLIENT = """
import json, warnings
warnings.simplefilter("ignore")
from qiskit_ibm_runtime import QiskitRuntimeService
service = QiskitRuntimeService()
print(json.dumps([service.active_instance(), sorted(backend.name for backend in service.backends())]))
"""
#: What the emulator has in the region of the instance.
EXPECTED = [data.INSTANCE_US, ["ibm_fez", "ibm_kingston", "ibm_marrakesh", "ibm_miami", "ibm_torino"]]


class Fleet:
    """The hosts whose Python is new enough, and the one whose is not."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder, self.index = lab, folder, Index(lab)
        self.old = next(host for host in lab.hosts if host.suite == "bullseye")
        self.hosts = [host for host in lab.hosts if host is not self.old]
        self.names: list[str] = []  # what hosts have before anything is installed

    def play(self, role: str, *args: str, **variables: Any) -> Play:
        """A play of one role over the hosts that are new enough; ``hosts`` in its place over others."""
        hosts = variables.pop("hosts", ",".join(host.name for host in self.hosts))
        book = [{"hosts": hosts, "gather_facts": False, "roles": [{"role": f"ibm_quantum.platform.{role}"}]}]
        (self.folder / "play.json").write_text(json.dumps(book))
        (self.folder / "values.json").write_text(json.dumps(variables))
        play = self.lab.playbook(self.folder / "play.json", "--extra-vars", f"@{self.folder}/values.json", *args)
        assert PASSWORD not in play.output
        return play

    def asked(self) -> int:
        """How often the index was asked for something."""
        return self.index.log.read_text().count("GET /")


@pytest.fixture(scope="module")
def installed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The fleet with an older client installed: that takes a while, so the hosts keep it for all tests of this file."""
    lab.reset()
    fleet = Fleet(lab, tmp_path_factory.mktemp("qiskit"))
    fleet.index.start()
    try:
        foretold = fleet.play("qiskit", "--check", "--diff", **OLDER)
        assert foretold.returncode == 0 and foretold.changed == len(fleet.hosts), foretold.output
        assert "+qiskit-ibm-runtime ==0.50.0" in foretold.output and not fleet.asked()
        fleet.names = [names(host) for host in fleet.hosts]
        assert not [host for host in fleet.hosts if host.run("ls /opt").stdout]
        done = fleet.play("qiskit", **OLDER)
        assert done.returncode == 0 and done.changed == len(fleet.hosts), done.output
        for host in fleet.hosts:
            host.run("groupadd --system quantum && usermod -aG quantum alice")
            host.snapshot()
        yield fleet
    finally:
        for host in lab.hosts:
            if host.snapshots():
                host.reset(pristine=True)


@pytest.fixture
def fleet(installed: Fleet) -> Fleet:
    installed.lab.reset()
    installed.index.start()
    return installed


def names(host: Host) -> str:
    """What is in folders that an installation could leave something in, but for what ansible and systemd leave."""
    places = "/opt /root /home /usr/local /tmp /var/tmp"
    return host.run(f"find {places} -name '.ansible*' -prune -o -name 'systemd-*' -prune -o -print | sort").stdout


def as_user(host: Host, code: str, user: str = "alice") -> str:
    """What the environment's Python prints for a user who logs in."""
    done = host.run(["su", "-l", user, "-c", f'exec {PYTHON} -c "$1"', "sh", code], timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_from_the_first_run_to_the_last(fleet: Fleet) -> None:
    before = fleet.asked()
    again = fleet.play("qiskit", "--diff", **OLDER)
    assert (again.returncode, again.changed) == (0, 0), again.output
    assert fleet.asked() == before
    for host in fleet.hosts:
        assert as_user(host, VERSION, user="bob") == "0.50.0"
        host.run(f"{PYTHON} -m pip --disable-pip-version-check uninstall --quiet --yes orjson", timeout=120)

    newer = {**FROM_INDEX, "qiskit_index_url": Index.locked, "qiskit_runtime_version": ">=0.51"}
    changed = fleet.play("qiskit", "--diff", "-vvv", **newer)
    assert changed.returncode == 0 and changed.changed == len(fleet.hosts), changed.output
    assert "-ipykernel" in changed.output and "+qiskit-ibm-runtime 0.5" in changed.output
    for host in fleet.hosts:
        assert as_user(host, f"import orjson; {VERSION}") != "0.50.0"
        assert PASSWORD not in host.run("journalctl --no-pager --all --output=verbose").stdout
        assert host.run(["grep", "-rlF", PASSWORD, "/opt", "/root", "/tmp", "/var"], check=False).stdout == ""

    absent = fleet.play("qiskit", qiskit_state="absent")
    assert absent.returncode == 0 and absent.changed == len(fleet.hosts), absent.output
    assert [names(host) for host in fleet.hosts] == fleet.names
    assert fleet.play("qiskit", qiskit_state="absent").changed == 0


def test_a_host_whose_python_is_too_old(fleet: Fleet) -> None:
    for args in ((), ("--check",)):
        refused = fleet.play("qiskit", *args, hosts=fleet.old.name, **FROM_INDEX)
        assert refused.returncode == 2 and "python3 is Python 3.9 on this host" in refused.output
        assert "name it with python" in refused.output
    assert fleet.old.run("ls /opt").stdout == ""


def test_what_cannot_be_had(fleet: Fleet) -> None:
    host = fleet.hosts[0]
    for changes, words in (
        ({"qiskit_version": "99.1"}, ("qiskit==99.1", "choose a version that the index has")),
        ({"qiskit_index_url": Index.locked.replace(PASSWORD, "not-the-password")}, ("another user and password",)),
        ({"qiskit_index_url": Index.url.replace("https", "http")}, ("write index_url with https",)),
    ):
        failed = fleet.play("qiskit", hosts=host.name, **{**FROM_INDEX, "qiskit_runtime_version": "0.51.0", **changes})
        assert failed.returncode == 2 and all(word in failed.output for word in words), failed.output
        assert "not-the-password" not in failed.output
    assert fleet.play("qiskit", hosts=host.name, **OLDER).changed == 0


def test_the_client_from_the_environment(fleet: Fleet) -> None:
    # The client looks at no CA of the host's by itself
    platform = {"api_key": data.API_KEY, "instance": data.INSTANCE_US, "ca_path": CA}
    family = {"environment_platform": platform, "environment_secret_group": "quantum"}
    done = fleet.play("environment", **family)
    assert done.returncode == 0, done.output
    for host in fleet.hosts:
        fleet.lab.emulator.clear_journal()
        assert json.loads(as_user(host, CLIENT).splitlines()[-1]) == EXPECTED
        rows = fleet.lab.emulator.journal()
        assert {row["status"] for row in rows} == {200} and rows[0]["host"] == "iam.cloud.ibm.com"
        assert not any(row["headers"].get("authorization", "").startswith("apikey") for row in rows)
    # In a notebook of a server that was started from a login
    host = fleet.hosts[0]
    assert json.loads(run_in_kernel(host, CLIENT).splitlines()[-1]) == EXPECTED

    # In a kernel that has the variables although no login has, and whose specification holds no value
    kernel = {"name": "ibm-quantum", "python": PYTHON}
    done = fleet.play("environment", environment_scopes=[], environment_kernels=[kernel], **family)
    assert done.returncode == 0 and as_user(host, "import os; print('IQP_API_TOKEN' in os.environ)") == "False"
    assert json.loads(run_in_kernel(host, CLIENT, kernel="ibm-quantum").splitlines()[-1]) == EXPECTED
    assert data.API_KEY not in host.run("cat /usr/local/share/jupyter/kernels/ibm-quantum/kernel.json").stdout


def test_the_client_from_the_saved_account(fleet: Fleet) -> None:
    account = {
        "name": "default-ibm-quantum-platform",
        "channel": "ibm_quantum_platform",
        "instance": data.INSTANCE_US,
        "token": data.API_KEY,
        "default": True,
    }
    public = [{"name": "REQUESTS_CA_BUNDLE", "value": CA}]
    assert fleet.play("environment", environment_variables=public).returncode == 0
    done = fleet.play("account", account_users=["alice"], account_accounts=[account])
    assert done.returncode == 0, done.output
    for host in fleet.hosts:
        assert json.loads(as_user(host, CLIENT).splitlines()[-1]) == EXPECTED
