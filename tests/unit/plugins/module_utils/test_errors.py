# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _errors
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import (
    ApiError,
    ErrorBody,
    answer_error,
    parse_body,
    public_url,
)

URL = "https://quantum.cloud.ibm.com/api/v1/jobs"

BODIES = {
    "runtime, code a number": (
        {
            "errors": [
                {"code": 1201, "message": "Invalid credentials.", "solution": "Log in.", "more_info": "https://x"}
            ],
            "trace": "t-1",
        },
        ErrorBody("Invalid credentials.", "1201", "Log in.", "https://x", "t-1"),
    ),
    "runtime, code a string": (
        {"trace": "t-2", "errors": [{"code": "1279", "message": "Instance not found", "more_info": ""}]},
        ErrorBody("Instance not found", "1279", trace="t-2"),
    ),
    "iam token": (
        {
            "errorCode": "BXNIM0415E",
            "errorMessage": "Provided API key could not be found.",
            "context": {"requestId": "r-1", "requestType": "incoming.Identity_Token", "userAgent": "x"},
        },
        ErrorBody("Provided API key could not be found.", "BXNIM0415E", trace="r-1"),
    ),
    "iam token with details": (
        {"errorCode": "BXNIM0400E", "errorMessage": "Refused.", "errorDetails": "The account is closed."},
        ErrorBody("Refused: The account is closed.", "BXNIM0400E"),
    ),
    "iam identity": (
        {
            "context": {"transaction_id": "x-1", "operation": "getApiKey"},
            "status_code": 404,
            "errors": [
                {"code": "not_found", "message_code": "BXNIM0106E", "message": "No such key", "details": "id 7"}
            ],
            "trace": "x-2",
        },
        ErrorBody("No such key: id 7", "BXNIM0106E", trace="x-2"),
    ),
    "resource controller": (
        {"error_code": "RC-404", "message": "Not found", "status_code": 404, "transaction_id": "x-3"},
        ErrorBody("Not found", "RC-404", trace="x-3"),
    ),
    "oauth": (
        {"error": {"error_description": "bad grant", "code": "invalid_grant"}},
        ErrorBody("bad grant", "invalid_grant"),
    ),
    "error as text": ({"error": "Too many requests"}, ErrorBody("Too many requests")),
    "no message": ({"errors": []}, ErrorBody("HTTP 418 Teapot")),
    "errors of odd types": ({"errors": [7], "trace": None}, ErrorBody("7")),
    "a list": ([1, 2], ErrorBody("HTTP 418 Teapot")),
}


@pytest.mark.parametrize("body, expected", BODIES.values(), ids=BODIES)
def test_json_bodies(body, expected):
    assert parse_body(418, "Teapot", json.dumps(body)) == expected


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "HTTP 403 Forbidden without a body"),
        ("upstream connect error", "HTTP 403 Forbidden: upstream connect error"),
        ('{"errors": [{"code": 12', 'HTTP 403 Forbidden: {"errors": [{"code": 12'),
        (
            "<!DOCTYPE html><title>\n Access\n Denied </title>",
            'HTTP 403 Forbidden: an HTML page titled "Access Denied"',
        ),
        ("\n<html><body>no</body></html>", "HTTP 403 Forbidden: an HTML page"),
        ("x" * 1000, "HTTP 403 Forbidden: " + "x" * 200),
    ],
)
def test_other_bodies(text, message):
    assert parse_body(403, "Forbidden", text) == ErrorBody(message)


@pytest.mark.parametrize("code", _errors._REMEDY_BY_CODE)
def test_every_code_has_its_remedy(code):
    error = answer_error("GET", URL, 400, "Bad Request", json.dumps({"errors": [{"code": code, "message": "No."}]}))
    remedy = _errors.plain(_errors._REMEDY_BY_CODE[code])
    assert str(error) == f"GET {URL}: No (400, code {code}). {remedy}."
    assert "O(" not in str(error)


@pytest.mark.parametrize("status", _errors._REMEDY_BY_STATUS)
def test_every_status_has_its_remedy(status):
    error = answer_error("GET", URL, status, "Reason", '{"message": "No."}')
    assert str(error) == f"GET {URL}: No ({status}). {_errors.plain(_errors._REMEDY_BY_STATUS[status])}."


@pytest.mark.parametrize(
    "status, text, remedy, unknown",
    [
        (403, "<html></html>", "IBM's edge blocks some countries", False),
        (407, "<html></html>", "put them into 'proxy'", False),
        (500, "{}", "IBM's side failed; run the task again later", True),
        (503, "<html></html>", "IBM's side failed; run the task again later", True),
        (418, "{}", "", False),
    ],
)
def test_what_to_do_and_whether_it_may_have_happened(status, text, remedy, unknown):
    error = answer_error("POST", URL, status, "Reason", text)
    assert remedy in error.remedy and bool(error.remedy) == bool(remedy)
    assert error.outcome_unknown is unknown
    assert error.status == status


def test_the_text_has_all_that_ibm_says_and_the_result_has_it_in_parts():
    body = ErrorBody("Job not found.", "1291", "Check the job ID.", "https://ibm.test/errors#1291", "t-9")
    error = ApiError("Job not found (404)", method="GET", url=URL, status=404, body=body, remedy="Look")
    assert str(error) == (
        f"GET {URL}: Job not found (404). IBM's advice: Check the job ID. Look. "
        "More: https://ibm.test/errors#1291. Trace id: t-9."
    )
    assert error.as_result() == {
        "msg": str(error),
        "error": {
            "status": 404,
            "code": "1291",
            "message": "Job not found.",
            "solution": "Check the job ID.",
            "more_info": "https://ibm.test/errors#1291",
            "trace": "t-9",
            "method": "GET",
            "url": URL,
            "remedy": "Look",
            "outcome_unknown": False,
        },
    }


@pytest.mark.parametrize(
    "url, public",
    [
        ("https://u:secret@host:99/a?token=secret&b#secret", "https://host:99/a?token=...&b=..."),
        ("https://host/a?apikey=a=b", "https://host/a?apikey=..."),
        (URL, URL),
        ("/v1/backends", "/v1/backends"),
    ],
)
def test_no_secret_of_a_url_is_shown(url, public):
    assert public_url(url) == public
    error = ApiError("x", method="GET", url=url)
    assert "secret" not in str(error) + repr(error) + str(error.as_result())
