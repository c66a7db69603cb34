# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _dns
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import dnsmasq, policy
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.dnsmasq import ADDRESS, Dnsmasq
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.nftables import Nftables
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Layout

HOSTS_OWN = b"# by hand\nsearch example.test\nnameserver 192.0.2.53\noptions timeout:1\n"
NFT = Nftables(["nft"])


class Program:
    """Answers as the dnsmasq of some configurations would."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def __call__(self, name: str, kind: str, server: str, timeout: float) -> _dns.Reply:
        assert (kind, server) == ("A", ADDRESS)
        if not self.files:
            raise _dns.NoAnswer("Connection refused")
        config = next(iter(self.files.values())).decode()
        found = f"address=/{name}/{ADDRESS}\n" in config
        return _dns.Reply((ADDRESS,), 0) if found else _dns.Reply(exists=False)


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_bytes(HOSTS_OWN)
    return tmp_path


@pytest.fixture
def ours(root: Path, program: Program) -> Dnsmasq:
    return Dnsmasq(Layout(str(root)), program)


def declared(*destinations: Destination, lifetime: int = 86400) -> policy.Policy:
    return policy.Policy(
        provider="nftables",
        mode="enforce",
        chain=None,
        resolution="dns",
        destinations=destinations,
        users=(),
        groups=(),
        slices=(),
        management_ports=(22,),
        dns_servers=None,
        ntp=True,
        refresh_interval=300,
        address_lifetime=lifetime,
    )


def config(ours: Dnsmasq, *destinations: Destination, **more: Any) -> list[str]:
    (content,) = ours.files(declared(*destinations, **more), NFT, ["192.0.2.53", "2001:db8::53"]).values()
    return content.decode().splitlines()


def serve(ours: Dnsmasq, program: Program, *servers: str) -> dict[str, bytes]:
    """Have dnsmasq run with a configuration, which is returned."""
    program.files = ours.files(declared(Destination("a.test", 443, "tcp")), NFT, servers or ["192.0.2.53"])
    for path, content in program.files.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_bytes(content)
    return program.files


def sets(lines: list[str], name: str) -> set[str]:
    """The services whose sets are filled from answers for a name."""
    (line,) = [line for line in lines if line.startswith(f"nftset=/{name}/")]
    found = [entry.rpartition("#")[2].rsplit("_", 2) for entry in line.rpartition("/")[2].split(",")]
    for service in {entry[0] for entry in found}:
        versions = {tuple(entry[1:]) for entry in found if entry[0] == service}
        assert versions == {("v4", "0"), ("v4", "1"), ("v6", "0"), ("v6", "1")}
    return {entry[0] for entry in found}


def test_every_name_fills_the_sets_of_its_own_services_and_of_the_wildcards_above_it(ours: Dnsmasq) -> None:
    lines = config(
        ours,
        Destination("*.b.test", 443, "tcp"),
        Destination("*.test", 123, "udp"),
        Destination("a.b.test", 80, "tcp"),
        Destination("a.b.test", 8080, "tcp"),
        Destination("b.test", 22, "tcp"),
        Destination("192.0.2.1", 25, "tcp"),
    )
    # dnsmasq takes the most specific line only, so that has all.
    assert sets(lines, "a.b.test") == {"tcp80", "tcp8080", "tcp443", "udp123"}
    assert sets(lines, "b.test") == {"tcp22", "tcp443", "udp123"}
    assert sets(lines, "test") == {"udp123"}
    assert len([line for line in lines if line.startswith("nftset=")]) == 3


def test_more_than_a_line_can_hold_is_an_error(ours: Dnsmasq) -> None:
    with pytest.raises(FirewallError, match=r"endpoints: \d+ ports for 'a\.test' .* use resolution=resolve") as caught:
        config(ours, *(Destination("a.test", port, "tcp") for port in range(1, 30)))
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(("given", "kept"), [(0, 120), (119, 120), (86400, 86400)])
def test_no_answer_outlives_its_address_in_the_sets(ours: Dnsmasq, given: int, kept: int) -> None:
    lines = config(ours, Destination("a.test", 443, "tcp"), lifetime=given)
    assert f"max-ttl={kept // 2}" in lines
    assert dnsmasq.lifetime(declared(lifetime=given)) == kept


def test_it_reads_nothing_of_the_hosts(ours: Dnsmasq) -> None:
    lines = config(ours, Destination("a.test", 443, "tcp"))
    assert {"no-resolv", "no-hosts", "bind-interfaces", f"listen-address={ADDRESS}", "cache-size=0"} <= set(lines)
    assert {"server=192.0.2.53", "server=2001:db8::53"} <= set(lines)
    assert [arg for arg in ours.resident().command if arg.startswith("--conf-file=")] == [
        f"--conf-file={path}" for path in ours.paths()
    ]


def test_what_runs_is_told_from_what_is_to_run(ours: Dnsmasq, program: Program) -> None:
    policy = declared(Destination("a.test", 443, "tcp"))
    wanted = ours.files(policy, NFT, ["192.0.2.53"])
    assert not ours.serves(wanted) and not ours.serves({})
    program.files = wanted
    assert ours.serves(wanted)
    assert not ours.serves(ours.files(policy, NFT, ["192.0.2.54"]))


def test_resolv_conf_is_taken_and_comes_back_the_very_same_file(root: Path, ours: Dnsmasq, program: Program) -> None:
    path = root / "etc/resolv.conf"
    path.chmod(0o640)
    before = path.stat()
    files = serve(ours, program)
    assert not ours.taken() and ours.resolv_conf == str(path)
    for _time in range(2):
        ours.take(files)
        assert ours.taken()
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert lines == [f"nameserver {ADDRESS}", "search example.test", "options timeout:1"]
        assert Path(ours.resolv_conf).read_bytes() == HOSTS_OWN
    ours.give_back()
    after = path.stat()
    assert path.read_bytes() == HOSTS_OWN
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
    ours.give_back()
    assert sorted(p.name for p in (root / "etc").rglob("*") if p.is_file()) == ["egress-dnsmasq.conf", "resolv.conf"]


@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_is_followed_and_comes_back_a_link(root: Path, ours: Dnsmasq, program: Program, absolute: bool) -> None:
    path, target = root / "etc/resolv.conf", root / "run/dhcp/resolv.conf"
    target.parent.mkdir(parents=True)
    path.rename(target)
    link = "/run/dhcp/resolv.conf" if absolute else "../run/dhcp/resolv.conf"
    path.symlink_to(link)
    files = serve(ours, program)
    if not absolute:  # which below another root leads elsewhere until it is taken
        assert list(ours.resident().watched) == [str(path), str(target)]
    ours.take(files)
    assert not path.is_symlink() and target.read_bytes() == HOSTS_OWN
    assert ours.resolv_conf == str(target)  # who writes it is heard
    assert list(ours.resident().watched) == [str(path), str(target)]
    ours.give_back()
    assert os.readlink(path) == link and target.read_bytes() == HOSTS_OWN


def test_who_rewrites_resolv_conf_has_written_the_one_to_keep(root: Path, ours: Dnsmasq, program: Program) -> None:
    path = root / "etc/resolv.conf"
    files = serve(ours, program)
    ours.take(files)
    path.write_bytes(b"nameserver 192.0.2.99\n")
    assert not ours.taken() and ours.resolv_conf == str(path)
    ours.take(files)
    assert Path(ours.resolv_conf).read_bytes() == b"nameserver 192.0.2.99\n"
    path.write_bytes(b"nameserver 127.0.0.153\nnameserver 192.0.2.98\n")  # one more: not all go through dnsmasq
    assert not ours.taken()
    ours.give_back()
    assert path.read_bytes() == b"nameserver 127.0.0.153\nnameserver 192.0.2.98\n"
    assert not (root / "etc/ibm_quantum/resolv.conf").exists()


def test_a_lost_original_is_made_anew_from_what_dnsmasq_asks(root: Path, ours: Dnsmasq, program: Program) -> None:
    ours.take(serve(ours, program, "192.0.2.53", "2001:db8::53"))
    (root / "etc/ibm_quantum/resolv.conf").unlink()
    ours.give_back()
    assert (root / "etc/resolv.conf").read_text().splitlines() == [
        "nameserver 192.0.2.53",
        "nameserver 2001:db8::53",
        "search example.test",
        "options timeout:1",
    ]


def test_bytes_that_are_no_text_are_kept(root: Path, ours: Dnsmasq, program: Program) -> None:
    (root / "etc/resolv.conf").write_bytes(b"search caf\xe9.test\nnameserver 192.0.2.53\n")
    ours.take(serve(ours, program))
    assert b"search caf\xe9.test\n" in (root / "etc/resolv.conf").read_bytes()


@pytest.mark.parametrize("running", [None, "192.0.2.1"])
def test_nothing_is_taken_by_a_dnsmasq_that_does_not_answer(
    root: Path, ours: Dnsmasq, program: Program, running: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dnsmasq, "PATIENCE", 0.1)
    if running:
        serve(ours, program, running)
    with pytest.raises(FirewallError, match="does not answer at 127.0.0.153"):
        ours.take(ours.files(declared(), NFT, ["192.0.2.53"]))
    assert (root / "etc/resolv.conf").read_bytes() == HOSTS_OWN and not ours.taken()


def test_a_killed_take_is_undone(root: Path, ours: Dnsmasq) -> None:
    (root / "etc/ibm_quantum").mkdir()
    os.link(root / "etc/resolv.conf", root / "etc/ibm_quantum/resolv.conf")
    (root / "etc/resolv.conf.new").write_text("half")
    ours.give_back()
    assert [p.name for p in (root / "etc").rglob("*") if p.is_file()] == ["resolv.conf"]


class TestCheck:
    @pytest.fixture(autouse=True)
    def version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.options = "IPv6 ipset nftset auth"
        monkeypatch.setattr(dnsmasq.shutil, "which", lambda *_args, **_more: "/usr/sbin/dnsmasq")
        monkeypatch.setattr(dnsmasq, "complete", self.run)

    def run(self, command: list[str], **_more: Any) -> subprocess.CompletedProcess[str]:
        assert command == ["/usr/sbin/dnsmasq", "--version"]
        text = f"Dnsmasq version 2.85  Copyright\nCompile time options: {self.options}\n"
        return subprocess.CompletedProcess(command, 0, text, "")

    def refusal(self, ours: Dnsmasq) -> str:
        with pytest.raises(FirewallError, match="resolution=dns: .*resolution=resolve") as caught:
            ours.check(NFT)
        assert caught.value.reason == "unsupported"
        return str(caught.value)

    def test_a_host_that_can(self, ours: Dnsmasq) -> None:
        ours.check(NFT)

    @pytest.mark.parametrize("options", ["IPv6 ipset auth", "IPv6 no-ipset no-nftset"])
    def test_a_dnsmasq_that_cannot_fill_the_sets(self, ours: Dnsmasq, options: str) -> None:
        self.options = options
        assert "dnsmasq 2.85 of this host cannot do nftset" in self.refusal(ours)

    def test_systemd_resolved_in_resolv_conf(self, root: Path, ours: Dnsmasq) -> None:
        (root / "etc/resolv.conf").write_text("nameserver 127.0.0.53\noptions edns0 trust-ad\n")
        assert "systemd-resolved" in self.refusal(ours)

    def test_systemd_resolved_in_nsswitch_conf_counts_where_it_runs(self, root: Path, ours: Dnsmasq) -> None:
        (root / "etc/nsswitch.conf").write_text("passwd: files\nhosts: files resolve [!UNAVAIL=return] dns\n")
        ours.check(NFT)
        units = root / "run/systemd/units"
        units.mkdir(parents=True)
        (units / "invocation:systemd-resolved.service").symlink_to("0123")
        assert "systemd-resolved" in self.refusal(ours)

    def test_no_resolv_conf(self, root: Path, ours: Dnsmasq) -> None:
        (root / "etc/resolv.conf").unlink()
        assert "does not exist" in self.refusal(ours)


def test_debian_s_package_without_the_service_is_asked_for(root: Path, ours: Dnsmasq) -> None:
    assert ours.packages == ("dnsmasq",)
    (root / "etc/debian_version").write_text("12.1\n")
    assert ours.packages == ("dnsmasq-base",)
