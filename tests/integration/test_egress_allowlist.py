# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, with the real nft, in a network and a file system of its own; only systemd is played.

Real systemd hosts are in tests/lab/test_firewall.py.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import CATALOGUE_SPEC
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import allowlist
from ansible_collections.ibm_quantum.platform.plugins.modules import egress_allowlist

# Not resolved: the path below which the collection is found under its name.
COLLECTIONS = next(p for p in Path(egress_allowlist.__file__).parents if p.name == "ansible_collections").parent
MODULE = "ibm_quantum.platform.egress_allowlist"
FIRST = {
    "iam.cloud.ibm.com": ["10.99.1.1", "fd99::1:1"],
    "quantum.cloud.ibm.com": ["10.99.1.2"],
}
OPTIONS = {"features": ["rest"], "management_ports": [22], "confirm_timeout": 30}

# What systemd would do, as far as the module asks for it.
SYSTEMCTL = """\
#!/bin/sh
echo "systemctl $*" >>/run/played/log
if [ "$1" = stop ]; then shift; for unit; do touch "/run/played/stopped-$unit"; done; fi
if [ "$*" = "start ibm-quantum-egress.service" ]; then
    $(sed -n 's/^ExecStart=//p' /etc/systemd/system/ibm-quantum-egress.service)
fi
"""
SYSTEMD_RUN = """\
#!/bin/sh
echo "systemd-run $*" >>/run/played/log
for argument; do
    case $argument in
    --unit=*) unit=${argument#*=} ;;
    --on-active=*) after=${argument#*=} ;;
    --*) ;;
    *) break ;;
    esac
    shift
done
setsid sh -c 'sleep "$0"; unit=$1; shift; test -e "/run/played/stopped-$unit.timer" || "$@"' \\
    "${after%s}" "$unit" "$@" >>/run/played/rollback 2>&1 </dev/null &
"""
# The module without Ansible around it: a tenth of the time.
RUN = """\
import json, sys
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.allowlist import Allowlist
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError
from ansible_collections.ibm_quantum.platform.plugins.modules.egress_allowlist import ARGUMENT_SPEC, run

options, check, confirm = map(json.loads, sys.argv[1:])
options = ArgumentSpecValidator(ARGUMENT_SPEC).validate(options).validated_parameters
try:
    result, outcome = run(options, Allowlist(), bool(check))
    result.update(failed=False, warnings=outcome.warnings, before=outcome.before, after=outcome.after)
    if confirm and "pending_confirmation" in result:
        run({**options, "confirm": result["pending_confirmation"]["token"]}, Allowlist(), False)
except FirewallError as error:
    result = {"failed": True, "changed": False, "msg": str(error), "reason": error.reason}
print(json.dumps(result))
"""
CALLBACK = """\
import json
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "whole_result"

    def v2_runner_on_ok(self, result, failed=False, **kwargs):
        print(json.dumps({**result._result, "failed": failed}, default=str))

    def v2_runner_on_failed(self, result, **kwargs):
        self.v2_runner_on_ok(result, failed=True)
"""
SETUP = """\
set -e
layers=$1
mount -t tmpfs none "$layers"
for folder in etc var/lib usr/local; do
    mkdir -p "$layers/upper/$folder" "$layers/work/$folder"
    mount -t overlay none "/$folder" -o "lowerdir=/$folder,upperdir=$layers/upper/$folder,workdir=$layers/work/$folder"
done
mount -t tmpfs none /run
mkdir -p /run/systemd/system /run/played
mkdir "$layers/bin"
printf %s "$SYSTEMCTL" >"$layers/bin/systemctl"
printf %s "$SYSTEMD_RUN" >"$layers/bin/systemd-run"
printf %s "$CALLBACK" >"$layers/whole_result.py"
chmod 755 "$layers"/bin/*
rm -f /etc/resolv.conf
echo 'nameserver 10.99.0.53' >/etc/resolv.conf
echo 'hosts: files' >/etc/nsswitch.conf
ip link set lo up
ip link add here type veth peer name there
ip link set there up
ip address add 10.99.0.1/16 dev here
ip address add fd99::1/64 dev here nodad
ip link set here up arp off
echo ready
exec sleep 600
"""


class Host:
    """A place where the module may do what it likes."""

    def __init__(self, layers: Path) -> None:
        self._layers = layers
        self._process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", SETUP, "sh", str(layers)],
            env={**os.environ, "SYSTEMCTL": SYSTEMCTL, "SYSTEMD_RUN": SYSTEMD_RUN, "CALLBACK": CALLBACK},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line != "ready\n":
            self.stop()
            pytest.skip(f"no namespaces here: {line}")
        self.names(FIRST)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def run(self, *command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self._layers}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
        done = subprocess.run(
            ["nsenter", "--net", "--mount", f"--target={self._process.pid}", *command],
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not (check and done.returncode), done.stdout + done.stderr
        return done

    def names(self, names: dict[str, list[str]]) -> None:
        """What names resolve to from now on."""
        lines = "".join(f"{a} {name}\n" for name, addresses in names.items() for a in addresses)
        self.write("/etc/hosts", lines)

    def write(self, path: str, text: str) -> None:
        self.run("sh", "-c", 'printf %s "$TEXT" >"$0"', path, TEXT=text)

    def read(self, path: str) -> str:
        return self.run("cat", path).stdout

    def module(self, *, check: bool = False, confirm: bool = True, **options: Any) -> dict[str, Any]:
        """The result of one run of the module's own code, confirmed if need be."""
        done = self.run(
            sys.executable, "-c", RUN, json.dumps({**OPTIONS, **options}), str(int(check)), str(int(confirm)),
            PYTHONPATH=str(COLLECTIONS),
        )  # fmt: skip
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def task(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """The result of one Ansible task."""
        arguments = json.dumps({**OPTIONS, **options})
        flags = ["--check", "--diff"] if check else ["--diff"]
        done = self.run(
            sys.executable, "-m", "ansible", "adhoc", "localhost", "-m", MODULE, "-a", arguments, *flags,
            check=False,
            ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
            ANSIBLE_LOCAL_TEMP=str(self._layers / "local"),
            ANSIBLE_PYTHON_INTERPRETER=sys.executable,
            ANSIBLE_CALLBACK_PLUGINS=str(self._layers),
            ANSIBLE_STDOUT_CALLBACK="whole_result",
            ANSIBLE_LOAD_CALLBACK_PLUGINS="1",
        )  # fmt: skip
        (line,) = [text for text in done.stdout.splitlines() if text.startswith("{")] or [done.stdout + done.stderr]
        assert line.startswith("{"), line
        result: dict[str, Any] = json.loads(line)
        return result

    def refresh(self) -> str:
        """One run of what the timer starts."""
        (command,) = [
            line.partition("=")[2]
            for line in self.read("/etc/systemd/system/ibm-quantum-egress-refresh.service").splitlines()
            if line.startswith("ExecStart=")
        ]
        return self.run(*command.split()).stdout

    def ruleset(self) -> str:
        """All rules there are, without what counters count."""
        return self.run("nft", "--stateless", "list", "ruleset").stdout

    def files(self) -> str:
        """Every file of the folders that the module writes in, with type, mode and content."""
        script = (
            "find /etc /run /usr/local -maxdepth 4 \\( -path /run/played -o -path /run/mount \\) -prune -o "
            "-printf '%y %m %u %g %p %l\\n' | sort;"
            "find /var/lib/ibm_quantum -printf '%y %m %u %g %p %l\\n' 2>/dev/null | sort;"
            "find /etc/systemd/system /etc/ibm_quantum /var/lib/ibm_quantum /usr/local/lib/ibm_quantum -type f "
            "-exec sha256sum {} + 2>/dev/null | sort"
        )
        return self.run("sh", "-c", script).stdout

    def connect(self, address: str, port: int = 443) -> str:
        """What becomes of a connection: blocked at once, or sent out into the empty network."""
        code = f"import socket; socket.create_connection(({address!r}, {port}), 1.5)"
        error = self.run(sys.executable, "-c", code, check=False).stderr.splitlines()[-1]
        if "Permission denied" in error or "Errno 113" in error:
            return "blocked"
        assert "timed out" in error, error
        return "sent"

    def played(self) -> str:
        return self.run("sh", "-c", "cat /run/played/log 2>/dev/null; rm -f /run/played/log").stdout


def wait_until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.1)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "nft", "ip"))):
        pytest.skip("needs root, util-linux, iproute2 and nftables")
    host = Host(tmp_path)
    try:
        yield host
    finally:
        host.stop()


def test_life_of_an_allowlist(host: Host) -> None:
    files, foreign = host.files(), "table inet other {\n\tchain output {\n\t\ttcp dport 1 accept\n\t}\n}\n"
    host.write("/run/played/foreign", foreign)
    host.run("nft", "-f", "/run/played/foreign")

    predicted = host.task(check=True)
    assert predicted["changed"]
    assert "10.99.1.1" in predicted["diff"]["after"] and predicted["diff"]["before"] == ""
    assert host.files() == files and host.ruleset() == foreign

    first = host.task()
    assert first["changed"], first
    assert first["diff"]["after"] == predicted["diff"]["after"]
    assert first["endpoints"][0] == {
        "host": "iam.cloud.ibm.com", "port": 443, "protocol": "tcp", "addresses": FIRST["iam.cloud.ibm.com"]
    }  # fmt: skip
    assert first["dns_servers"] == ["10.99.0.53"]
    assert first["counters"]["blocked"]["packets"] == 0
    assert "pending_confirmation" not in first
    played = host.played()
    assert "systemctl start ibm-quantum-egress.service" in played
    assert "systemctl restart ibm-quantum-egress-refresh.timer" in played
    assert host.ruleset().startswith(foreign)

    assert host.connect("10.99.1.2") == "sent"
    assert host.connect("10.99.1.2", 80) == "blocked"
    assert host.connect("10.99.1.9") == "blocked"
    assert host.connect("fd99::1:9") == "blocked"
    assert host.connect("10.99.0.53", 53) == "sent"

    installed = host.files()
    second = host.task()
    assert not second["changed"] and second["diff"]["before"] == second["diff"]["after"]
    assert second["counters"]["blocked"]["packets"] >= 3
    assert host.played() == "" and host.files() == installed

    gone = host.task(state="absent", check=True)
    assert gone["changed"] and host.files() == installed
    assert host.task(state="absent")["changed"]
    assert host.files() == files and host.ruleset() == foreign
    assert not host.task(state="absent")["changed"]
    assert host.files() == files


def test_refresh_follows_dns_and_survives_its_loss(host: Host) -> None:
    host.module()
    host.names({**FIRST, "quantum.cloud.ibm.com": ["10.99.2.2"]})
    assert "+10.99.2.2" in host.refresh()
    assert host.connect("10.99.2.2") == "sent"
    assert host.connect("10.99.1.2") == "sent"  # seen a moment ago, so it stays
    host.names({})
    assert "last good addresses stay" in host.refresh()
    assert host.connect("10.99.2.2") == "sent" and host.connect("10.99.9.9") == "blocked"
    result = host.module()
    assert not result["changed"], result
    # What the boot unit loads is what was learnt last.
    host.run("nft", "flush", "ruleset")
    host.run("nft", "-f", "/var/lib/ibm_quantum/egress.ruleset")
    assert host.connect("10.99.2.2") == "sent"


def test_refresh_follows_resolv_conf(host: Host) -> None:
    host.module()
    host.write("/etc/resolv.conf", "nameserver 10.99.0.54\n")
    host.refresh()
    assert host.connect("10.99.0.54", 53) == "sent" and host.connect("10.99.0.53", 53) == "blocked"
    assert not host.module()["changed"]


def test_refresh_puts_flushed_rules_back(host: Host) -> None:
    host.module()
    before = host.ruleset()
    host.run("nft", "flush", "ruleset")
    assert "loaded again" in host.refresh()
    assert host.ruleset() == before
    assert not host.module()["changed"]


@pytest.mark.parametrize(
    "damage",
    [
        "nft flush ruleset",
        "nft flush chain inet ibm_quantum output",
        "nft insert rule inet ibm_quantum output accept",
        "nft flush set inet ibm_quantum tcp443_v4_0",
        "nft add element inet ibm_quantum tcp443_v4_0 '{ 10.99.66.6 }'",
        "rm /etc/systemd/system/timers.target.wants/ibm-quantum-egress-refresh.timer",
        "echo x >>/etc/systemd/system/ibm-quantum-egress.service",
        "echo x >>/usr/local/lib/ibm_quantum/egress.pyz",
        "rm /etc/ibm_quantum/egress.json",
        "echo '{' >/etc/ibm_quantum/egress.json",
        "rm /var/lib/ibm_quantum/egress-state.json",
        "echo '[]' >/var/lib/ibm_quantum/egress-state.json",
        "rm /var/lib/ibm_quantum/egress.ruleset",
        "touch /etc/ibm_quantum/egress.json.new",
    ],
)
def test_damage_is_repaired(host: Host, damage: str) -> None:
    files = host.files()
    host.module()
    rules = host.ruleset()
    host.run("sh", "-c", damage)
    repaired = host.module()
    assert repaired["changed"] == ("touch" not in damage), repaired
    assert host.ruleset() == rules
    assert not host.module()["changed"]
    assert host.module(state="absent")["changed"]
    assert host.files() == files


def test_audit_counts_and_blocks_nothing(host: Host) -> None:
    result = host.module(mode="audit")
    assert result["changed"] and "systemd-run" not in host.played()
    assert host.connect("10.99.1.9") == "sent"
    assert host.module(mode="audit")["counters"]["would_block"]["packets"] >= 1
    enforced = host.module()
    assert enforced["changed"] and "mode: audit" in enforced["before"]
    assert host.connect("10.99.1.9") == "blocked"


def test_extra_endpoints(host: Host) -> None:
    host.names({**FIRST, "mirror.example.org": ["10.99.3.3"]})
    extra = [
        {"host": "Mirror.example.org.", "port": 80},
        {"host": "10.99.4.0/24", "port": 8443},
        {"host": "fd99::4:1", "port": 9, "protocol": "udp"},
    ]
    host.module()
    rules = host.module(endpoints=extra, check=True)
    assert rules["changed"]
    assert host.module(endpoints=extra)["changed"]
    assert host.connect("10.99.3.3", 80) == "sent" and host.connect("10.99.3.3") == "blocked"
    assert host.connect("10.99.4.200", 8443) == "sent" and host.connect("10.99.5.1", 8443) == "blocked"
    assert not host.module(endpoints=list(reversed(extra)))["changed"]
    assert host.module()["changed"]
    assert host.connect("10.99.3.3", 80) == "blocked"


def test_a_change_that_nobody_confirms_is_rolled_back(host: Host) -> None:
    host.module(mode="audit")
    before, files = host.ruleset(), host.files()
    assert host.module(confirm=False, confirm_timeout=15)["pending_confirmation"]["seconds"] == 15
    assert host.connect("10.99.1.9") == "blocked"
    assert "change is under way" in host.refresh()
    wait_until(lambda: "rolled back" in host.run("cat", "/run/played/rollback").stdout)
    assert host.ruleset() == before
    host.run("rm", "/run/ibm_quantum/egress-rolled-back")
    assert host.files() == files


def test_the_next_run_tells_of_a_rollback(host: Host) -> None:
    token = host.module(confirm=False, confirm_timeout=5)["pending_confirmation"]["token"]
    wait_until(lambda: "rolled back" in host.run("cat", "/run/played/rollback").stdout)
    assert host.ruleset() == ""
    late = host.task(confirm=token)
    assert late["failed"] and late["reason"] == "rolled_back" and "confirm_timeout" in late["msg"]
    told = host.module()
    assert told["changed"] and "rolled back by the host" in told["warnings"][0]
    assert host.module()["warnings"] == []


def test_the_next_run_does_not_wait_for_the_rollback(host: Host) -> None:
    host.module(confirm=False, confirm_timeout=500)
    result = host.module()
    assert result["changed"] and "rolled back" in result["warnings"][0]
    assert not host.module()["changed"]


def test_a_change_whose_rollback_never_came_is_undone_by_the_refresh(host: Host) -> None:
    host.module()
    rules = host.ruleset()
    host.module(confirm=False, confirm_timeout=500, management_ports=[23])
    assert host.ruleset() != rules
    assert "under way" in host.refresh()
    path = "/run/ibm_quantum/egress-pending.json"
    host.write(path, json.dumps({**json.loads(host.read(path)), "overdue": 0}))
    assert "under way" not in host.refresh()
    assert host.ruleset() == rules
    assert "rolled back by the host" in host.module()["warnings"][0]


def test_removal_ends_a_change_that_waits(host: Host) -> None:
    files = host.files()
    host.module(confirm=False, confirm_timeout=500)
    assert host.module(state="absent")["changed"]
    assert host.files() == files and host.ruleset() == ""


def test_bad_input_is_one_clear_error(host: Host) -> None:
    files = host.files()
    result = host.task(endpoints=[{"host": "a b"}])
    assert result["failed"] and result["reason"] == "invalid"
    assert result["msg"] == "endpoints[0]: host 'a b' is no host name, address or network"
    assert "mars" in host.task(regions=["mars"])["msg"]
    assert "confirm_timeout: 2" in host.module(confirm_timeout=2)["msg"]
    assert host.files() == files and host.ruleset() == ""


def test_hosts_that_cannot_have_it(host: Host) -> None:
    files = host.files()
    host.names({})
    result = host.module()
    assert result["failed"] and result["reason"] == "no_dns" and "iam.cloud.ibm.com" in result["msg"]
    host.names({"iam.cloud.ibm.com": ["10.99.1.1"]})
    host.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    assert host.module()["reason"] == "dns_servers_unknown"
    host.run("sh", "-c", "rmdir /run/systemd/system; mkdir -p /etc/cron.d; mv /etc/cron.d /run/played/")
    assert host.module()["reason"] == "no_systemd"
    host.run("sh", "-c", "mkdir /run/systemd/system; mv /run/played/cron.d /etc/")
    host.run("mount", "--bind", "/dev/null", shutil.which("nft") or "")
    assert host.module(provider="nftables")["reason"] == "provider_missing"
    predicted = host.module(check=True, provider="nftables", dns_servers=["10.99.0.53"])
    assert predicted["changed"] and predicted["reason"] == "provider_missing"
    host.run("umount", shutil.which("nft") or "")
    host.write("/etc/resolv.conf", "nameserver 10.99.0.53\n")
    host.run("rm", "-r", "/run/ibm_quantum")
    assert host.files() == files and host.ruleset() == ""
    host.names({"iam.cloud.ibm.com": ["10.99.1.1"]})
    partly = host.module()
    assert partly["changed"] and any("quantum.cloud.ibm.com has no address" in w for w in partly["warnings"])


def test_the_timer_that_stands_still_is_started_again(host: Host) -> None:
    host.module()
    path = "/var/lib/ibm_quantum/egress-state.json"
    host.write(path, json.dumps({**json.loads(host.read(path)), "refreshed": 0}))
    host.played()
    result = host.module(refresh_interval=300)
    up = time.clock_gettime(time.CLOCK_BOOTTIME) > 1200
    assert result["changed"] == up
    assert ("restart ibm-quantum-egress-refresh.timer" in host.played()) == up


def test_documentation_agrees_with_the_options() -> None:
    documented = yaml.safe_load(egress_allowlist.DOCUMENTATION)["options"]
    own = {name: spec for name, spec in egress_allowlist.ARGUMENT_SPEC.items() if name not in CATALOGUE_SPEC}
    assert set(documented) == set(own)
    for name, option in own.items():
        for key in ("type", "elements", "choices", "default"):
            assert documented[name].get(key) == option.get(key), (name, key)


def test_code_sent_to_hosts_runs_on_the_oldest_python() -> None:
    for path in Path(allowlist.__file__).parent.glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 8))
