# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.ibm_quantum.platform.plugins.module_utils._hostname import spelt


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("Mirror.Example.ORG.", "mirror.example.org"),
        (" x_y.example ", "x_y.example"),
        ("*.Cloud.ibm.com", "*.cloud.ibm.com"),
        ("192.0.2.1/32", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:DB8::0:1", "2001:db8::1"),
    ],
)
def test_one_spelling(written: str, wanted: str) -> None:
    assert spelt(written) == wanted


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("https://example.org/", "is a URL"),
        ("10.0.0.1/8", "is no address or network: 10.0.0.1/8 has host bits set"),
        ("\u212awik.example", "ASCII form"),  # the Kelvin sign, whose lower case is k
        ("a.*.example", "is no wildcard"),
        ("a b", "is no host name"),
        ("", "is no host name"),
        ("a" * 64 + ".example", "is no host name"),
    ],
)
def test_anything_else_is_told(written: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        spelt(written)


@given(st.text(max_size=40))
def test_whatever_comes_out_is_harmless_and_stays(text: str) -> None:
    try:
        host = spelt(text)
    except ValueError:
        return
    assert host and set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-*:/") and spelt(host) == host
