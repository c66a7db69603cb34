# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._secret_fields import MASK, holds_secret, mask

SECRET = [
    {"apikey": "x"},
    {"access_token": "x"},
    {"refresh_token": "x"},
    {"Client-Secret": "x"},
    {"data": [{"credentials": {"secret_access_key": "x"}}]},
    {"a": ({"PASSWORD": "x"},)},
]
HARMLESS: list[Any] = [
    {},
    [],
    None,
    "apikey",
    {"apikey": ""},
    {"apikey": None},
    {"api_keys": ["x"]},
    {"apikey_id": "x"},
    {"token": 7},
]


@pytest.mark.parametrize("value", SECRET)
def test_secrets_are_found_and_masked(value):
    assert holds_secret(value)
    masked = mask(value)
    assert MASK in str(masked) and "'x'" not in str(masked)


@pytest.mark.parametrize("value", HARMLESS)
def test_the_rest_is_left_alone(value):
    assert not holds_secret(value)
    assert mask(value) == value


def test_masking_makes_a_copy():
    value = {"list": [{"apikey": "x"}]}
    assert mask(value) == {"list": [{"apikey": MASK}]}
    assert value == {"list": [{"apikey": "x"}]}
