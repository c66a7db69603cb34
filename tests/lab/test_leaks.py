# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An onboarding leaves the API key on a host in the files that are meant for it, and nowhere else on either end."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from tests.integration.leaks import Finding, ProcessSampler, Scanner, describe
from tests.lab.host import Host
from tests.lab.lab import Lab

#: Folders of a host in which something could be left; links into /proc and /sys are not followed.
FOLDERS = ("etc", "home", "opt", "root", "run", "srv", "tmp", "usr/local", "var", "dev/shm")
#: Where an onboarding with everything puts secrets; none of it is open to others.
SECRET_FOLDERS = ("/etc/ibm_quantum/", "/etc/environment.d/", "/home/alice/.qiskit/")
EVERYTHING = {
    "ibm_quantum_account_users": ["alice"],
    "environment_secret_group": "adm",
    "environment_services": [{"name": "worker", "secrets": "credentials"}],
    "environment_cron_users": ["bob"],
    "environment_kernels": [{"name": "ibm-quantum", "python": "/usr/bin/python3"}],
}


def tree(host: Host) -> Path:
    """The host's files as its own processes see them, /run and /tmp with them."""
    return Path(f"/proc/{host._init()}/root")


def on_host(scanner: Scanner, host: Host) -> list[Finding]:
    root = tree(host)
    journal = host.run("journalctl --no-pager -o verbose", timeout=60).stdout
    return scanner.tree(*(root / folder for folder in FOLDERS)) + scanner.data(f"journal of {host.name}", journal)


def test_no_secret_is_left_on_either_end(lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> None:
    environment = {
        "ANSIBLE_LOG_PATH": str(tmp_path / "ansible.log"),
        "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "facts"),
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
    }
    printed = ""
    with ProcessSampler() as sampler:
        for arguments in (["--check", "--diff"], ["--diff"], []):
            arguments += ["--extra-vars", json.dumps(EVERYTHING)]
            play = lab.playbook("ibm_quantum.platform.onboard", "-vvvv", *arguments, env=environment)
            assert play.returncode == 0, play.output[-4000:]
            printed += play.output
        sampler.full_round()
    secrets = lab.emulator.secrets()
    assert lab.emulator.api_key in secrets
    scanner = Scanner(secrets)

    ends = scanner.data("what was printed", printed) + scanner.tree(tmp_path) + sampler.findings(scanner)
    assert not ends, describe(ends)

    for host in fresh_hosts:
        meant = {finding.where for finding in on_host(scanner, host)}
        root = str(tree(host))
        assert meant, "the key is what an onboarding brings"
        for name in meant:
            assert name.startswith(tuple(root + folder for folder in SECRET_FOLDERS)), name
            assert stat.S_IMODE(Path(name).stat().st_mode) & 0o007 == 0, name
        keys_only = Scanner([secret for secret in secrets if secret.count(".") == 2])
        tokens = on_host(keys_only, host)
        assert not tokens, f"a bearer token on {host.name}: {describe(tokens)}"

    # the same eyes see what is planted in each place
    canary = fresh_hosts[0]
    canary.run('cat > /tmp/canary; logger -t canary "$(cat /tmp/canary)"', input=lab.emulator.api_key)
    canary.run("journalctl --sync", check=False)
    seen = {finding.where for finding in on_host(scanner, canary)}
    assert str(tree(canary) / "tmp/canary") in seen
    assert f"journal of {canary.name}" in seen
    canary.run("rm /tmp/canary")
    shown = lab.run(["echo", lab.emulator.api_key]).stdout
    assert scanner.data("printed", shown)
    with ProcessSampler() as sampler:
        canary.run(["sh", "-c", ": $0; exec sleep 0.5", lab.emulator.api_key])
        sampler.full_round()
    assert sampler.findings(scanner)

    users = ["--extra-vars", json.dumps({"ibm_quantum_account_users": ["alice"]})]
    assert lab.playbook("ibm_quantum.platform.offboard", *users, env=environment).returncode == 0
    for host in fresh_hosts[1:]:
        left = on_host(scanner, host)
        assert not left, describe(left)
