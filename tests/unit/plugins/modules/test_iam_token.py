# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import time

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import iam_token
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import (
    ACCOUNT,
    API_KEY,
    OTHER_TOKEN,
    TOKEN,
    Module,
    token_reply,
)


def run(**options):
    module = Module(iam_token.ARGUMENT_SPEC, **{"api_key": API_KEY, **options})
    result = outcome(iam_token.run, module)
    assert API_KEY not in str(result)
    return result, module


def test_present(ibm):
    ibm.exchange()
    result, module = run()
    assert 3590 <= result.pop("expires_in") <= 3600
    assert 3590 <= result.pop("expiration") - time.time() <= 3600
    assert result == {
        "changed": False,
        "access_token": TOKEN,
        "account_id": ACCOUNT,
        "iam_id": "IBMid-270007GGGG",
        "exchanged": True,
    }
    assert module.no_log_values == {API_KEY}  # the token itself must come through to register


def test_a_second_task_finds_it(ibm, tokens):
    ibm.exchange()
    first, second = run()[0], run()[0]
    assert (first["exchanged"], second["exchanged"]) == (True, False)
    assert first["access_token"] == second["access_token"]
    assert all(API_KEY.encode() not in path.read_bytes() for path in tokens.iterdir())


def test_check_mode_gives_a_token_too(ibm):
    ibm.exchange()
    assert run(check_mode=True)[0]["access_token"] == TOKEN


def test_a_token_without_claims(ibm):
    ibm.exchange(reply=token_reply("opaque", expires_in=900))
    result = run()[0]
    assert (result["account_id"], result["iam_id"]) == (None, None)
    assert 890 <= result["expires_in"] <= 900


def test_without_the_shared_cache(ibm, tokens):
    ibm.exchange()
    assert [run(token_cache=False)[0]["exchanged"] for _turn in range(2)] == [True, False]
    assert not tokens.exists()


def test_a_cache_that_cannot_be_used_is_a_warning(ibm, tokens):
    tokens.parent.mkdir(parents=True)
    tokens.symlink_to(tokens.parent)
    ibm.exchange()
    result, module = run()
    assert result["access_token"] == TOKEN
    assert module.warnings == [f"token cache not used: {tokens} is not a directory of this user: remove it"]


def test_a_given_token(ibm):
    result, _module = run(api_key=None, bearer_token=TOKEN)
    assert (result["access_token"], result["exchanged"]) == (TOKEN, False)


@pytest.mark.parametrize("check_mode", [False, True])
def test_absent(ibm, tokens, check_mode):
    ibm.exchange()
    run()
    if check_mode:
        assert run(state="absent", check_mode=True)[0]["changed"] is True
        assert run()[0]["exchanged"] is False
        return
    result = run(state="absent")[0]
    assert result["changed"] is True
    assert (result["diff"]["before"], result["diff"]["after"]) == ({"cached": True}, {"cached": False})
    assert not list(tokens.glob("*.json"))
    assert run(state="absent")[0]["changed"] is False
    ibm.exchange(OTHER_TOKEN)
    assert run()[0]["access_token"] == OTHER_TOKEN


def test_absent_of_a_given_token_has_nothing_to_do(ibm):
    assert run(api_key=None, bearer_token=TOKEN, state="absent")[0]["changed"] is False


def test_a_wrong_key(ibm):
    ibm.exchange(status=400, reply={"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."})
    result, _module = run()
    assert result["failed"] and "check 'api_key' for missing characters (it has 44)" in result["msg"]
    assert result["error"]["code"] == "BXNIM0415E" and result["error"]["status"] == 400


@pytest.mark.parametrize("state, before, after", [("present", True, True), ("absent", False, False)])
def test_when_a_result_is_a_secret(state, before, after):
    assert iam_token.returns_secret({"state": state}) is before
    assert iam_token.returns_secret({"state": state}, {"access_token": "x"} if after else {"changed": True}) is after
    assert iam_token.returns_secret({"state": state}, {"failed": True, "msg": "no"}) is False


def test_the_cache_is_only_for_this_user(ibm, tokens):
    ibm.exchange()
    run()
    assert {path.stat().st_mode & 0o777 for path in tokens.iterdir()} == {0o600}
    assert os.stat(tokens).st_mode & 0o777 == 0o700


def test_a_token_that_must_last_is_renewed_before_its_time(ibm, tokens):
    ibm.exchange(reply=token_reply(expires_in=3600))
    assert run(minimum_life=1800)[0]["exchanged"]
    again, module = run(minimum_life=1800)
    assert not again["exchanged"] and not module.warnings
    (entry,) = tokens.glob("*.json")
    data = json.loads(entry.read_text())
    data["obtained"] -= 2000  # 1600 s are left: too few, though not 80 % of its life are over
    entry.write_text(json.dumps(data))
    assert run()[0]["access_token"] == TOKEN
    ibm.exchange(OTHER_TOKEN)
    result, module = run(minimum_life=1800)
    assert result["access_token"] == OTHER_TOKEN and not module.warnings


def test_tokens_that_are_shorter_than_the_minimum_are_not_exchanged_by_everyone(ibm):
    ibm.exchange(reply=token_reply("opaque", expires_in=900))
    for exchanged in (True, False, False):
        result, module = run(minimum_life=2400)
        assert result["exchanged"] == exchanged
        assert "'minimum_life' is 2400 s" in module.warnings[0]


def test_while_iam_is_out_of_order_a_short_token_does(ibm, tokens):
    ibm.exchange()
    run()
    (entry,) = tokens.glob("*.json")
    data = json.loads(entry.read_text())
    data["obtained"] -= 2000
    entry.write_text(json.dumps(data))
    ibm.exchange(status=503, reply={})
    result, module = run(minimum_life=1800, retries=0)
    assert result["access_token"] == TOKEN
    assert any("the old one still serves" in warning for warning in module.warnings)


@pytest.mark.parametrize("seconds", [-1, 3601])
def test_a_life_that_no_token_has(ibm, seconds):
    result, _module = run(minimum_life=seconds)
    assert result["failed"] and "'minimum_life' must be 0 to 3600 seconds" in result["msg"]
