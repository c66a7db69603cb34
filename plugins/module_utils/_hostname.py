# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Host names, wildcards, addresses and networks as people write them, in their one spelling. Standard library only.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import re

#: Longer than RFC 1123 has it by the underscore, which names of services and of internal hosts have.
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LOOKS_LIKE_ADDRESS = re.compile(r"[0-9./]+|[0-9a-f:./]*:[0-9a-f:./]*")


def spelt(host: str) -> str:
    """A host name in lower case, ``*.`` and one, an address, or a network (``192.0.2.0/24``).

    Raises ValueError for anything else; its text goes on after "host 'x' ".
    """
    text = host.strip().rstrip(".").lower()
    if "://" in text:
        raise ValueError("is a URL; give the host name alone")
    if _LOOKS_LIKE_ADDRESS.fullmatch(text):
        try:
            net = ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(f"is no address or network: {error}") from None
        return str(net.network_address) if net.num_addresses == 1 else str(net)
    if not host.isascii():  # before anything else is made of it: some letters become ASCII in lower case
        raise ValueError("must be given in its ASCII form (xn--...)")
    name = text[2:] if text.startswith("*.") else text
    if "*" in name:
        raise ValueError("is no wildcard, which stands for the names below a domain: *.example.org")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError("is no host name, address or network")
    return text
