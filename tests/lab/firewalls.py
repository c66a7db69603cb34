# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewalls that a host can have of its own, with rules of somebody else, and what a test asks of such a host.

Each is set up as its owner would: what it has is on disk and comes back with a reboot.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable, TypeVar

from tests.lab import network
from tests.lab.host import Host
from tests.lab.lab import Lab, Play
from tests.lab.picture import picture
from tests.lab.system import wait_for

T = TypeVar("T")

MODULE = "ibm_quantum.platform.egress_allowlist"
IAM = "iam.cloud.ibm.com"
RUNTIME = "quantum.cloud.ibm.com"
REFRESH = "ibm-quantum-egress-refresh.service"

#: Hosts that keep new SSH connections out of connection tracking, so that a forgotten management port is fatal.
NEW_UNTRACKED = """table inet untracked {
    chain before {
        type filter hook prerouting priority raw; policy accept;
        tcp dport 22 tcp flags & (syn | ack) == syn notrack
    }

    chain after {
        type filter hook output priority filter; policy accept;
        ct state established accept
    }
}
"""

# --- the firewalls ----------------------------------------------------------------------------------------------------

_NFT_OPEN = """
table inet site {
    chain output {
        type filter hook output priority filter; policy accept;
        ip daddr 192.0.2.0/24 counter reject
    }
}
"""
_NFT_BLOCKS = f"""
table inet filter {{
    set timeservers {{
        type ipv4_addr
        elements = {{ 192.0.2.123 }}
    }}

    chain input {{
        type filter hook input priority filter; policy accept;
        tcp dport 8080 counter drop
    }}

    chain output {{
        type filter hook output priority filter; policy drop;
        oif "lo" accept
        tcp sport 22 accept
        ct state established,related accept
        icmp type destination-unreachable accept
        icmpv6 type {{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report }} accept
        ip daddr {network.DNS.v4} udp dport 53 accept
        ip6 daddr {network.DNS.v6} udp dport 53 accept
        ip daddr @timeservers udp dport 123 counter accept
        counter
    }}
}}
"""
_NFT_CONF = """\
cat >/etc/nftables.conf <<'END'
#!/usr/sbin/nft -f
flush ruleset
{rules}
END
systemctl enable --quiet --now nftables.service
"""

# What the package iptables-persistent does at boot.
_PERSISTENT = """\
mkdir -p /etc/iptables
cat >/etc/iptables/rules.v4 <<'END'
{v4}
END
cat >/etc/iptables/rules.v6 <<'END'
{v6}
END
cat >/etc/systemd/system/netfilter-persistent.service <<'END'
[Unit]
Description=netfilter persistent configuration
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=local-fs.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables-restore /etc/iptables/rules.v4
ExecStart=/usr/sbin/ip6tables-restore /etc/iptables/rules.v6

[Install]
WantedBy=multi-user.target
END
systemctl enable --quiet --now netfilter-persistent.service
"""
_LEGACY = """\
update-alternatives --quiet --set iptables /usr/sbin/iptables-legacy
update-alternatives --quiet --set ip6tables /usr/sbin/ip6tables-legacy
"""


def _iptables(blocks: bool, version: int) -> str:
    icmp, prohibited = {
        4: ("icmp", "icmp-admin-prohibited"),
        6: ("ipv6-icmp", "icmp6-adm-prohibited"),
    }[version]
    here, test = (network.DNS.v4, "192.0.2.0/24") if version == 4 else (network.DNS.v6, "2001:db8::/32")
    output = [f"-A OUTPUT -d {test} -j site"]
    if blocks:
        output += [
            "-A OUTPUT -o lo -j ACCEPT",
            "-A OUTPUT -p tcp -m tcp --sport 22 -j ACCEPT",
            "-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            f"-A OUTPUT -p {icmp} -j ACCEPT",
            f"-A OUTPUT -d {here} -p udp -m udp --dport 53 -j ACCEPT",
            f"-A OUTPUT -j REJECT --reject-with {prohibited}",
        ]
    lines = [
        "*filter",
        ":INPUT ACCEPT [0:0]",
        ":FORWARD ACCEPT [0:0]",
        f":OUTPUT {'DROP' if blocks else 'ACCEPT'} [0:0]",
        ":site - [0:0]",
        "-A INPUT -p tcp -m tcp --dport 8080 -j DROP",
        *output,
        "-A site -j REJECT",
        "COMMIT",
    ]
    return "\n".join(lines)


def _netfilter_persistent(blocks: bool) -> str:
    return _PERSISTENT.format(v4=_iptables(blocks, 4), v6=_iptables(blocks, 6))


def _nftables(blocks: bool) -> str:
    return _NFT_CONF.format(rules=_NFT_BLOCKS if blocks else _NFT_OPEN)


def _ufw(blocks: bool) -> str:
    lines = ["ufw allow 22/tcp", "ufw deny 8080/tcp", "ufw reject out to 192.0.2.0/24"]
    if blocks:
        lines += ["ufw default reject outgoing"]
        lines += [f"ufw allow out to {place} port 53" for place in network.DNS]
    return "\n".join(f"{line} >/dev/null" for line in [*lines, "ufw --force enable"]) + "\n"


def _firewalld(blocks: bool) -> str:
    rules = ['<rule family="ipv4"><destination address="192.0.2.0/24"/><reject/></rule>']
    if blocks:
        # Whole addresses: firewalld before 1.0 has ports opened for the first packet of a connection only.
        rules += [
            f'<rule family="{family}"><destination address="{place}"/><accept/></rule>'
            for whom in (network.DNS, network.CONTROLLER)
            for family, place in zip(("ipv4", "ipv6"), whom)
        ]
        rules += [
            f'<rule family="ipv6"><icmp-type name="{kind}"/><accept/></rule>'
            for kind in ("neighbour-solicitation", "neighbour-advertisement", "router-solicitation")
        ]
    inside = "\n  ".join(rules)
    return f"""\
cat >/etc/firewalld/zones/public.xml <<'END'
<?xml version="1.0" encoding="utf-8"?>
<zone>
  <short>Public</short>
  <service name="ssh"/>
  <port port="8443" protocol="tcp"/>
</zone>
END
cat >/etc/firewalld/policies/site.xml <<'END'
<?xml version="1.0" encoding="utf-8"?>
<policy target="{"REJECT" if blocks else "CONTINUE"}">
  <short>site</short>
  <ingress-zone name="HOST"/>
  <egress-zone name="ANY"/>
  {inside}
</policy>
END
systemctl enable --quiet --now firewalld.service
firewall-cmd --state
"""


@dataclass(frozen=True)
class Firewall:
    """One that owns a host.

    ``setup``: the script that makes it so, with a policy that ``blocks`` what leaves, or one that does not;
    ``reload``: the command by which its owner has it read its files again; ``unfit``: suites in which it is too old.
    """

    name: str
    provider: str
    setup: Callable[[bool], str]
    reload: str
    unfit: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


FIREWALLS = {
    firewall.name: firewall
    for firewall in (
        Firewall("nftables", "nftables", _nftables, "systemctl reload nftables.service"),
        Firewall("firewalld", "firewalld", _firewalld, "firewall-cmd --reload", ("bullseye",)),
        Firewall("ufw", "ufw", _ufw, "ufw reload"),
        Firewall("iptables", "iptables", _netfilter_persistent, "systemctl restart netfilter-persistent.service"),
        Firewall(
            "iptables-legacy",
            "iptables",
            lambda blocks: _LEGACY + _netfilter_persistent(blocks),
            "systemctl restart netfilter-persistent.service",
        ),
    )
}


def each(hosts: Iterable[Host], do: Callable[[Host], T]) -> dict[str, T]:
    """The same on all hosts at once: name to what came of it."""
    chosen = list(hosts)
    with ThreadPoolExecutor(len(chosen)) as pool:
        return dict(zip([host.name for host in chosen], pool.map(do, chosen)))


def own(host: Host, firewall: Firewall, blocks: bool) -> None:
    """Give a host a firewall of its own."""
    host.run("set -e\n" + firewall.setup(blocks), timeout=120)


# --- what is in force -------------------------------------------------------------------------------------------------

_LISTING = """
nft list ruleset 2>/dev/null
for save in iptables ip6tables; do $save-legacy-save 2>/dev/null; done
ipset -sorted save 2>/dev/null || true
"""
_OURS = re.compile(r"ibm.?q", re.IGNORECASE)


def _plain(line: str) -> str:
    """Without counts and times, and without what the kernel draws by lot."""
    line = re.sub(r"packets \d+ bytes \d+", "packets N bytes N", line)
    line = re.sub(r"^(:\S+ \S+) \[\d+:\d+\]", r"\1", line)
    return re.sub(r"^# (Generated|Completed).*| initval 0x[0-9a-f]+", "", line)


def listing(host: Host) -> list[str]:
    """All rules that the kernel has, without counts."""
    lines = map(_plain, host.run(_LISTING).stdout.splitlines())
    return [line for line in lines if line.strip()]


def foreign(host: Host) -> list[str]:
    """The rules of others: all lines that do not name the collection, and no block that is named after it."""
    lines = []
    closing = None
    for line in listing(host):
        if closing is not None:
            closing = None if line == closing else closing
        elif _OURS.search(line):
            if line.endswith("{"):
                closing = line[: len(line) - len(line.lstrip())] + "}"
        else:
            lines.append(line)
    return lines


def everything(host: Host) -> list[str]:
    """Files, units and rules: for "exactly as before"."""
    return [*map(_plain, picture(host)), *listing(host)]


PROBE = """
import json, socket, sys, threading
seen = {}
def look(where, port):
    try:
        socket.create_connection((where, port), 4).close()
        seen[f"{where} {port}"] = "open"
    except OSError as error:
        seen[f"{where} {port}"] = str(error)
threads = [threading.Thread(target=look, args=target) for target in json.loads(sys.argv[1])]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(seen))
"""


def reach(host: Host, *targets: tuple[str, int]) -> dict[str, str]:
    """What programs on the host see, by ``"HOST PORT"``: ``open``, or the error."""
    seen: dict[str, str] = json.loads(host.run(["python3", "-c", PROBE, json.dumps(targets)]).stdout)
    return seen


def held(host: Host, allowed: Iterable[str], blocked: Iterable[str] = network.OTHER) -> None:
    """Port 443 of what is allowed can be reached, of what is not cannot; and what is allowed only there."""
    allowed, blocked = list(allowed), list(blocked)
    seen = reach(host, *((where, 443) for where in (*allowed, *blocked)), (allowed[0], 80))
    right = {f"{where} 443" for where in allowed}
    wrong = {target: how for target, how in seen.items() if (how == "open") != (target in right)}
    assert not wrong, (host, wrong)


def open_to_all(host: Host) -> None:
    seen = reach(host, *((where, 443) for where in network.OTHER))
    assert set(seen.values()) == {"open"}, (host, seen)


def refresh(host: Host) -> str:
    """What the timer does, at once; what it said."""
    mark = host.run("date '+%Y-%m-%d %H:%M:%S.%N'").stdout.strip()
    host.run(f"systemctl start {REFRESH}", timeout=120)
    return host.run(f"journalctl --sync; journalctl -u {REFRESH} -o cat --since '{mark[:-6]}'").stdout


def wait_until(what: str, want: str, look: Callable[..., str], *args: Any, timeout: float) -> None:
    """Wait until ``look(*args)`` gives what is wanted."""
    wait_for(what, lambda: look(*args) == want, timeout=timeout)


# --- Ansible ----------------------------------------------------------------------------------------------------------

_CALLBACK = """\
import json, os
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "kept_results"

    def v2_runner_on_ok(self, result, failed=False, **kwargs):
        with open(os.environ["KEPT_RESULTS"], "a") as file:
            kept = {**result._result, "failed": failed}
            file.write(json.dumps([result._host.name, kept], default=str) + "\\n")

    def v2_runner_on_failed(self, result, **kwargs):
        self.v2_runner_on_ok(result, failed=True)

    v2_runner_on_unreachable = v2_runner_on_failed
"""


class Playing:
    """Runs the module over the lab's hosts, through Ansible. ``folder`` is the test's own."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self._folder = folder
        (folder / "kept_results.py").write_text(_CALLBACK)

    def tasks(
        self, tasks: list[dict[str, Any]], *args: str, hosts: str = "all", user: str = "root", become: bool = False
    ) -> tuple[Play, dict[str, list[dict[str, Any]]]]:
        """The play, and the results of its tasks by host."""
        play = {"hosts": hosts, "gather_facts": False, "become": become, "tasks": tasks}
        path, kept = self._folder / "play.yml", self._folder / "results"
        path.write_text(json.dumps([{**play, "vars": {"ansible_user": user}}]))
        kept.write_text("")
        env = {
            "ANSIBLE_CALLBACK_PLUGINS": str(self._folder),
            "ANSIBLE_CALLBACKS_ENABLED": "kept_results",
            "KEPT_RESULTS": str(kept),
        }
        done = self._lab.playbook(path, *args, env=env)
        results: dict[str, list[dict[str, Any]]] = {}
        for line in kept.read_text().splitlines():
            host, result = json.loads(line)
            results.setdefault(host, []).append(result)
        return done, results

    def module(self, hosts: Iterable[Host], *args: str, **options: Any) -> tuple[Play, dict[str, dict[str, Any]]]:
        """The play, and the module's result by host."""
        task = {"name": "Apply", MODULE: options}
        done, results = self.tasks([task], *args, hosts=",".join(host.name for host in hosts))
        return done, {host: entries[0] for host, entries in results.items()}
