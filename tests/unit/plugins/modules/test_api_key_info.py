# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import api_key_info
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.keys import (
    IAM_ID,
    ID,
    OTHER_ID,
    PAGE,
    URL,
    VALUE,
    details,
    gets,
    key,
    lists,
)
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import ACCOUNT, API_KEY, Module


def run(**options):
    module = Module(api_key_info.ARGUMENT_SPEC, **{"api_key": API_KEY, **options})
    result = outcome(api_key_info.run, module)
    assert API_KEY not in str(result) and VALUE not in str(result)
    assert VALUE in module.no_log_values or "value" not in options
    return result


def test_my_keys(ibm):
    ibm.exchange()
    lists(ibm, key(), key(id=OTHER_ID, apikey=VALUE))  # IBM stores the values of service IDs' keys where asked to
    assert run() == {"changed": False, "api_keys": [key(), key(id=OTHER_ID)]}


def test_all_pages(ibm):
    ibm.exchange()
    following = f"https://elsewhere.example/v1/apikeys?pagetoken=p2&pagesize=100&account_id={ACCOUNT}"
    ibm.cloud("GET", URL, query=PAGE, reply={"apikeys": [key()], "next": following})
    # a key was made meanwhile, so the last of the first page is the first of the second
    second = {"apikeys": [key(), key(id=OTHER_ID, name="last")]}
    ibm.cloud("GET", URL, query={**PAGE, "pagetoken": "p2"}, reply=second)
    assert [row["id"] for row in run()["api_keys"]] == [ID, OTHER_ID]


def test_by_name(ibm):
    ibm.exchange()
    lists(ibm, key(), key(id=OTHER_ID, name="other"))
    assert [row["id"] for row in run(name="other")["api_keys"]] == [OTHER_ID]


@pytest.mark.parametrize("found", [key(), None])
def test_by_id(ibm, found):
    ibm.exchange()
    gets(ibm, found)
    assert run(id=ID)["api_keys"] == ([found] if found else [])


@pytest.mark.parametrize("found", [key(locked=True, disabled=True), None])
def test_by_value(ibm, found):
    ibm.exchange()
    details(ibm, VALUE, found)
    assert run(value=f"{VALUE}\n")["api_keys"] == ([found] if found else [])


def test_by_value_and_somebody(ibm):
    ibm.exchange()
    details(ibm, VALUE, key())
    assert run(value=VALUE, account_id="f" * 32)["api_keys"] == []


@pytest.mark.parametrize("option", ["id", "value"])
def test_an_empty_value_is_not_all_keys(ibm, option):
    result = outcome(api_key_info.run, Module(api_key_info.ARGUMENT_SPEC, api_key=API_KEY, **{option: " "}))
    assert result["msg"] == f"'{option}' is empty: leave it out to list keys"


@pytest.mark.parametrize("given", [None, "f" * 32])
def test_an_account(ibm, given):
    ibm.exchange()
    account = given or ACCOUNT
    query = {"pagesize": 100, "account_id": account, "scope": "account"}
    rows = [key(account_id=account), key(id=OTHER_ID, iam_id="iam-ServiceId-1", account_id=account)]
    ibm.cloud("GET", URL, query=query, reply={"apikeys": rows})
    assert len(run(scope="account", account_id=given)["api_keys"]) == 2


def test_of_somebody_else(ibm):
    ibm.exchange()
    query = {"pagesize": 100, "account_id": "f" * 32, "iam_id": IAM_ID}
    ibm.cloud("GET", URL, query=query, reply={"apikeys": []})
    assert run(iam_id=IAM_ID, account_id="f" * 32)["api_keys"] == []


@pytest.mark.parametrize("reply", ["<html>Sign in</html>", {"apikeys": {}}, [], None])
def test_a_login_page(ibm, reply):
    ibm.exchange()
    ibm.cloud("GET", URL, query=PAGE, reply=reply)
    assert "the answer is not IAM's. Check 'iam_url'" in run()["msg"]


def test_a_value_stays_with_its_host(ibm):
    ibm.exchange()
    elsewhere = "https://elsewhere.example/keys"
    ibm.cloud(
        "GET",
        f"{URL}/details",
        headers={"IAM-ApiKey": VALUE},
        status=302,
        reply="",
        reply_headers={"Location": elsewhere},
    )
    ibm.expect("GET", elsewhere, headers={"IAM-ApiKey": None, "Authorization": None}, status=404)
    assert run(value=VALUE)["api_keys"] == []
