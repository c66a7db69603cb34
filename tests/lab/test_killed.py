# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module, killed with SIGKILL wherever it happens to be: no host stays cut off, and the next run puts it right."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import ansible.module_utils
import pytest

from tests.lab import network
from tests.lab.firewalls import FIREWALLS, IAM, NEW_UNTRACKED, each, everything, held, open_to_all, own
from tests.lab.host import Host
from tests.lab.picture import changes
from tests.lab.system import ROOT, LabError

#: Seconds until the host rolls back by itself, and how much later than that ssh may find out.
ROLLBACK, LATE = 6, 12
OPTIONS = {"management_ports": [22], "confirm_timeout": ROLLBACK, "refresh_interval": 900}
GONE = {"state": "absent"}
OTHER_TOO = {"endpoints": [{"host": f"{network.OTHER.v4}/32"}, {"host": network.OTHER.v6}]}
LOCK_OUT = {"management_ports": [2222]}

#: Where a host has the module; gone with a reboot.
CODE = "/run/under_test"
# The module without Ansible around it, which says when it begins and when it has come to its end.
RUN = """\
import json, os, sys, time
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.allowlist import Allowlist
from ansible_collections.ibm_quantum.platform.plugins.modules.egress_allowlist import ARGUMENT_SPEC, run

options, confirm = map(json.loads, sys.argv[1:])
options = ArgumentSpecValidator(ARGUMENT_SPEC).validate(options).validated_parameters
print("begun", flush=True)
begun = time.monotonic()
result, outcome = run(options, Allowlist(), False)
if confirm and "pending_confirmation" in result:
    run({**options, "confirm": result["pending_confirmation"]["token"]}, Allowlist(), False)
print(json.dumps({"changed": result["changed"], "seconds": time.monotonic() - begun}))
"""
# Kills it some seconds after it has begun: it alone, or with all that it has started.
KILL = """\
import os, signal, subprocess, sys, time

child = subprocess.Popen([sys.executable, *sys.argv[3:]], stdout=subprocess.PIPE, start_new_session=True)
assert child.stdout.readline() == b"begun\\n"
time.sleep(float(sys.argv[1]))
killed = child.poll() is None
if killed:
    (os.killpg if sys.argv[2] == "all" else os.kill)(child.pid, signal.SIGKILL)
child.wait()
print("killed" if killed else "ended")
"""


class Way(NamedTuple):
    """What the host has when the run begins, what the run wants, and what the next one wants."""

    before: dict[str, Any]
    wanted: dict[str, Any]
    after: dict[str, Any]


WAYS = {
    "first": Way(GONE, {}, {}),
    "change": Way({}, OTHER_TOO, OTHER_TOO),
    "lock-out": Way({}, LOCK_OUT, {}),
    "removal": Way({}, GONE, GONE),
}
#: What the ten runs are that get killed.
RUNS = ("first", "lock-out", "change", "removal", "first", "change", "removal", "first", "lock-out", "removal")


def bring(host: Host) -> None:
    """The code of the module, with the parts of Ansible that it is always sent with."""
    top = Path(f"/proc/{host._init()}/root{CODE}")
    mine = top / "ansible_collections/ibm_quantum/platform/plugins"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(ansible.module_utils.__file__).parent, top / "ansible/module_utils", ignore=skip)
    shutil.copytree(ROOT / "plugins/module_utils", mine / "module_utils", ignore=skip)
    (mine / "modules").mkdir()
    shutil.copy(ROOT / "plugins/modules/egress_allowlist.py", mine / "modules")
    (top / "ansible/__init__.py").touch()


def command(options: dict[str, Any]) -> list[str]:
    # Nobody can confirm what has locked everybody out.
    return ["-c", RUN, json.dumps({**OPTIONS, **options}), json.dumps(options is not LOCK_OUT)]


def module(host: Host, options: dict[str, Any]) -> dict[str, Any]:
    """One whole run: ``changed``, and its ``seconds``."""
    done = host.run(["env", f"PYTHONPATH={CODE}", "python3", *command(options)])
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def reachable(host: Host) -> None:
    """By ssh, no later than the host rolls back."""
    end = time.monotonic() + ROLLBACK + LATE
    while True:
        try:
            host.ssh("true")
            return
        except LabError:
            assert time.monotonic() < end, f"{host} is cut off"


def as_wanted(host: Host, options: dict[str, Any]) -> None:
    if options is GONE:
        open_to_all(host)
    elif options is OTHER_TOO:
        held(host, [IAM, *network.OTHER], [network.EMULATOR[-1].v4, network.EMULATOR[-1].v6])
    else:
        held(host, [IAM])


def kill(host: Host, way: Way, delay: float, whom: str) -> bool:
    """Whether it was there to be killed."""
    module(host, way.before)
    if way.wanted is LOCK_OUT:
        host.run(["nft", "-f", "-"], input=NEW_UNTRACKED)
    argv = ["env", f"PYTHONPATH={CODE}", "python3", "-c", KILL, str(delay), whom, *command(way.wanted)]
    return host.run(argv).stdout == "killed\n"


@pytest.mark.parametrize("name", ["nftables", "firewalld", "ufw", "iptables"])
def test_killed_at_ten_points(fresh_hosts: list[Host], name: str) -> None:
    seed = int(os.environ.get("LAB_SEED") or random.randrange(10**6))
    print(f"LAB_SEED={seed}")
    dice = random.Random(seed)
    # One in each tenth of a run, in any order.
    tenths = [(tenth + dice.random()) / 10 for tenth in range(10)]
    dice.shuffle(tenths)
    points = [(kind, tenths.pop(), dice.choice(["it", "all"])) for kind in RUNS]
    hosts = [host for host in fresh_hosts if host.suite not in FIREWALLS[name].unfit]

    def go(host: Host) -> None:
        own(host, FIREWALLS[name], blocks=False)
        before = everything(host)
        bring(host)
        for options in ({}, GONE):  # the first time, Python compiles
            module(host, options)
        seconds = {"first": module(host, {})["seconds"], "removal": module(host, GONE)["seconds"]}
        for kind, fraction, whom in points[hosts.index(host) :: len(hosts)]:
            way, delay = WAYS[kind], fraction * seconds.get(kind, seconds["first"])
            point = f"seed {seed}, {host}, {kind}, {whom} after {delay:.3f} s"
            while not kill(host, way, delay, whom) and way.wanted is not LOCK_OUT:
                delay *= 0.7  # it was faster than it was at first
            reachable(host)
            module(host, way.after)
            assert not module(host, way.after)["changed"], point
            as_wanted(host, way.after)
            if way.wanted is LOCK_OUT:
                host.run("nft delete table inet untracked")
        module(host, GONE)
        assert changes(before, everything(host)) == [], f"seed {seed}, {host}"

    each(hosts, go)
