# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import requests

from ansible_collections.ibm_quantum.platform.plugins.module_utils._call import Call, perform
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._secret_fields import MASK
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import CRN, IAM, TOKEN, Module, ibm_error

KEYS = f"{IAM}/v1/apikeys"
CONFIGURATION = "/v1/instances/configuration"
LAPTOP = {"id": "ApiKey-1", "name": "laptop", "description": "old", "entity_tag": "7-x", "locked": False}
SERVER = {"id": "ApiKey-2", "name": "server", "description": "", "entity_tag": "1-x", "locked": True}
BY_NAME = {"path": KEYS, "match": {"name": "laptop"}}
LOST = requests.exceptions.ReadTimeout


def call(method, path, **fields):
    fields = {"query": {}, "headers": {}, "body": None, "current": None, "desired": None, **fields}
    fields = {"expected_status": [], "paginate": False, "read_only": False, **fields}
    return Call(method=method, path=path, **fields)


@pytest.fixture
def client():
    return Client(Module(argument_spec(), bearer_token=TOKEN, instance=CRN, retries=1))


@pytest.fixture
def listed(ibm):
    """What the account's keys are when it is looked."""

    def expect(*keys, **answer):
        ibm.cloud("GET", KEYS, **{"reply": {"apikeys": list(keys), "offset": 0}, **answer})

    return expect


# -- calls that read


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading(ibm, client, method, check_mode):
    query = {"limit": "1", "tags": ["a", "b"]}
    ibm.runtime(method, "/v1/jobs", query=query, reply={"count": 9, "offset": 0} if method == "GET" else None)
    outcome = perform(client, call(method, "/v1/jobs", query=query), check_mode)
    assert (outcome.changed, outcome.reply.status, outcome.diff) == (False, 200, None)


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_search_by_post_reads(ibm, client, check_mode):
    url, body = "https://api.global-search-tagging.cloud.ibm.com/v3/resources/search", {"query": "x"}
    ibm.cloud("POST", url, json=body, status=503)
    ibm.cloud("POST", url, json=body, reply={"items": [1], "search_cursor": "c"})
    ibm.cloud("POST", url, json={"search_cursor": "c"}, reply={"items": []})
    outcome = perform(client, call("POST", url, body=body, read_only=True, paginate=True), check_mode)
    assert outcome.reply.json == {"items": [1]} and outcome.changed is False


def test_pages_come_from_where_the_first_came_from(ibm, client):
    """A next link to a stranger would carry the token there."""
    ibm.cloud("GET", KEYS, query={"a": "1"}, reply={"apikeys": [1], "next": "https://evil.test/v1/apikeys?pagetoken=t"})
    ibm.cloud("GET", KEYS, query={"a": "1", "pagetoken": "t"}, reply={"apikeys": [2]})
    outcome = perform(client, call("GET", KEYS, query={"a": 1}, paginate=True), False)
    assert outcome.reply.json == {"apikeys": [1, 2]}


def test_one_page_where_that_is_wanted(ibm, client):
    answer = {"apikeys": [1], "next": "https://evil.test/?pagetoken=t"}
    ibm.cloud("GET", KEYS, reply=answer)
    assert perform(client, call("GET", KEYS), False).reply.json == answer


@pytest.mark.parametrize(
    "status, expected_status, text",
    [
        (200, [], None),
        (200, [200, 404], None),
        (404, [200, 404], None),
        (404, [], "No such job \\(404, code 1291\\)"),
        (404, [200], "No such job \\(404, code 1291\\)"),
        (200, [204], "answered 200, expected 204. Add it to 'expected_status' if that is right"),
        (500, [500], None),
    ],
)
def test_expected_status(ibm, client, status, expected_status, text):
    answer = {"status": status, "reply": ibm_error(1291, "No such job")}
    for _turn in range(2 if status == 500 else 1):
        ibm.runtime("GET", "/v1/jobs/1", **answer)
    wanted = call("GET", "/v1/jobs/1", expected_status=expected_status)
    if text is None:
        assert perform(client, wanted, False).reply.status == status
    else:
        with pytest.raises(ApiError, match=text):
            perform(client, wanted, False)


# -- calls that write, without a way to look before


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_without_current_it_is_sent(ibm, client, method):
    body = {"tags": ["a"], "apikey": "secret"}
    ibm.runtime(method, "/v1/jobs/1/tags", json=body, status=204)
    outcome = perform(client, call(method, "/v1/jobs/1/tags", body=body), False)
    assert outcome.changed and outcome.reply.status == 204
    assert outcome.diff["after"] == {"sent": {"tags": ["a"], "apikey": MASK}}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_without_current_check_mode_sends_nothing(ibm, client, method):
    outcome = perform(client, call(method, "/v1/jobs/1", body={"a": 1}), True)
    assert outcome.changed and outcome.reply is None
    assert outcome.diff["after"] == {"would send": {"a": 1}}


@pytest.mark.parametrize("answer", [{"fails": LOST()}, {"status": 500}, {"status": 504, "reply": "<html></html>"}])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_lost_answer_is_not_sent_again_and_says_so(ibm, client, method, answer):
    ibm.runtime(method, "/v1/jobs", json={"program_id": "sampler"}, **answer)
    with pytest.raises(
        ApiError, match="IBM may have carried it out: look before another try, or set 'current'"
    ) as caught:
        perform(client, call(method, "/v1/jobs", body={"program_id": "sampler"}), False)
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("answer", [{"status": 429}, {"fails": requests.exceptions.ConnectTimeout()}])
def test_what_certainly_was_not_processed_is_sent_again(ibm, client, answer):
    ibm.runtime("POST", "/v1/jobs", json={"a": 1}, **answer)
    ibm.runtime("POST", "/v1/jobs", json={"a": 1}, reply={"id": "1"})
    assert perform(client, call("POST", "/v1/jobs", body={"a": 1}), False).reply.json == {"id": "1"}


# -- calls that write, when it is known what is there already

SET = {"instance_limit": 600}
# what -> (method, body, desired, what is there or None, is the call needed, the diff's two sides)
NEEDED = {
    "put, already so": ("PUT", SET, None, {"instance_limit": 600, "x": 1}, False, SET, SET),
    "put, other": ("PUT", SET, None, {"instance_limit": 60, "x": 1}, True, {"instance_limit": 60}, SET),
    "put, a number as text": ("PUT", SET, None, {"instance_limit": "600"}, False, {"instance_limit": "600"}, None),
    "put, not there": ("PUT", SET, None, None, True, {}, SET),
    "put, desired": ("PUT", SET, {"limit": 1}, {"limit": 1}, False, {"limit": 1}, {"limit": 1}),
    "put, desired, other": ("PUT", SET, {"limit": 1}, {"limit": 2}, True, {"limit": 2}, {"limit": 1}),
    "patch, already so": ("PATCH", SET, None, SET, False, SET, SET),
    "patch, null wanted": ("PATCH", {"a": None}, None, {"a": 1}, True, {"a": 1}, {"a": None}),
    "post, there": ("POST", SET, None, {"instance_limit": 1}, False, {"instance_limit": 1}, {"instance_limit": 1}),
    "post, not there": ("POST", SET, None, None, True, {}, SET),
    "post, desired": ("POST", None, {"locked": True}, {"locked": True}, False, {"locked": True}, {"locked": True}),
    "post, desired, other": (
        "POST",
        None,
        {"locked": True},
        {"locked": False},
        True,
        {"locked": False},
        {"locked": True},
    ),
    "delete, there": ("DELETE", None, None, {"a": 1}, True, {"a": 1}, {}),
    "delete, not there": ("DELETE", None, None, None, False, {}, {}),
    "delete, desired": ("DELETE", None, {"locked": False}, {"locked": False}, False, {"locked": False}, None),
    "delete, desired, other": (
        "DELETE",
        None,
        {"locked": False},
        {"locked": True},
        True,
        {"locked": True},
        {"locked": False},
    ),
}


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("method, body, desired, present, needed, before, after", NEEDED.values(), ids=NEEDED)
def test_only_what_is_needed_is_sent(ibm, client, check_mode, method, body, desired, present, needed, before, after):
    answer = {"reply": present} if present is not None else {"status": 404, "reply": ibm_error(1234, "no")}
    ibm.runtime("GET", CONFIGURATION, **answer)
    if needed and not check_mode:
        ibm.runtime(method, CONFIGURATION, json=body, status=204)
    outcome = perform(client, call(method, CONFIGURATION, body=body, desired=desired, current={}), check_mode)
    assert outcome.changed is needed
    assert (outcome.reply is not None) is (needed and not check_mode)
    assert outcome.found == present
    assert (outcome.diff["before"], outcome.diff["after"]) == (before, before if after is None else after)


def test_secrets_stay_out_of_the_diff(ibm, client, listed):
    listed({**LAPTOP, "apikey": "stored"})
    wanted = call("PUT", f"{KEYS}/{{id}}", body={"apikey": "new"}, current=BY_NAME)
    outcome = perform(client, wanted, True)
    assert (outcome.diff["before"], outcome.diff["after"]) == ({"apikey": MASK}, {"apikey": MASK})


def test_placeholders_are_filled_from_what_was_found(ibm, client, listed):
    listed(SERVER, LAPTOP)
    body = {"description": "new"}
    ibm.cloud("PUT", f"{KEYS}/ApiKey-1", headers={"If-Match": "7-x"}, json=body, reply={**LAPTOP, **body})
    wanted = call("PUT", f"{KEYS}/{{id}}", headers={"If-Match": "{entity_tag}"}, body=body, current=BY_NAME)
    assert perform(client, wanted, False).changed


def test_what_fills_a_path_is_encoded(ibm, client):
    """The Resource Controller's id is a CRN, with slashes and colons."""
    url = "https://resource-controller.cloud.ibm.com/v2/resource_instances"
    ibm.cloud("GET", url, query={"name": "n"}, reply={"rows_count": 1, "resources": [{"id": CRN, "name": "n"}]})
    encoded = CRN.replace(":", "%3A").replace("/", "%2F")
    ibm.cloud("DELETE", f"{url}/{encoded}", status=204)
    current = {"path": url, "query": {"name": "n"}, "match": {"name": "n"}}
    perform(client, call("DELETE", url + "/{id}", current=current), False)
    assert ibm.sent[-1].url == f"{url}/{encoded}"


def test_what_is_there_is_looked_for_on_all_pages(ibm, client, listed):
    ibm.cloud("GET", KEYS, query={"scope": "all"}, reply={"apikeys": [SERVER], "next": f"{KEYS}?pagetoken=t"})
    ibm.cloud("GET", KEYS, query={"scope": "all", "pagetoken": "t"}, reply={"apikeys": [LAPTOP]})
    ibm.cloud("DELETE", f"{KEYS}/ApiKey-1", status=204)
    current = {**BY_NAME, "query": {"scope": "all"}}
    assert perform(client, call("DELETE", f"{KEYS}/{{id}}", current=current), False).changed


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    "wanted, answer, text",
    [
        (
            call("DELETE", f"{KEYS}/{{id}}", current=BY_NAME),
            {"apikeys": [LAPTOP, {**SERVER, "name": "laptop"}]},
            "2 items match .*: ApiKey-1, ApiKey-2. Add a field to 'match' that tells them apart",
        ),
        (
            call("PUT", f"{KEYS}/{{id}}", body={"a": 1}, current=BY_NAME),
            {"apikeys": [SERVER]},
            "nothing was found to take {id} from: 'current' must find an item that has it",
        ),
        (
            call("PUT", f"{KEYS}/{{nothing}}", body={"a": 1}, current=BY_NAME),
            {"apikeys": [LAPTOP]},
            "nothing was found to take {nothing} from",
        ),
        (
            call("DELETE", f"{KEYS}/{{id}}", current=BY_NAME),
            {"a": [], "b": []},
            "has no list 'to search': set 'items' in 'current'",
        ),
        (
            call("DELETE", f"{KEYS}/{{id}}", current={**BY_NAME, "items": "keys"}),
            {"apikeys": []},
            "has no list 'keys': set 'items' in 'current'",
        ),
    ],
)
def test_what_cannot_be_decided_is_an_error_in_check_mode_too(ibm, client, check_mode, wanted, answer, text):
    ibm.cloud("GET", KEYS, reply=answer)
    with pytest.raises(OptionError, match=text):
        perform(client, wanted, check_mode)


@pytest.mark.parametrize("items", [None, "apikeys"])
def test_the_list_by_its_name_or_as_the_whole_answer(ibm, client, items):
    ibm.cloud("GET", KEYS, reply={"apikeys": [LAPTOP], "groups": []} if items else [LAPTOP])
    outcome = perform(client, call("POST", KEYS, body={}, current={**BY_NAME, "items": items}), False)
    assert not outcome.changed and outcome.found == LAPTOP


def test_a_placeholder_needs_a_place_to_look(ibm, client):
    with pytest.raises(OptionError, match="'current' needs its own 'path' when the path of the call has a placeholder"):
        perform(client, call("DELETE", f"{KEYS}/{{id}}", current={}), False)


def test_reading_fills_no_placeholder(ibm, client):
    with pytest.raises(OptionError, match="nothing was found to take {id} from"):
        perform(client, call("GET", f"{KEYS}/{{id}}"), False)


@pytest.mark.parametrize("status, code", [(404, 1279), (404, "1279"), (403, 1200), (401, 1201)])
def test_not_being_able_to_look_is_not_absence(ibm, client, status, code):
    """1279: the instance itself is not found. To take it for absence would create, or report a removal."""
    ibm.runtime("GET", CONFIGURATION, status=status, reply=ibm_error(code, "no"))
    for method in ("PUT", "DELETE"):
        with pytest.raises(ApiError, match=f"code {code}"):
            perform(client, call(method, CONFIGURATION, body=SET, current={}), False)
        if method == "PUT":
            ibm.runtime("GET", CONFIGURATION, status=status, reply=ibm_error(code, "no"))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("header", ["Authorization", "authorization", "Service-CRN", "IBM-API-Version"])
def test_headers_that_are_the_modules_own(ibm, client, method, header):
    with pytest.raises(OptionError, match=f"'headers' must not set {header}"):
        perform(client, call(method, "/v1/jobs", headers={header: "x"}), False)


# -- lost answers: looked at, never sent again unseen

LOST_POST = [{"fails": LOST()}], [{"status": 502}], [{"reply": '{"id": "Api'}]
LOST_PUT = [{"fails": LOST()}] * 2, [{"status": 503}] * 2, [{"fails": LOST()}, {"status": 409, "reply": {}}]
LOST_DELETE = [{"fails": LOST()}] * 2, [{"status": 503}] * 2, [{"fails": LOST()}, {"status": 404, "reply": {}}]
SETTLED = [
    *[("POST", KEYS, {"name": "laptop"}, answers, [], [LAPTOP]) for answers in LOST_POST],
    *[
        ("PUT", f"{KEYS}/{{id}}", {"description": "new"}, answers, [LAPTOP], [{**LAPTOP, "description": "new"}])
        for answers in LOST_PUT
    ],
    *[("DELETE", f"{KEYS}/{{id}}", None, answers, [LAPTOP], []) for answers in LOST_DELETE],
]


@pytest.mark.parametrize("method, path, body, answers, before, after", SETTLED)
def test_it_took_effect(ibm, client, listed, method, path, body, answers, before, after):
    listed(*before)
    for answer in answers:
        ibm.cloud(method, path.replace("{id}", "ApiKey-1"), json=body, **answer)
    listed(*after)
    outcome = perform(client, call(method, path, body=body, current=BY_NAME), False)
    assert outcome.changed and outcome.reply is None
    assert outcome.notice.startswith("the answer was lost, but the call took effect: ")
    assert outcome.found == (after[0] if after else None)


@pytest.mark.parametrize("method, path, body, answers, before, _after", SETTLED)
def test_it_did_not_take_effect(ibm, client, listed, method, path, body, answers, before, _after):
    listed(*before)
    for answer in answers:
        ibm.cloud(method, path.replace("{id}", "ApiKey-1"), json=body, **answer)
    listed(*before)
    with pytest.raises(ApiError) as caught:
        perform(client, call(method, path, body=body, current=BY_NAME), False)
    assert caught.value.method == method and not caught.value.outcome_unknown
    if caught.value.status not in (404, 409):
        assert "It did not take effect: run the task again" in str(caught.value)


def test_it_cannot_be_told(ibm, client, listed):
    listed()
    ibm.cloud("POST", KEYS, json={"name": "laptop"}, fails=LOST())
    for _turn in range(2):
        listed(status=503)
    with pytest.raises(ApiError) as caught:
        perform(client, call("POST", KEYS, body={"name": "laptop"}, current=BY_NAME), False)
    assert caught.value.method == "POST" and caught.value.outcome_unknown


@pytest.mark.parametrize("method, status", [("POST", 409), ("POST", 400), ("PUT", 403), ("PATCH", 412)])
def test_a_refusal_is_not_a_lost_answer(ibm, client, listed, method, status):
    present = [] if method == "POST" else [LAPTOP]
    path = KEYS if method == "POST" else f"{KEYS}/{{id}}"
    listed(*present)
    ibm.cloud(method, path.replace("{id}", "ApiKey-1"), json={"name": "x"}, status=status, reply={"message": "no"})
    with pytest.raises(ApiError, match=f"no \\({status}\\)"):
        perform(client, call(method, path, body={"name": "x"}, current=BY_NAME), False)
