# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats letter by letter and, for any list, read back; tests/integration/test_allowlist.py has real readers."""

from __future__ import annotations

import csv
import io
import ipaddress
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _render
from ansible_collections.ibm_quantum.platform.plugins.module_utils._render import RenderError, render

ROOT = Path(__file__).resolve().parents[4]
IAM = {"host": "iam.cloud.ibm.com", "purpose": "IAM: keys", "addresses": ["2001:db8::1", "192.0.2.1"]}
#: A name that shares an address with another, a network that holds both, and time.
LIST = [
    IAM,
    {"host": "Quantum.cloud.ibm.com.", "port": 443, "protocol": "tcp", "addresses": ["192.0.2.2", "192.0.2.1"]},
    "192.0.2.0/30",
    {"host": "ntp.example.com", "port": "123", "protocol": "udp", "addresses": ["198.51.100.9"]},
]
NAMES = [
    {"host": "iam.cloud.ibm.com", "region": None, "feature": "rest", "purpose": 'IAM: "keys", tokens'},
    {"host": "*.cloud.ibm.com"},
    {"host": "mirror.example.com", "port": 80},
    {"host": "2001:db8::/32"},
]


def test_plain():
    assert render(NAMES) == (
        'iam.cloud.ibm.com:443/tcp  # IAM: "keys", tokens\n'
        "*.cloud.ibm.com:443/tcp\n"
        "mirror.example.com:80/tcp\n"
        "[2001:db8::/32]:443/tcp\n"
    )


def test_plain_with_addresses_says_what_they_are():
    first, second, stamp, *lines = render(LIST, stamp="on a Monday").splitlines()
    assert (first, lines[0]) == (
        "# on a Monday",
        "iam.cloud.ibm.com:443/tcp      192.0.2.1 2001:db8::1  # IAM: keys",
    )
    assert "snapshot" in second and stamp.startswith("# and no address ranges")
    assert lines[-1] == "ntp.example.com:123/udp        198.51.100.9"


def test_csv():
    assert render(NAMES, "csv") == (
        "host,port,protocol,region,feature,purpose,addresses\r\n"
        'iam.cloud.ibm.com,443,tcp,,rest,"IAM: ""keys"", tokens",\r\n'
        "*.cloud.ibm.com,443,tcp,,,,\r\n"
        "mirror.example.com,80,tcp,,,,\r\n"
        "2001:db8::/32,443,tcp,,,,\r\n"
    )


def test_json():
    rows = json.loads(render(LIST, "json"))
    assert rows[0] == {
        "host": "iam.cloud.ibm.com",
        "port": 443,
        "protocol": "tcp",
        "region": None,
        "feature": None,
        "purpose": "IAM: keys",
        "addresses": ["192.0.2.1", "2001:db8::1"],
    }
    assert [row["host"] for row in rows[1:]] == ["quantum.cloud.ibm.com", "192.0.2.0/30", "ntp.example.com"]
    assert "addresses" not in rows[2] and rows[3]["port"] == 123


def test_nftables():
    assert render(LIST, "nftables", stamp="on a Monday") == (
        """\
# Allowlist for the IBM Quantum Platform, rendered by ibm_quantum.platform.allowlist.
# on a Monday
# The addresses are a snapshot: those that DNS gave when this was rendered. IBM publishes names
# and no address ranges, so render it again regularly, or prefer a firewall or proxy that knows names.
# This host may begin connections to the endpoints below only. Load it with: nft -f FILE

table inet ibm_quantum_allowlist
delete table inet ibm_quantum_allowlist
table inet ibm_quantum_allowlist {
    set tcp4 {
        type ipv4_addr . inet_service
        flags interval
        elements = {
            192.0.2.0/30 . 443, # iam.cloud.ibm.com: IAM: keys, quantum.cloud.ibm.com, 192.0.2.0/30
        }
    }
    set tcp6 {
        type ipv6_addr . inet_service
        flags interval
        elements = {
            2001:db8::1 . 443, # iam.cloud.ibm.com: IAM: keys
        }
    }
    set udp4 {
        type ipv4_addr . inet_service
        flags interval
        elements = {
            198.51.100.9 . 123, # ntp.example.com
        }
    }
    chain output {
        type filter hook output priority 10; policy accept;
        oif "lo" accept
        # Whatever begins no TCP connection: connection tracking may not know sessions that are older than it.
        tcp flags & (fin | syn | rst | ack) != syn accept
        ct state established,related accept
        icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
        icmpv6 type {
            destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-solicit,
            nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld-listener-done, mld2-listener-report
        } accept
        # DHCP
        udp sport 68 udp dport 67 accept
        udp sport 546 udp dport 547 accept
        # DNS to any server, as the list names none (port 53)
        meta l4proto { tcp, udp } th dport 53 accept
        ip daddr . tcp dport @tcp4 counter accept
        ip6 daddr . tcp dport @tcp6 counter accept
        ip daddr . udp dport @udp4 counter accept
        counter reject with icmpx type admin-prohibited
    }
}
"""
    )


def test_squid():
    assert render([*NAMES, "192.0.2.7"], "squid") == (
        """\
# Allowlist for the IBM Quantum Platform, rendered by ibm_quantum.platform.allowlist.
# Include it in squid.conf behind the rules that deny and before the last one, 'http_access deny all'.
# Who may use the proxy is not said here: deny others before. -n: DNS decides on nothing here.

acl ibm_quantum_port_80 port 80
acl ibm_quantum_names_80 dstdomain -n mirror.example.com
http_access allow ibm_quantum_port_80 ibm_quantum_names_80

acl ibm_quantum_port_443 port 443
# IAM: "keys", tokens
acl ibm_quantum_names_443 dstdomain -n iam.cloud.ibm.com
acl ibm_quantum_below_443 dstdom_regex -n -i \\.cloud\\.ibm\\.com$
acl ibm_quantum_addresses_443 dst -n 2001:db8::/32
acl ibm_quantum_addresses_443 dst -n 192.0.2.7
http_access allow ibm_quantum_port_443 ibm_quantum_names_443
http_access allow ibm_quantum_port_443 ibm_quantum_below_443
http_access allow ibm_quantum_port_443 ibm_quantum_addresses_443
"""
    )


def test_aws_security_group():
    assert json.loads(render(LIST, "aws_security_group")) == [
        {
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "IpRanges": [
                {"CidrIp": "192.0.2.0/30", "Description": "192.0.2.0/30"},
                {"CidrIp": "192.0.2.1/32", "Description": "iam.cloud.ibm.com: IAM: keys, quantum.cloud.ibm.com"},
                {"CidrIp": "192.0.2.2/32", "Description": "quantum.cloud.ibm.com"},
            ],
            "Ipv6Ranges": [{"CidrIpv6": "2001:db8::1/128", "Description": "iam.cloud.ibm.com: IAM: keys"}],
        },
        {
            "IpProtocol": "udp",
            "FromPort": 123,
            "ToPort": 123,
            "IpRanges": [{"CidrIp": "198.51.100.9/32", "Description": "ntp.example.com"}],
        },
    ]


def test_ibm_vpc_acl():
    rules = json.loads(render([IAM, LIST[3]], "ibm_vpc_acl"))
    assert rules[:2] == [
        {
            "name": "out-1-iam-cloud-ibm-com",
            "action": "allow",
            "direction": "outbound",
            "protocol": "tcp",
            "source": "0.0.0.0/0",
            "source_port_min": 1,
            "source_port_max": 65535,
            "destination": "192.0.2.1/32",
            "destination_port_min": 443,
            "destination_port_max": 443,
        },
        {
            "name": "in-1-iam-cloud-ibm-com",
            "action": "allow",
            "direction": "inbound",
            "protocol": "tcp",
            "source": "192.0.2.1/32",
            "source_port_min": 443,
            "source_port_max": 443,
            "destination": "0.0.0.0/0",
            "destination_port_min": 1024,
            "destination_port_max": 65535,
        },
    ]
    # the IPv6 address is left out, and a time server may answer to the port that asked it
    assert [rule["name"] for rule in rules[2:]] == ["out-2-ntp-example-com", "in-2-ntp-example-com"]
    assert (rules[3]["source_port_min"], rules[3]["destination_port_min"]) == (123, 123)


def test_firewalld():
    entries = [{**IAM, "purpose": "keys & <tokens>"}, LIST[3]]
    assert render(entries, "firewalld", stamp="on a Monday") == (
        """\
<?xml version="1.0" encoding="utf-8"?>
<policy target="REJECT">
  <short>IBM Quantum allowlist</short>
  <description>Allowlist for the IBM Quantum Platform, rendered by ibm_quantum.platform.allowlist.
on a Monday
The addresses are a snapshot: those that DNS gave when this was rendered. IBM publishes names
and no address ranges, so render it again regularly, or prefer a firewall or proxy that knows names.
DNS to any server, as the list names none (port 53).
192.0.2.1 443/tcp: iam.cloud.ibm.com: keys &amp; &lt;tokens&gt;
2001:db8::1 443/tcp: iam.cloud.ibm.com: keys &amp; &lt;tokens&gt;
198.51.100.9 123/udp: ntp.example.com</description>
  <ingress-zone name="HOST"/>
  <egress-zone name="ANY"/>
  <rule family="ipv6">
    <icmp-type name="echo-request"/>
    <reject/>
  </rule>
  <rule family="ipv6">
    <icmp-type name="echo-reply"/>
    <reject/>
  </rule>
  <protocol value="ipv6-icmp"/>
  <port port="67" protocol="udp"/>
  <port port="547" protocol="udp"/>
  <port port="53" protocol="tcp"/>
  <port port="53" protocol="udp"/>
  <rule family="ipv4">
    <destination address="192.0.2.1"/>
    <port port="443" protocol="tcp"/>
    <accept/>
  </rule>
  <rule family="ipv6">
    <destination address="2001:db8::1"/>
    <port port="443" protocol="tcp"/>
    <accept/>
  </rule>
  <rule family="ipv4">
    <destination address="198.51.100.9"/>
    <port port="123" protocol="udp"/>
    <accept/>
  </rule>
</policy>
"""
    )


@pytest.mark.parametrize("form", ["nftables", "firewalld"])
def test_dns_is_open_unless_the_list_names_servers(form):
    open_to_all = {"nftables": "th dport 53 accept", "firewalld": '\n  <port port="53"'}[form]
    assert open_to_all in render(["192.0.2.1"], form)
    closed = render(["192.0.2.1", {"host": "192.0.2.53", "port": 53, "protocol": "udp"}], form)
    assert open_to_all not in closed and "DNS to any server" not in closed and "192.0.2.53" in closed


def test_without_learnt_addresses_nothing_is_a_snapshot():
    for form in _render.WITH_COMMENTS:
        assert "snapshot" not in render(["192.0.2.1"], form)


def test_what_is_there_twice_is_united():
    entries = _render.declare(
        ["a.example", {"host": "A.example.", "addresses": ["192.0.2.2", "192.0.2.1"]}, "b.example"]
    )
    assert [(e.host, e.addresses) for e in entries] == [("a.example", ("192.0.2.1", "192.0.2.2")), ("b.example", None)]


def test_aws_descriptions_keep_to_its_letters_and_length():
    purpose = "Schlüssel; \"quoted\" <and> 'more' | " * 20
    (permission,) = json.loads(render([{**IAM, "purpose": purpose}], "aws_security_group"))
    text = permission["IpRanges"][0]["Description"]
    assert re.fullmatch(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{250,255}", text)


def test_aws_takes_so_many_rules():
    entries = [str(ipaddress.ip_address("10.0.0.1") + 2 * number) for number in range(1001)]
    assert render(entries[1:], "aws_security_group")
    with pytest.raises(RenderError, match="aws_security_group: 1001 rules .* at most 1000"):
        render(entries, "aws_security_group")


@pytest.mark.parametrize(
    "item, text",
    [
        ("a b.example", "'a b.example' is no host name"),
        ("a.example\n", "is no host name"),
        ("a.example\nhttp_access allow all", "is no host name"),
        ('a"b.example', "is no host name"),
        ("a'b.example", "is no host name"),
        ("a;b", "is no host name"),
        ("a{b}", "is no host name"),
        ("", "is no host name"),
        (".", "is no host name"),
        (".cloud.ibm.com", "is no host name"),
        ("-a.example", "is no host name"),
        ("a" * 64 + ".example", "is no host name"),
        ("a." * 127 + "example", "is no host name"),
        ("https://cloud.ibm.com/", "is a URL; give the host name alone"),
        ("bücher.example", "ASCII form"),
        ("\u212awik.example", "ASCII form"),
        ("*", "is no wildcard"),
        ("a.*.example", "is no wildcard"),
        ("*.*.example", "is no wildcard"),
        ("192.0.2.1/24", "is no address or network: .*host bits"),
        ("192.0.2.256", "is no address or network"),
        ("192.0.2.0/33", "is no address or network"),
        ("2001:db8::/129", "is no address or network"),
        ("0.0.0.0", "stands for any host"),
        ("0.0.0.0/0", "stands for any host"),
        ("::/0", "stands for any host"),
        (42, "42 is neither a host name nor a dict"),
        (None, "None is neither"),
        ({}, "the host is missing"),
        ({"host": 42}, "host 42 is not a text"),
        ({"host": "a.example", "prot": "udp"}, "unknown key prot; an endpoint has host, port, protocol"),
        ({"host": "a.example", "protocol": "icmp"}, "protocol 'icmp' is not one of tcp, udp"),
        ({"host": "a.example", "protocol": ["tcp"]}, "is not one of tcp, udp"),
        ({"host": "a.example", "port": 0}, "port 0 is not a number between 1 and 65535"),
        ({"host": "a.example", "port": 65536}, "port 65536 is not"),
        ({"host": "a.example", "port": "80, 81"}, "port '80, 81' is not"),
        ({"host": "a.example", "port": "80\n"}, "is not a number"),
        ({"host": "a.example", "port": True}, "port True is not"),
        ({"host": "a.example", "port": None}, "port None is not"),
        ({"host": "a.example", "purpose": "a\nb"}, "is not one line of printable text"),
        ({"host": "a.example", "purpose": "a\u2028b"}, "is not one line of printable text"),
        ({"host": "a.example", "region": 5}, "region 5 is not one line"),
        ({"host": "a.example", "feature": "=cmd()"}, "must not begin with ="),
        ({"host": "a.example", "addresses": "192.0.2.1"}, "addresses must be a list, not str"),
        ({"host": "a.example", "addresses": 5}, "addresses must be a list, not int"),
        ({"host": "a.example", "addresses": ["0.0.0.0"]}, "stands for any host"),
        ({"host": "a.example", "addresses": ["fe80::1%eth0"]}, "endpoints.1.: 'fe80::1%eth0' (cannot be|is no)"),
        ({"host": "a.example", "addresses": [3221225985]}, "3221225985 is no address"),
    ],
)
@pytest.mark.parametrize("form", ["plain", "nftables"])
def test_what_is_no_endpoint(item, text, form):
    with pytest.raises(RenderError, match=text) as caught:
        render(["192.0.2.1", item], form)
    assert str(caught.value).startswith("endpoints[1]: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["a.example", b"a", {"host": "a.example"}, None, 5])
def test_what_is_no_list(value):
    with pytest.raises(RenderError, match="a list of endpoints is wanted, not"):
        render(value)


@pytest.mark.parametrize("form", _render.FORMATS)
def test_an_empty_list_is_an_accident(form):
    with pytest.raises(RenderError, match="the list of endpoints is empty"):
        render([], form)


@pytest.mark.parametrize("form", ["", "Plain", "iptables", None, ["plain"]])
def test_an_unknown_format(form):
    with pytest.raises(RenderError, match="unknown format .*: choose from plain, csv, json, nftables, squid, aws_sec"):
        render(["a.example"], form)


@pytest.mark.parametrize("form", _render.FORMATS)
def test_a_stamp_goes_where_comments_are_and_nowhere_else(form):
    if form in _render.WITH_COMMENTS:
        assert "on a Monday" in render(["192.0.2.1"], form, stamp="on a Monday")
        with pytest.raises(RenderError, match="stamp: the text .* is not one line"):
            render(["192.0.2.1"], form, stamp="a\nb")
    else:
        with pytest.raises(RenderError, match=f"{form} has no comments, so it takes no stamp; plain, "):
            render(["192.0.2.1"], form, stamp="on a Monday")


@pytest.mark.parametrize("form", _render.BY_ADDRESS)
def test_formats_by_address_need_addresses(form):
    with pytest.raises(RenderError, match=f"{form} .* none are given for a.example, b.example; .* resolve=true"):
        render(["192.0.2.1", "a.example", {"host": "b.example", "addresses": []}], form)
    with pytest.raises(RenderError, match=f"{form} .* wildcard .*\\*.a.example; .*plain, csv, json, squid"):
        render(["192.0.2.1", "*.a.example"], form)
    with pytest.raises(RenderError, match="wildcard"):
        render([{"host": "*.a.example", "addresses": ["192.0.2.1"]}], form)


def test_squid_is_for_tcp():
    with pytest.raises(RenderError, match=r"squid passes on TCP only: leave out \[2001:db8::1\]:123/udp"):
        render([{"host": "2001:db8::1", "port": 123, "protocol": "udp"}], "squid")


def test_ibm_cloud_has_ipv4_only():
    with pytest.raises(RenderError, match=r"IPv4 only, .* for a.example:443/tcp, \[2001:db8::2\]:443/tcp"):
        render([IAM, {"host": "a.example", "addresses": ["2001:db8::1"]}, "2001:db8::2"], "ibm_vpc_acl")


def test_a_backslash_joins_no_lines():
    for form in _render.WITH_COMMENTS:
        text = render([{"host": "192.0.2.1", "purpose": "a \\"}], form)
        assert form == "firewalld" or "\\" not in text


def test_the_playbook_knows_which_formats_need_addresses():
    (play,) = yaml.safe_load((ROOT / "playbooks/allowlist.yml").read_text())
    assert tuple(play["vars"]["ibm_quantum_allowlist_by_address"]) == _render.BY_ADDRESS


def test_the_documented_formats_are_all():
    filter_docs = yaml.safe_load((ROOT / "plugins/filter/allowlist.yml").read_text())["DOCUMENTATION"]
    assert list(filter_docs["options"]["format"]["choices"]) == list(_render.FORMATS)
    guide = (ROOT / "docs/allowlist.md").read_text().partition("## Formats")[2]
    assert re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE) == list(_render.FORMATS)


# Any list, read back.

_LABELS = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?", fullmatch=True)
_NAMES = st.builds(
    lambda labels, top: ".".join([*labels, top]), st.lists(_LABELS, max_size=3), st.sampled_from(["de", "xn--a"])
)
_NETS = st.builds(
    lambda base, size: str(ipaddress.ip_network((base, size), strict=False)),
    st.sampled_from([0x0A000000, 0xC0000200]).flatmap(lambda base: st.integers(base, base + 64)),
    st.integers(24, 32),
) | st.builds(
    lambda base, size: str(ipaddress.ip_network((base, size), strict=False)),
    st.integers(0x20010DB8 << 96, (0x20010DB8 << 96) + 64),
    st.integers(120, 128),
)
_TEXTS = st.none() | st.text().filter(lambda text: text.isprintable() and text[:1] not in ("=", "+", "-", "@"))
_REST = {
    "port": st.sampled_from([53, 80, 443, 65535]),
    "protocol": st.sampled_from(["tcp", "udp"]),
    "region": _TEXTS,
    "feature": _TEXTS,
    "purpose": _TEXTS,
}
_PLACES = st.fixed_dictionaries({"host": _NETS, **_REST})
_WITH_ADDRESSES = st.fixed_dictionaries({"host": _NAMES, **_REST, "addresses": st.lists(_NETS, min_size=1, max_size=4)})
_BY_NAME = st.fixed_dictionaries({"host": _NAMES | st.builds("*.{}".format, _NAMES), **_REST})
ANY_LIST = st.lists(_PLACES | _WITH_ADDRESSES | _BY_NAME, min_size=1, max_size=8)
#: For the formats by address.
ADDRESSES = st.lists(_PLACES | _WITH_ADDRESSES, min_size=1, max_size=8)


def _spelt(net):
    return str(ipaddress.ip_network(net))


def _wanted(entries):
    """Network, port and protocol of all that is to be allowed."""
    return {(_spelt(net), e["port"], e["protocol"]) for e in entries for net in e.get("addresses") or [e["host"]]}


def _single(allowed):
    """Every single address, with port and protocol."""
    return {(address, port, protocol) for net, port, protocol in allowed for address in ipaddress.ip_network(net)}


@given(ANY_LIST)
def test_lists_read_back(entries):
    kept = [
        (e.host, e.port, e.protocol, e.region, e.feature, e.purpose, list(e.addresses) if e.addresses else None)
        for e in _render.declare(entries)
    ]
    rows = list(csv.reader(io.StringIO(render(entries, "csv"), newline="")))
    assert rows[0] == list(_render.KEYS)
    assert [(h, int(p), pr, r or None, f or None, t, a.split() or None) for h, p, pr, r, f, t, a in rows[1:]] == [
        (h, p, pr, r or None, f or None, t, a) for h, p, pr, r, f, t, a in kept
    ]
    assert [tuple(row.get(key) for key in _render.KEYS) for row in json.loads(render(entries, "json"))] == kept
    lines = [line for line in render(entries).split("\n") if line and not line.startswith("#")]
    read = [re.fullmatch(r"\[?([^\s\]]+)\]?:(\d+)/(tcp|udp)", line.split("  ")[0].rstrip()).groups() for line in lines]
    assert [(host, int(port), protocol) for host, port, protocol in read] == [row[:3] for row in kept]
    # what comes out may go in again
    assert render(json.loads(render(entries, "json")), "json") == render(entries, "json")


@given(ADDRESSES)
def test_nftables_reads_back(entries):
    text = re.sub(r"#.*", "", render(entries, "nftables"))
    found = set()
    for protocol, version, body in re.findall(r"set (tcp|udp)([46]) \{.*?elements = \{(.*?)\}", text, re.DOTALL):
        for net, port in re.findall(r"(\S+) \. (\d+),", body):
            assert ipaddress.ip_network(net).version == int(version)
            assert (net, int(port), protocol) not in found
            found.add((net, int(port), protocol))
    assert _single(found) == _single(_wanted(entries))
    assert len(_single(found)) == sum(ipaddress.ip_network(net).num_addresses for net, _port, _protocol in found)


@given(ADDRESSES)
def test_aws_reads_back(entries):
    found = [
        (item.get("CidrIp") or item["CidrIpv6"], p["FromPort"], p["IpProtocol"])
        for p in json.loads(render(entries, "aws_security_group"))
        for item in [*p.get("IpRanges", []), *p.get("Ipv6Ranges", [])]
    ]
    assert len(found) == len(set(found))
    assert set(found) == _wanted(entries)


@given(ADDRESSES)
def test_firewalld_reads_back(entries):
    root = ElementTree.fromstring(render(entries, "firewalld"))
    found = [
        (
            _spelt(rule.find("destination").get("address")),
            int(rule.find("port").get("port")),
            rule.find("port").get("protocol"),
        )
        for rule in root.findall("rule")
        if rule.find("accept") is not None
    ]
    assert len(found) == len(set(found))
    assert set(found) == _wanted(entries)


@given(ADDRESSES)
def test_ibm_vpc_reads_back(entries):
    wanted = {row for row in _wanted(entries) if ":" not in row[0]}
    served = {
        (e["host"], e["port"], e["protocol"])
        for e in entries
        if any(":" not in a for a in e.get("addresses") or [e["host"]])
    }
    if any((e["host"], e["port"], e["protocol"]) not in served for e in entries):
        with pytest.raises(RenderError, match="IPv4 only"):
            render(entries, "ibm_vpc_acl")
        return
    rules = json.loads(render(entries, "ibm_vpc_acl"))
    out = [r for r in rules if r["direction"] == "outbound"]
    back = [r for r in rules if r["direction"] == "inbound"]
    assert {(r["destination"], r["destination_port_min"], r["protocol"]) for r in out} == wanted
    assert {(r["source"], r["source_port_max"], r["protocol"]) for r in back} == wanted
    assert len(out) == len(back) == len(wanted)
    names = [r["name"] for r in rules]
    assert len(names) == len(set(names))
    # as IBM's API has it
    assert all(len(n) <= 63 and re.fullmatch(r"[a-z]|[a-z][-a-z0-9]*[a-z0-9]", n) for n in names)


@given(
    st.lists(_BY_NAME | _PLACES, min_size=1, max_size=8).map(lambda rows: [{**row, "protocol": "tcp"} for row in rows])
)
def test_squid_reads_back(entries):
    found, ports, allowed = set(), {}, set()
    for line in render(entries, "squid").split("\n"):
        words = line.split()
        if words[:1] == ["acl"]:
            if words[2] == "port":
                ports[words[1]] = int(words[3])
                continue
            host = words[-1]
            if words[2] == "dstdom_regex":
                assert host.endswith("$")
                host = "*" + host[:-1].replace("\\.", ".")
            found.add((words[1], host))
        elif words[:1] == ["http_access"]:
            allowed.add((words[2], words[3]))
        else:
            assert not line or line.startswith("#")
    read = {(host, ports[port]) for port, acl in allowed for name, host in found if name == acl}
    assert read == {(e.host, e.port) for e in _render.declare(entries)}
    assert {acl for _port, acl in allowed} == {name for name, _host in found}


@given(st.text(), st.sampled_from(["plain", "squid"]))
def test_any_text_is_a_host_or_one_clear_error(text, form):
    try:
        lines = render([text], form).split("\n")
    except RenderError as error:
        assert str(error).isprintable()
    else:
        assert len(lines) == {"plain": 2, "squid": 8}[form]
