# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._token import (
    MARGIN,
    Token,
    claims,
    from_reply,
    from_value,
    is_jwt,
)
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, TOKEN, jwt

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    "age, fresh, usable",
    [
        (0, True, True),
        (2879, True, True),
        (2880, False, True),  # 80 % of an hour
        (3600 - MARGIN - 1, False, True),
        (3600 - MARGIN, False, False),
        (4000, False, False),
        (-5, True, True),  # clocks wobble
        (-60, False, False),  # the clock was set back
    ],
)
def test_the_life_of_a_token(age, fresh, usable):
    token = Token("t", NOW, 3600.0)
    assert (token.fresh(NOW + age), token.usable(NOW + age)) == (fresh, usable)


@pytest.mark.parametrize(
    "reply, lifetime",
    [
        ({"access_token": "opaque", "expires_in": 3600}, 3600),
        ({"access_token": jwt(iat=1, exp=901), "expires_in": 3600}, 900),
        ({"access_token": jwt(iat=1, exp=3601), "expires_in": 900}, 900),
        ({"access_token": jwt(iat=1, exp=901)}, 900),
        ({"access_token": jwt(iat=1, exp=901), "expires_in": None}, 900),
        ({"access_token": jwt(iat=9, exp=1), "expires_in": 60}, 60),
        ({"access_token": jwt(iat="1", exp=True), "expires_in": 60}, 60),
    ],
)
def test_the_shortest_life_that_is_known_counts(reply, lifetime):
    assert from_reply(reply, NOW) == Token(reply["access_token"], NOW, lifetime)


@pytest.mark.parametrize(
    "reply, why",
    [
        ({}, "no access_token"),
        ({"access_token": "", "expires_in": 60}, "no access_token"),
        ({"access_token": 7, "expires_in": 60}, "no access_token"),
        ({"access_token": "opaque"}, "no lifetime"),
        ({"access_token": "opaque", "expires_in": 0}, "no lifetime"),
        ({"access_token": "opaque", "expires_in": "soon"}, "no lifetime"),
    ],
)
def test_no_token(reply, why):
    with pytest.raises(ValueError, match=why):
        from_reply(reply, NOW)


def test_a_given_token_lives_as_long_as_it_says():
    assert from_value(jwt(exp=NOW + 100), NOW).expires == NOW + 100
    assert from_value(jwt(sub="x"), NOW).lifetime == 3600


@pytest.mark.parametrize(
    "text, expected",
    [
        (TOKEN, True),
        (TOKEN.rsplit(".", 1)[0] + ".", True),
        (API_KEY, False),
        ("a.b.c", False),
        ("www.cloud.ibm", False),
        (TOKEN + ".x", False),
        ("", False),
    ],
)
def test_what_a_bearer_token_looks_like(text, expected):
    assert is_jwt(text) is expected


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "eyJ.%%%.c", "eyJ.W10.c", "eyJ.bnVsbA.c", "eyJ.\u00e9.c"])
def test_claims_that_cannot_be_read_are_empty(text):
    assert claims(text) == {}


def test_claims():
    assert claims(jwt(iam_id="IBMid-1", account={"bss": "a"})) == {"iam_id": "IBMid-1", "account": {"bss": "a"}}
