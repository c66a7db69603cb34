# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""This very code as one zip archive that Python runs: what the host's own units execute.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import functools
import importlib
import io
import zipfile
from typing import Any

_PACKAGE = "ansible_collections.ibm_quantum.platform.plugins.module_utils"
_MODULES = {
    _PACKAGE: ("_dns", "_endpoints", "_hostname", "_resolve"),
    _PACKAGE + "._firewall": (
        "__init__",
        "allowlist",
        "archive",
        "choose",
        "command",
        "cron",
        "dnsmasq",
        "firewalld",
        "firewalld_files",
        "footprint",
        "guard",
        "host",
        "iptables",
        "iptables_script",
        "nft",
        "nft_chains",
        "nft_table",
        "nftables",
        "nftables_inside",
        "policy",
        "provider",
        "scheduler",
        "store",
        "systemd",
        "ufw",
        "words",
    ),
}


def _source(name: str) -> bytes:
    """The text of a module, from whatever loaded it."""
    loader: Any = getattr(importlib.import_module(name), "__loader__", None)
    text = loader.get_source(name)
    if text is None:
        raise RuntimeError(f"the source of {name} is not to be had")
    return text.encode() if isinstance(text, str) else bytes(text)  # Ansible's own loader gives bytes


@functools.lru_cache(maxsize=None)
def build() -> bytes:
    """The archive. The same code gives the same bytes, wherever it was loaded from (a folder or Ansible's own zip)."""
    # Imported here, since it imports this module in turn; and imported at all, so that Ansible sends it along.
    from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import host

    files = {"__main__.py": f"from {host.__name__} import main\n\nraise SystemExit(main())\n".encode()}
    for package, modules in _MODULES.items():
        parts = package.split(".")
        for depth in range(1, len(parts) + 1):
            files.setdefault("/".join([*parts[:depth], "__init__.py"]), b"")
        for module in modules:
            files["/".join([*parts, module + ".py"])] = _source(
                package if module == "__init__" else f"{package}.{module}"
            )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), content)  # ZipInfo: a fixed date, and no compression that varies
    return buffer.getvalue()
