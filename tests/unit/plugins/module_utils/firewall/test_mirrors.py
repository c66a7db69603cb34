# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.mirrors import destinations

FILES = {
    "etc/apt/sources.list": """\
deb http://deb.example.org/debian bookworm main
deb [signed-by=/usr/share/keyrings/x.gpg] https://packages.example.org:8443/x stable main
# deb http://old.example.org/debian bookworm main
deb cdrom:[Debian]/ bookworm main
deb http://[2001:db8::1]/debian bookworm main
""",
    "etc/apt/sources.list.d/more.sources": "Types: deb\nURIs: https://one.example.org/a https://two.example.org/b\n",
    "etc/apt/apt.conf.d/01proxy": """\
Acquire::http::Proxy "http://user:secret@cache.example.org:3142";
// Acquire::https::Proxy "http://nobody.example.org:1";
""",
    "etc/yum.repos.d/one.repo": """\
[base]
baseurl=https://repo.example.org/$releasever/
 https://second.example.org/
mirrorlist=https://lists.example.org/?arch=x
[off]
enabled=0
baseurl=http://off.example.org/
""",
    "etc/yum.repos.d/broken.repo": "baseurl=http://lost.example.org/\n",
    "etc/zypp/repos.d/variable.repo": "[x]\nbaseurl=https://$host.example.org/\n",
    "etc/apk/repositories": "https://apk.example.org/v3\n#https://edge.example.org/\n",
    "etc/apt/apt.conf.d/99binary": "http://\x00\n",
}


def test_every_package_manager(tmp_path: Path) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert [str(d) for d in destinations(str(tmp_path))] == [
        "2001:db8::1 80/tcp",
        "apk.example.org 443/tcp",
        "cache.example.org 3142/tcp",
        "deb.example.org 80/tcp",
        "lists.example.org 443/tcp",
        "one.example.org 443/tcp",
        "packages.example.org 8443/tcp",
        "repo.example.org 443/tcp",
        "second.example.org 443/tcp",
        "two.example.org 443/tcp",
    ]


def test_a_host_without_any(tmp_path: Path) -> None:
    assert destinations(str(tmp_path)) == []
