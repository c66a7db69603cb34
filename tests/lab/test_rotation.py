# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rotation over real hosts by ssh: each proves the new key at IBM's own names, over TLS, and nothing leaks."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from tests.integration.leaks import ProcessSampler, Scanner, describe
from tests.lab.host import Host
from tests.lab.lab import Lab, Play
from tests.lab.test_leaks import on_host, tree

ACCOUNT = "home/alice/.qiskit/qiskit-ibm.json"
SECRETS = ("etc/ibm_quantum/secrets.env", ACCOUNT)


class Rotation:
    """The playbook over all hosts, for the whole host and for alice's account; the key is in ``file``."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.file, self.next_file = folder / "fleet.key", folder / "fleet.key.next"
        self.file.touch(mode=0o600)
        self.file.write_text(lab.emulator.api_key + "\n")
        self.output = ""

    def run(self, *args: str) -> Play:
        given = {"ibm_quantum_api_key_file": str(self.file), "ibm_quantum_account_users": ["alice"]}
        play = self.lab.playbook(
            "ibm_quantum.platform.rotate_api_key",
            *("-e", json.dumps(given), *args),
            env={"IQP_API_TOKEN": "", "ANSIBLE_PIPELINING": "1", "ANSIBLE_LOG_PATH": str(self.folder / "log")},
        )
        self.output += play.output
        return play

    @property
    def key(self) -> str:
        return self.file.read_text().strip()


def holders(hosts: list[Host], key: str) -> list[str]:
    """The hosts that have a key at both places."""
    return [host.name for host in hosts if all(key in (tree(host) / path).read_text() for path in SECRETS)]


def test_all_hosts_prove_the_new_key_and_the_old_one_is_gone(lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> None:
    rotation, names = Rotation(lab, tmp_path), [host.name for host in fresh_hosts]
    first = rotation.run()
    assert first.returncode == 0, first.output
    old = rotation.key
    assert old != lab.emulator.api_key and holders(fresh_hosts, old) == names

    lab.emulator.clear_journal()
    with ProcessSampler() as sampler:
        second = rotation.run("-vvvv", "--diff")
        sampler.full_round()
    assert second.returncode == 0, second.output[-4000:]
    new = rotation.key
    assert new != old and holders(fresh_hosts, new) == names and not rotation.next_file.exists()
    # each host twice, before the old key is disabled and after; the playbook's own calls take one for each key
    exchanges = [row for row in lab.emulator.exchanges() if row["status"] == 200]
    assert len(exchanges) in (2 * len(names) + 1, 2 * len(names) + 2)
    assert {row["host"] for row in exchanges} == {"iam.cloud.ibm.com"}
    deleted = [row for row in lab.emulator.journal(method="DELETE") if "/v1/apikeys/" in row["path"]]
    assert [row["status"] for row in deleted] == [204]

    secrets = lab.emulator.secrets()
    assert {old, new} <= set(secrets)
    scanner = Scanner(secrets)
    # the controller's tokens are in its cache, which is no part of this folder
    places = {finding.where for finding in scanner.tree(tmp_path)}
    assert places == {str(rotation.file)} and stat.S_IMODE(rotation.file.stat().st_mode) == 0o600
    found = scanner.data("what was printed", rotation.output) + sampler.findings(scanner)
    assert not found, describe(found)
    for host in fresh_hosts:
        folder, account = tree(host) / "etc/ibm_quantum", tree(host) / ACCOUNT
        meant = {str(path) for path in [*folder.glob("secrets.*"), account]}  # one for each family of shells
        assert {finding.where for finding in on_host(scanner, host)} == meant
        assert not on_host(Scanner([secret for secret in secrets if secret != new]), host)
        assert all(stat.S_IMODE(Path(path).stat().st_mode) == 0o600 for path in meant)


def test_a_host_that_cannot_reach_iam_keeps_the_old_key_alive(
    lab: Lab, fresh_hosts: list[Host], tmp_path: Path
) -> None:
    rotation, names, cut = Rotation(lab, tmp_path), [host.name for host in fresh_hosts], fresh_hosts[1]
    cut.run("echo 127.0.0.1 iam.cloud.ibm.com >> /etc/hosts")
    stopped = " ".join(rotation.run().output.split())
    assert f"1 of {len(names)} hosts did not prove that they work with the new API key: {cut.name}." in stopped
    assert "iam.cloud.ibm.com:443 cannot be reached (refused)" in stopped
    assert rotation.key == lab.emulator.api_key and rotation.next_file.exists()
    assert not [row for row in lab.emulator.journal() if row["method"] == "DELETE" or "/disable" in row["path"]]

    new = rotation.next_file.read_text().strip()
    cut.run("sed -i '$d' /etc/hosts")
    done = rotation.run()
    assert done.returncode == 0, done.output
    assert rotation.key == new and holders(fresh_hosts, new) == names


def test_users_and_links(lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> None:
    """What alice put in the way of root does not make root read what alice may not."""
    rotation, host = Rotation(lab, tmp_path), fresh_hosts[0]
    secret = {"mine": {"channel": "ibm_cloud", "token": lab.emulator.api_key}}
    host.run("umask 077; cat > /root/hidden.json", input=json.dumps(secret))
    host.run("su alice -c 'mkdir ~/.qiskit && ln -s /root/hidden.json ~/.qiskit/qiskit-ibm.json'")
    play = tmp_path / "play.json"
    check = {"scope": "system", "users": ["alice"]}
    tasks = [{"name": "Check", "ibm_quantum.platform.credential_check": check}]
    play.write_text(json.dumps([{"name": "A play", "hosts": host.name, "gather_facts": False, "tasks": tasks}]))
    done = lab.playbook(play)
    assert done.returncode == 2 and "hidden.json" not in done.stdout, done.output
    assert "qiskit-ibm.json may not be read by alice" in done.stdout and rotation.key not in done.output
