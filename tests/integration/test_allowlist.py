# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook, and the programs that its formats are for: nft, squid and firewalld read what it writes.

squid and firewalld are those of this machine or, for root, of the lab's images, in namespaces of their own.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.ibm_quantum.platform.plugins.module_utils._render import FORMATS, render
from tests.integration.playbook import Controller, Run
from tests.lab import images

PLAYBOOK = "ibm_quantum.platform.allowlist"
#: Nothing here is looked up in DNS.
ENDPOINTS: list[Any] = [
    {"host": "iam.cloud.ibm.com", "purpose": 'keys & "tokens" \\', "addresses": ["192.0.2.1", "2001:db8::1"]},
    {"host": "quantum.cloud.ibm.com", "addresses": ["192.0.2.1", "192.0.2.2"]},
    {"host": "192.0.2.0/28", "port": 8443},
    {"host": "xn--bcher-kva.example", "port": 80, "addresses": ["198.51.100.0/24", "198.51.100.7"]},
    {"host": "2001:db8:1::/48", "port": 65535},
]
UDP = {"host": "ntp.example.com", "port": 123, "protocol": "udp", "addresses": ["192.0.2.9"]}

Read = Callable[[str], "subprocess.CompletedProcess[str]"]


def rendered(controller: Controller, *args: str, **variables: Any) -> Run:
    text = json.dumps({f"ibm_quantum_{name}": value for name, value in variables.items()})
    run = controller.command("ansible-playbook", PLAYBOOK, "-e", text, *args)
    # the record goes on from run to run
    start = max(number for number, row in enumerate(run.events) if row.get("task") == "Write the allowlist")
    return run._replace(events=run.events[start:])


def test_it_is_shown(controller: Controller) -> None:
    run = rendered(controller).succeeded()
    shown = run.one("Show the allowlist")["msg"]
    assert shown[0].split() == ["iam.cloud.ibm.com:443/tcp", "#", "IAM:", "API", "key", "to", "bearer", "token"]
    assert not any("eu-de" in line for line in shown)
    run = rendered(controller, regions=["eu-de"], features=["rest"], allowlist_endpoints=["*.example.com"]).succeeded()
    hosts = [line.split(":")[0] for line in run.one("Show the allowlist")["msg"]]
    assert hosts == ["iam.cloud.ibm.com", "eu-de.quantum.cloud.ibm.com", "*.example.com"]


def test_it_is_written(controller: Controller, folder: Path) -> None:
    """As the filter has it, byte for byte, in every format; nothing on a second run; nothing in check mode."""
    for form in FORMATS:
        path = folder / f"allowlist.{form}"
        entries = ENDPOINTS[:-1] if form == "ibm_vpc_acl" else ENDPOINTS
        options = {
            "features": [],
            "allowlist_endpoints": entries,
            "allowlist_format": form,
            "allowlist_path": str(path),
        }
        if form == "csv":
            assert rendered(controller, "--check", **options).succeeded().one("Write the allowlist")["changed"]
            assert not path.exists()
        assert rendered(controller, **options).succeeded().one("Write the allowlist")["changed"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert path.read_bytes().decode() == render(entries, form)
        if form in ("csv", "aws_security_group"):
            assert not rendered(controller, **options).succeeded().one("Write the allowlist")["changed"]
    with (folder / "allowlist.csv").open(newline="") as file:
        assert [row["host"] for row in csv.DictReader(file)] == [e["host"] for e in ENDPOINTS]


def test_addresses_are_had_for_the_formats_that_need_them(controller: Controller) -> None:
    options = {"features": [], "allowlist_endpoints": ["localhost"], "allowlist_format": "aws_security_group"}
    text = "\n".join(rendered(controller, **options).succeeded().one("Show the allowlist")["msg"])
    (permission,) = json.loads(text)
    found = {
        row.get("CidrIp") or row["CidrIpv6"] for key in ("IpRanges", "Ipv6Ranges") for row in permission.get(key, [])
    }
    assert found and found <= {"127.0.0.1/32", "::1/128"}
    options["allowlist_format"] = "plain"
    for resolve in (True, False):
        run = rendered(controller, allowlist_resolve=resolve, **options).succeeded()
        *_comments, line = run.one("Show the allowlist")["msg"]
        assert (line != "localhost:443/tcp") == resolve


@pytest.mark.parametrize(
    "options, text",
    [
        (
            {"allowlist_format": "pf"},
            "unknown format 'pf': choose from plain, csv, json, nftables, squid, aws_security",
        ),
        ({"allowlist_endpoints": ["a b"]}, "endpoints[0]: host 'a b' is no host name, address or network"),
        ({"allowlist_endpoints": ["0.0.0.0/0"]}, "endpoints[0]: '0.0.0.0/0' cannot be allowed"),
        ({"regions": ["moon"]}, "moon"),
        ({"features": []}, "the list of endpoints is empty"),
        (
            {"allowlist_format": "nftables", "allowlist_resolve": False},
            "nftables allows addresses, and none are given for",
        ),
        ({"allowlist_format": "csv", "allowlist_stamp": "now"}, "csv has no comments, so it takes no stamp"),
    ],
)
def test_bad_input(controller: Controller, folder: Path, options: dict[str, Any], text: str) -> None:
    path = folder / "allowlist"
    run = rendered(controller, allowlist_path=str(path), **options).failed()
    assert text in run.one("Write the allowlist")["msg"]
    assert "Traceback" not in run.text
    assert not path.exists()


# The programs.


def _run(command: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def _reader(program: str, mount: str, arguments: Sequence[str], name: str, folder: Path) -> Read:
    """Have a program read a text as the file ``name`` of the folder ``mount``.

    In namespaces of its own: nothing is mounted or loaded anywhere else, and there is no network.
    """
    if os.geteuid():
        pytest.skip("needs root, for namespaces")
    roots = [Path("/"), *sorted(images.cache_dir().glob("[a-z]*-*"))]
    found = [root for root in roots if any((root / f"usr/{place}/{program}").is_file() for place in ("bin", "sbin"))]
    if not found:
        pytest.skip(f"no {program} on this machine, nor in an image of the lab")
    script = 'mount --bind "$1" "$2" && root=$3 && shift 3 && exec chroot "$root" "$@"'
    inside = [
        "unshare",
        "--mount",
        "--net",
        "sh",
        "-c",
        script,
        "sh",
        str(folder),
        str(found[0] / mount),
        str(found[0]),
    ]

    def read(text: str) -> subprocess.CompletedProcess[str]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return _run([*inside, program, *arguments])

    return read


@pytest.fixture(scope="session")
def nft() -> Read:
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    path = shutil.which("nft", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not path:
        pytest.skip("no nft on this machine")
    return lambda text: _run(["unshare", "--net", path, "--check", "--file", "-"], text)


@pytest.fixture
def squid(tmp_path: Path) -> Iterator[Read]:
    read = _reader("squid", "mnt", ["-k", "parse", "-f", "/mnt/squid.conf"], "squid.conf", tmp_path)
    yield lambda text: read(f"http_port 3128\nvisible_hostname proxy\n{text}http_access deny all\n")


@pytest.fixture
def firewalld(tmp_path: Path) -> Read:
    name = "policies/quantum-allowlist.xml"
    read = _reader("firewall-offline-cmd", "etc/firewalld", ["--check-config"], name, tmp_path)
    for folder in ("zones", "services", "icmptypes", "helpers", "ipsets"):
        (tmp_path / folder).mkdir()
    (tmp_path / "firewalld.conf").write_text("DefaultZone=public\n")
    return read


def test_nft_takes_the_file(nft: Read) -> None:
    text = render([*ENDPOINTS, UDP, {"host": "192.0.2.53", "port": 53, "protocol": "udp"}], "nftables", stamp="now \\")
    done = nft(text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert nft(text.replace("192.0.2.0/28", "192.0.2.0/280")).returncode == 1  # it does look


_NETS = st.builds(
    lambda base, size: f"{'.'.join(map(str, ((base >> size << size) & 0xFFFFFFFF).to_bytes(4, 'big')))}/{32 - size}",
    st.integers(0x01000000, 0xDFFFFFFF),
    st.integers(0, 24),
) | st.builds(lambda low: f"2001:db8::{low:x}", st.integers(1, 0xFFFF))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"host": _NETS, "port": st.sampled_from([53, 443, 65535]), "protocol": st.sampled_from(["tcp", "udp"])},
            optional={"purpose": st.text().filter(lambda text: text.isprintable() and text[:1] not in tuple("=+-@"))},
        ),
        min_size=1,
        max_size=12,
    )
)
def test_nft_takes_any_list(nft: Read, rows: list[dict[str, Any]]) -> None:
    done = nft(render(rows, "nftables"))
    assert (done.returncode, done.stderr) == (0, "")


def test_squid_takes_the_lines(squid: Read) -> None:
    text = render([*ENDPOINTS, "*.cloud.ibm.com", "cloud.ibm.com"], "squid", stamp="now \\")
    done = squid(text)
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    for line in text.splitlines():
        assert not line or line.startswith("#") or f"Processing: {line}" in done.stderr
    assert squid(text.replace("dstdomain", "dstdomian")).returncode != 0  # it does look


def test_firewalld_takes_the_policy(firewalld: Read) -> None:
    text = render([*ENDPOINTS, UDP], "firewalld", stamp="now <&>")
    done = firewalld(text)
    assert done.returncode == 0, done.stderr
    assert "INVALID" not in done.stdout + done.stderr
    wrong = firewalld(text.replace('"192.0.2.9"', '"192.0.2.x"'))  # it does look
    assert "INVALID_ADDR" in wrong.stdout + wrong.stderr
