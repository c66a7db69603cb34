# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway (h1) and its fleet (h2, h3) on real hosts, with the playbook of docs/proxy.md."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.lab.dns import OTHER_NAME
from tests.lab.host import Host
from tests.lab.lab import Lab, Play
from tests.lab.picture import changes, picture
from tests.lab.system import ROOT, wait_for

IAM = "https://iam.cloud.ibm.com/identity/keys"
OTHER = f"https://{OTHER_NAME}/"
GATEWAY_NAME = "gateway.example.test"
URL = f"http://{GATEWAY_NAME}:3128"
UNIT = "ibm-quantum-proxy.service"
PYTHON = "import urllib.request as r; print(r.urlopen('{url}', timeout=8).status)"
#: Opens a tunnel, and uses it only when the file that says so is gone.
TUNNEL = """
import os, socket, ssl, time
sock = socket.create_connection(("{gateway}", 3128), 10)
sock.sendall(b"CONNECT iam.cloud.ibm.com:443 HTTP/1.1\\r\\nHost: iam.cloud.ibm.com:443\\r\\n\\r\\n")
assert b" 200 " in sock.recv(4096)
sock = ssl.create_default_context().wrap_socket(sock, server_hostname="iam.cloud.ibm.com")
open("/run/tunnel", "w").close()
end = time.monotonic() + 60
while os.path.exists("/run/tunnel") and time.monotonic() < end:
    time.sleep(0.1)
sock.sendall(b"GET /identity/keys HTTP/1.1\\r\\nHost: iam.cloud.ibm.com\\r\\nConnection: close\\r\\n\\r\\n")
print(sock.recv(4096).decode("latin-1"))
"""
#: The lab has no package mirror. As Debian's package does, this one starts the distribution's own service.
PACKAGES = """#!/usr/bin/python
import os, subprocess
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({"name": {"type": "str"}, "state": {"type": "str"}})
assert module.params == {"name": "squid", "state": "present"}
os.rename("/usr/sbin/squid.away", "/usr/sbin/squid")
subprocess.run(["systemctl", "enable", "--now", "squid"], check=True)
module.exit_json(changed=True)
"""


class Fleet:
    """The playbook of the guide over the lab's hosts."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.gateway, *self.clients = lab.hosts
        text = (ROOT / "docs/proxy.md").read_text()
        (folder / "site.yml").write_text(re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[0])
        groups: dict[str, Any] = {"quantum_gateway": {"hosts": {"h1": {}}}, "quantum": {"hosts": {"h2": {}, "h3": {}}}}
        (folder / "groups.json").write_text(json.dumps(groups))
        lab.dns.set(GATEWAY_NAME, v4=[self.gateway.address], v6=[self.gateway.address6])

    def play(self, *args: str) -> Play:
        inventories = ["-i", str(self.lab.inventory), "-i", str(self.folder / "groups.json")]
        return self.lab.playbook(self.folder / "site.yml", *inventories, *args)

    def role(self, name: str, hosts: str, **variables: Any) -> Play:
        book = [{"hosts": hosts, "gather_facts": False, "roles": [f"ibm_quantum.platform.{name}"], "vars": variables}]
        (self.folder / "role.yml").write_text(json.dumps(book))
        return self.lab.playbook(self.folder / "role.yml", "-v")


def good(play: Play, changed: bool) -> Play:
    assert play.returncode == 0 and bool(play.changed) is changed, play.output
    return play


def login(host: Host, command: str) -> str:
    """What a command prints to somebody who logs in."""
    return host.run(["su", "-l", "bob", "-c", command], check=False, timeout=30).stdout.strip()


def curl(host: Host, url: str, *options: str) -> str:
    """The statuses of the answer and of the proxy; 000 for none."""
    options = ("-sk", "-o", "/dev/null", "--max-time", "8", "-w", "'%{http_code} %{http_connect}'", *options)
    return login(host, f"curl {' '.join(options)} {url}")


def log(host: Host) -> str:
    return host.run(f"journalctl --sync; journalctl -o cat -u {UNIT}").stdout


def test_a_fleet_behind_a_gateway(
    lab: Lab, fresh_hosts: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(lab, tmp_path)
    gateway, clients = fleet.gateway, fleet.clients
    # The distribution's own squid waits half a minute for clients when it is stopped
    gateway.run("echo 'shutdown_lifetime 1 second' >/etc/squid/conf.d/lab.conf")
    before, asked = {host.name: picture(host) for host in fresh_hosts}, len(lab.dns.log.read_text())
    assert all(curl(host, OTHER) != "000 000" for host in clients), "the lab must reach what is going to be blocked"

    # From nothing, the package included
    gateway.run("mv /usr/sbin/squid /usr/sbin/squid.away")
    refused = fleet.role("proxy", "h1", proxy_install=False)
    assert refused.returncode == 2 and "install the package squid" in refused.output
    (tmp_path / "played_packages.py").write_text(PACKAGES)
    monkeypatch.setenv("ANSIBLE_LIBRARY", str(tmp_path))
    predicted = fleet.play("--check", "--diff", "--limit", "quantum_gateway")
    good(predicted, changed=True)
    assert "dstdomain -n iam.cloud.ibm.com" in predicted.stdout
    assert changes(before["h1"], picture(gateway)) == []
    done = good(fleet.play("-v", "-e", "ansible_package_use=ansible.legacy.played_packages"), changed=True)
    assert gateway.run("systemctl is-enabled squid; systemctl is-active squid", check=False).stdout == (
        "disabled\ninactive\n"
    )
    assert done.stdout.count(f'"proxies": ["{URL}"]') == len(clients)
    again = good(fleet.play("--diff"), changed=False)
    assert again.recap["h1"]["ok"] <= 3

    # What gets through, and what does not
    for host in clients:
        assert curl(host, IAM) == "200 200" and login(host, f'python3 -c "{PYTHON.format(url=IAM)}"') == "200"
        assert curl(host, OTHER) == "000 403"
        assert curl(host, f"https://{lab.dns.names()['iam.cloud.ibm.com'][0]}/identity/keys") == "000 403"
        assert curl(host, "http://iam.cloud.ibm.com/") == "403 000"
        # Allowed, but the lab has no such host
        assert re.match("5.. 000", curl(host, f"http://deb.debian.org/{OTHER_NAME}?token=secret"))
        for family in ("-4", "-6"):
            assert curl(host, IAM, "--noproxy", "'*'", family) == "000 000", host
    lines = log(gateway)
    assert f"{clients[0].address6} TCP_DENIED/403 CONNECT {OTHER_NAME}:443 -\n" in lines or (
        f"{clients[0].address} TCP_DENIED/403 CONNECT {OTHER_NAME}:443 -\n" in lines
    )
    assert "GET deb.debian.org:80" in lines and "secret" not in lines and "status." not in lines
    queries = lab.dns.log.read_text()[asked:]
    assert f"{OTHER_NAME} from {gateway.address}" not in queries, "it asked DNS for what is not allowed"

    # A name that moves is followed without anybody's doing
    spare = lab.emulator.spare[0]
    lab.dns.set("iam.cloud.ibm.com", v4=[spare.v4])
    wait_for("the new address", lambda: curl(clients[0], IAM) == "200 200" and f":443 {spare.v4}\n" in log(gateway), 15)

    # What verify says of a proxy
    missing = {"host": "deb.debian.org", "port": 80, "tls": False}
    told = fleet.role("verify", "h2", verify_features=["functions"], verify_endpoints=[missing], verify_timeout=3)
    assert told.returncode == 2 and "deb.debian.org:80 proxy_failed: the proxy gateway" in told.output, told.output
    assert f"proxy_refused: the proxy {GATEWAY_NAME} does not allow this name: add qiskit-serverless" in told.output
    told = fleet.role("verify", "h2", verify_proxy=f"http://{GATEWAY_NAME}:3129", verify_timeout=3)
    assert f"proxy_unreachable: the proxy {GATEWAY_NAME} port 3129" in told.output, told.output

    # Who may use it changes by a reload, over which a tunnel stays open; a reboot keeps it
    pid = f"systemctl show -p MainPID {UNIT}"
    running, (first, second) = gateway.run(pid).stdout, clients
    with ThreadPoolExecutor(1) as pool:
        tunnel = pool.submit(second.run, ["python3", "-c", TUNNEL.format(gateway=gateway.address)], timeout=90)
        wait_for("a tunnel", lambda: second.run("test -e /run/tunnel", check=False).returncode == 0, 30)
        only = [f"{first.address}/32", f"{first.address6}/128"]
        good(fleet.role("proxy", "h1", proxy_clients=only), changed=True)
        assert [curl(host, IAM) for host in clients] == ["200 200", "000 403"]
        second.run("rm /run/tunnel")
        assert "HTTP/1.1 200" in tunnel.result().stdout
    assert gateway.run(pid).stdout == running
    gateway.reboot()
    wait_for("the proxy after a reboot", lambda: curl(first, IAM) == "200 200", 15)
    assert [curl(host, IAM) for host in clients] == ["200 200", "000 403"]

    # Beside a squid of the administrator's own, which has a port of its own; with ours it is told
    taken = fleet.role("proxy", "h1", proxy_port=22)
    assert taken.returncode == 2 and "port 22 is in use by another program" in taken.output
    own = gateway.run("cat /etc/squid/squid.conf").stdout
    gateway.run("sed -i 's/^http_port 3128/http_port 8080/' /etc/squid/squid.conf && systemctl start squid")
    assert curl(first, IAM) == "200 200"

    # The proxy by its address: then DNS, too, may be closed
    closed = {"firewall_proxies": [f"http://{gateway.address}:3128"], "firewall_dns_servers": []}
    good(fleet.role("firewall", "h2", **closed), changed=True)
    assert first.run("getent hosts iam.cloud.ibm.com", check=False, timeout=60).returncode != 0
    by_address = {"verify_proxy": closed["firewall_proxies"][0], "verify_features": ["rest"]}
    good(fleet.role("verify", "h2", **by_address), changed=False)

    good(fleet.role("proxy", "h1", proxy_state="absent"), changed=True)
    assert gateway.run("systemctl is-active squid").stdout == "active\n"
    gateway.run(["sh", "-c", "systemctl stop squid && cat >/etc/squid/squid.conf"], input=own)

    # Not a trace
    good(fleet.role("proxy", "h1", proxy_state="absent"), changed=False)
    good(fleet.role("firewall", "h2,h3", firewall_state="absent"), changed=True)
    good(fleet.role("environment", "h2,h3", environment_state="absent"), changed=True)
    assert {host.name: changes(before[host.name], picture(host)) for host in fresh_hosts} == {
        host.name: [] for host in fresh_hosts
    }


def test_every_squid_reads_it_so(lab: Lab, fresh_hosts: list[Host], tmp_path: Path) -> None:
    """Wildcards and all kinds of rules, on each suite's squid, asked over loopback."""
    fleet = Fleet(lab, tmp_path)
    endpoints = [
        {"host": "*.example.test"},
        {"host": "mirror.example", "port": 80},
        {"host": "x.example", "port": 8443},
    ]
    good(fleet.role("proxy", "all", proxy_clients=["127.0.0.0/8"], proxy_endpoints=endpoints), changed=True)
    expected = {
        "CONNECT other.example.test:443": "200",
        "CONNECT OTHER.example.test:443": "200",
        "CONNECT example.test:443": "403",
        "CONNECT other.example.test.x:443": "403",
        "CONNECT otherexample.test:443": "403",
        "CONNECT other.example.test:80": "403",
        "CONNECT x.example:443": "403",
        "CONNECT x.example:8443": "5xx",
        "CONNECT mirror.example:80": "403",
        "GET http://mirror.example/": "5xx",
        "GET http://mirror.example:443/": "403",
        "GET https://iam.cloud.ibm.com/": "403",
        "GET ftp://mirror.example:80/": "403",
        "GET http://127.0.0.1:3128/squid-internal-mgr/info": "403",
        "CONNECT loop.example.test:443": "403",
    }
    lab.dns.set("loop.example.test", v4=["127.0.0.1"])
    script = f"""
import json, socket
found = {{}}
for line in {list(expected)!r}:
    with socket.create_connection(("127.0.0.1", 3128), 10) as sock:
        sock.sendall((line + " HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n").encode())
        status = sock.recv(4096).decode().split()[1]
        found[line] = status if status < "500" else "5xx"  # let through; the lab has no such host
print(json.dumps(found))
"""
    for host in fresh_hosts:
        assert json.loads(host.run(["python3", "-c", script]).stdout) == expected, host
