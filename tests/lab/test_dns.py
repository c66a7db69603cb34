# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role firewall with resolution=dns on real hosts: a dnsmasq of its own fills the sets from each answer."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest

from tests.lab import network
from tests.lab.firewalls import IAM, NEW_UNTRACKED, REFRESH, refresh, wait_until
from tests.lab.host import Host
from tests.lab.lab import Lab, Play
from tests.lab.system import wait_for
from tests.lab.test_firewall import changed, connect, flat, footprint, ok, role, table

__all__ = ["role"]  # a fixture

RESIDENT = "ibm-quantum-egress-dns.service"
REQUESTS = 200
WILD = "some.where.wild.test"
STRANGER = "stranger.test"

#: So many times: resolve, connect, TLS, one request; each failure on a line of its own.
FOLLOW = f"""
import http.client, ssl, time
context = ssl.create_default_context()
for number in range({REQUESTS}):
    begin = time.monotonic()
    try:
        connection = http.client.HTTPSConnection({IAM!r}, timeout=8, context=context)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
    except OSError as error:
        print(number, repr(error))
    time.sleep(max(0, begin + 0.1 - time.monotonic()))
print("done")
"""
#: What a program gets that asks a name server by itself.
ASK = """
import socket, sys
query = bytes.fromhex("000101000001000000000000") + b"".join(
    bytes([len(label)]) + label for label in sys.argv[1].encode().split(b".")) + bytes.fromhex("0000010001")
try:
    if sys.argv[3] == "udp":
        sock = socket.socket(socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(3)
        sock.connect((sys.argv[2], 53))
        sock.send(query)
    else:
        sock = socket.create_connection((sys.argv[2], 53), 3)
        sock.sendall(len(query).to_bytes(2, "big") + query)
    print("answered" if sock.recv(4096) else "closed")
except OSError as error:
    print({1: "blocked", 13: "blocked", 113: "blocked"}.get(error.errno, repr(error)))
"""
#: chattr, which hosts do not have: FS_IOC_SETFLAGS; 16 is immutable.
CHATTR = """
import fcntl, struct, sys
with open(sys.argv[1]) as file:
    fcntl.ioctl(file, 0x40086602, struct.pack("l", int(sys.argv[2])))
"""


def ask(host: Host, name: str, server: str, protocol: str = "udp") -> str:
    return host.run(["python3", "-c", ASK, name, server, protocol]).stdout.strip()


def resolv_conf(host: Host) -> str:
    return host.run("stat -c '%F %a %u %g %i %N' /etc/resolv.conf; cat /etc/resolv.conf").stdout


def marks(hosts: list[Host]) -> dict[str, str]:
    """All that could be left behind."""
    return {host.name: footprint(host) + resolv_conf(host) for host in hosts}


def ours(host: Host) -> bool:
    return "nameserver 127.0.0.153\n" in resolv_conf(host)


def servers(host: Host) -> list[str]:
    return host.run("sed -n s/^server=//p /etc/ibm_quantum/egress-dnsmasq.conf").stdout.split()


def unit(host: Host, name: str) -> str:
    return host.run(f"systemctl is-active {name}", check=False).stdout


def guarded(host: Host) -> None:
    """Only what the policy names may be reached, and only dnsmasq may ask for names."""
    assert connect(host, IAM) == "open", host
    assert connect(host, STRANGER) == connect(host, network.OTHER.v4) == connect(host, network.OTHER.v6) == "blocked"
    for protocol in ("udp", "tcp"):
        assert ask(host, IAM, network.DNS.v4, protocol) == "blocked", host


@pytest.fixture
def hosts(lab: Lab, fresh_hosts: list[Host]) -> list[Host]:
    """Names to ask for; the second host has a resolv.conf that is a link, as with some DHCP clients."""
    lab.dns.set_all({STRANGER: list(network.OTHER), WILD: list(lab.emulator.spare[-1])})
    fresh_hosts[1].run("mkdir /opt/dhcp; mv /etc/resolv.conf /opt/dhcp; ln -s ../opt/dhcp/resolv.conf /etc")
    # iptables leaves its tables behind, empty, whoever used it: so it has been used.
    fresh_hosts[2].run("iptables -P OUTPUT ACCEPT; ip6tables -P OUTPUT ACCEPT")
    return fresh_hosts


def run(role: Callable[..., Play], *args: str, **variables: Any) -> Play:
    # The dnsmasq of bullseye is too old to fill sets of nftables.
    provider = "{{ 'iptables' if inventory_hostname in groups.bullseye else 'nftables' }}"
    return role(*args, provider=provider, resolution="dns", **variables)


def test_a_name_that_moves_every_second(lab: Lab, hosts: list[Host], role: Any) -> None:
    before = marks(hosts)
    wild = {"endpoints": [{"host": "*.wild.test"}]}
    assert changed(run(role, "--check", "--diff", **wild)) == set(before)
    assert marks(hosts) == before
    assert changed(run(role, **wild)) == set(before)
    for host in hosts:
        guarded(host)
        assert [connect(host, spare.v4) for spare in lab.emulator.spare[:2]] == ["blocked", "blocked"]
        # By TCP as well, which dnsmasq answers in a process of its own.
        assert ask(host, WILD, "127.0.0.153", "tcp") == "answered"
        assert connect(host, lab.emulator.spare[-1].v4) == connect(host, WILD) == "open"
        assert connect(host, "iam.cloud.ibm.com.", 80) == "blocked"

    stop = threading.Event()
    moves = 0
    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        requests = [pool.submit(host.run, ["python3", "-c", FOLLOW], 120) for host in hosts]
        for place in itertools.cycle(lab.emulator.spare[:-1]):
            if all(request.done() for request in requests):
                break
            lab.dns.set(IAM, v4=[place.v4], v6=[place.v6])
            moves += 1
            stop.wait(1)
    assert moves >= 10
    assert [request.result().stdout for request in requests] == ["done\n"] * len(hosts)

    again = run(role, "--diff", **wild)
    assert changed(again) == set(), again.output
    for host in hosts:
        host.reboot()
        guarded(host)
    assert changed(run(role, **wild)) == set()
    assert changed(run(role, "--check", state="absent")) == changed(run(role, state="absent")) == set(before)
    assert marks(hosts) == before


def test_where_it_cannot_be_the_host_stays_as_it_was(lab: Lab, fresh_hosts: list[Host], role: Any) -> None:
    mounted, immutable, old = fresh_hosts
    mounted.run("cp /etc/resolv.conf /run/; mount --bind /run/resolv.conf /etc/resolv.conf")
    immutable.run(["python3", "-c", CHATTR, "/etc/resolv.conf", "16"])
    before = {host.name: footprint(host) for host in fresh_hosts}
    refused = role(resolution="dns")
    assert [refused.recap[host.name]["failed"] for host in fresh_hosts] == [1, 1, 1]
    assert "is a mount of its own" in flat(refused) and "is immutable" in flat(refused)
    assert "of this host cannot do nftset" in flat(refused) and "use provider=iptables" in flat(refused)
    assert {host.name: footprint(host) for host in fresh_hosts} == before
    immutable.run(["python3", "-c", CHATTR, "/etc/resolv.conf", "0"])

    # Somebody else listens there: dnsmasq cannot start.
    listen = "import socket,time; s=socket.create_server(('', 53)); time.sleep(600)"
    immutable.run(["systemd-run", "--quiet", "--unit=squatter", "python3", "-c", listen])
    failed = role(only=immutable, resolution="dns")
    assert failed.recap["h2"]["failed"] == 1 and "dnsmasq does not answer at 127.0.0.153" in flat(failed)
    assert connect(immutable, IAM) == "open" and connect(immutable, network.OTHER.v4) == "blocked"
    assert immutable.run("cat /etc/resolv.conf").stdout == lab.resolv_conf()
    assert "does not answer" in refresh(immutable)
    assert connect(immutable, IAM) == "open" and ask(immutable, IAM, network.DNS.v4) == "answered"
    immutable.run("systemctl stop squatter")
    assert changed(role(only=immutable, resolution="dns")) == {"h2"}
    assert ask(immutable, IAM, network.DNS.v4) == "blocked" and connect(immutable, IAM) == "open"
    ok(role(only=immutable, state="absent"))
    assert footprint(immutable) == before["h2"]


def test_it_keeps_its_place_and_gives_it_back(lab: Lab, hosts: list[Host], role: Any) -> None:
    host, locked = hosts[:2]
    locked.run(["nft", "-f", "-"], input=NEW_UNTRACKED)
    before = footprint(locked), resolv_conf(locked)
    assert role(only=locked, resolution="dns", management_ports=[2222], confirm_timeout=25).returncode != 0

    ok(run(role, only=host))
    other = f"search lab.test\nnameserver {network.DNS.v6}\n"
    host.run("cat >/etc/resolv.conf", input=other)  # as a DHCP client does
    wait_for("the host to ask dnsmasq again", lambda: ours(host), timeout=30)
    wait_for("dnsmasq to ask the new server", lambda: servers(host) == [network.DNS.v6], timeout=30)
    assert "search lab.test\n" in resolv_conf(host)
    wait_until("DNS", "open", connect, host, IAM, timeout=30)
    guarded(host)
    assert ask(host, IAM, "127.0.0.153") == "answered"
    wait_until("the refresh to end", "inactive\n", unit, host, REFRESH, timeout=30)
    assert changed(run(role, only=host)) == set()

    host.run(f"systemctl kill --signal=KILL {RESIDENT}")
    wait_until("dnsmasq to be back", "open", connect, host, IAM, timeout=30)

    # Gone for good: better asked directly than not at all.
    host.run(f"mv /usr/sbin/dnsmasq /usr/sbin/dnsmasq.away; systemctl kill {RESIDENT}")
    wait_until("DNS to be gone", "activating\n", unit, host, RESIDENT, timeout=30)
    assert "does not answer" in refresh(host)
    assert resolv_conf(host).endswith(other) and connect(host, IAM) == "open"
    assert connect(host, network.OTHER.v4) == "blocked"
    host.run("mv /usr/sbin/dnsmasq.away /usr/sbin/dnsmasq")
    assert "now it does" in refresh(host)
    guarded(host)
    wait_until("the refresh to end", "inactive\n", unit, host, REFRESH, timeout=30)

    # To the other way and off: what the DHCP client wrote last is what stays.
    assert changed(role(only=host)) == {host.name}
    assert resolv_conf(host).endswith(other) and not host.run("ls /etc/ibm_quantum | grep -v json", check=False).stdout
    assert unit(host, RESIDENT) == "inactive\n" and connect(host, IAM) == "open"
    assert ask(host, IAM, network.DNS.v6) == "answered"
    assert changed(role(only=host)) == set()

    wait_until("the rollback", "", table, locked, timeout=60)
    assert changed(role(only=locked, state="absent")) <= {locked.name}
    assert (footprint(locked), resolv_conf(locked)) == before
