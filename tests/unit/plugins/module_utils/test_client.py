# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import jwt
import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import (
    ABSENT,
    API_KEY,
    API_VERSION,
    CRN,
    IAM,
    OTHER_TOKEN,
    RUNTIME,
    TOKEN,
    Module,
    ibm_error,
)


def client(**options):
    options = {"api_key": API_KEY, "instance": CRN, **options}
    return Client(Module(argument_spec(), **options))


UNAUTHORISED = {"status": 401, "reply": ibm_error(1201, "Invalid credentials.")}


def test_making_a_client_sends_nothing(ibm):
    client()


def test_the_runtime_gets_token_crn_and_version(ibm):
    ibm.exchange()
    ibm.runtime("GET", "/v1/backends", query={"fields": ["a", "b"]}, reply={"devices": []})
    assert client().call("GET", "/v1/backends", query={"fields": ["a", "b"]}).json == {"devices": []}


def test_other_services_get_the_token_only(ibm):
    ibm.exchange()
    ibm.cloud("GET", f"{IAM}/v1/apikeys/1", headers={"If-Match": "3"}, reply={})
    client().call("GET", f"{IAM}/v1/apikeys/1", headers={"If-Match": "3"})


def test_what_is_done_with_a_token_is_told_to_who_hides_it(ibm):
    module = Module(argument_spec(), api_key=API_KEY, instance=CRN)
    ibm.exchange()
    ibm.runtime("GET", "/v1/instance", reply={})
    Client(module).call("GET", "/v1/instance")
    assert module.no_log_values == {API_KEY, TOKEN}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_token_is_renewed_once(ibm, method):
    ibm.exchange(TOKEN)
    ibm.runtime(method, "/v1/jobs", **UNAUTHORISED)
    ibm.exchange(OTHER_TOKEN)
    ibm.runtime(method, "/v1/jobs", token=OTHER_TOKEN, reply={})
    ibm.runtime("GET", "/v1/tags", token=OTHER_TOKEN, reply={})
    assert client().call(method, "/v1/jobs").status == 200
    client().call("GET", "/v1/tags")  # the next task finds the new one


def test_a_token_refused_twice_is_an_error(ibm):
    ibm.exchange(TOKEN)
    ibm.runtime("GET", "/v1/jobs", **UNAUTHORISED)
    ibm.exchange(OTHER_TOKEN)
    ibm.runtime("GET", "/v1/jobs", token=OTHER_TOKEN, **UNAUTHORISED)
    with pytest.raises(ApiError, match="Invalid credentials .401, code 1201.. Check 'api_key'; a bearer token given"):
        client().call("GET", "/v1/jobs")


@pytest.mark.parametrize("theirs", [True, False])
def test_the_key_of_one_account_with_the_instance_of_another_is_recognised(ibm, theirs):
    account = "f" * 32 if theirs else CRN.split(":")[6][2:]
    token = jwt.encode({"account": {"bss": account}}, "k" * 32, "HS256")
    ibm.runtime("GET", "/v1/jobs", token=token, status=403, reply=ibm_error(1200, "Not authorised."))
    with pytest.raises(ApiError) as error:
        client(api_key=None, bearer_token=token).call("GET", "/v1/jobs")
    assert (f"The credential is of account {account}, but 'instance' is of account" in str(error.value)) is theirs


def test_a_given_token_that_is_refused_is_an_error_at_once(ibm):
    ibm.runtime("GET", "/v1/jobs", **UNAUTHORISED)
    with pytest.raises(ApiError):
        client(api_key=None, bearer_token=TOKEN).call("GET", "/v1/jobs")


@pytest.mark.parametrize(
    "options, target, url, headers",
    [
        ({}, "/v1/jobs", f"{RUNTIME}/v1/jobs", {"Service-CRN": CRN, "IBM-API-Version": API_VERSION}),
        ({}, f"{RUNTIME}/v1/jobs", f"{RUNTIME}/v1/jobs", {"Service-CRN": CRN, "IBM-API-Version": API_VERSION}),
        ({"api_version": "2026-03-15"}, "/v1", f"{RUNTIME}/v1", {"Service-CRN": CRN, "IBM-API-Version": "2026-03-15"}),
        ({}, "//evil.test/x", f"{RUNTIME}//evil.test/x", {"Service-CRN": CRN, "IBM-API-Version": API_VERSION}),
        ({}, "https://quantum.cloud.ibm.com/docs", "https://quantum.cloud.ibm.com/docs", {}),
        ({}, "https://globalcatalog.cloud.ibm.com/api/v1/x", "https://globalcatalog.cloud.ibm.com/api/v1/x", {}),
        ({}, "https://iam.cloud.ibm.com:443/v1", "https://iam.cloud.ibm.com:443/v1", {}),
        (
            {"runtime_url": "http://127.0.0.1:1/api", "iam_url": "http://127.0.0.1:2"},
            "http://127.0.0.1:2/v1/apikeys",
            "http://127.0.0.1:2/v1/apikeys",
            {},
        ),
        (
            {"instance": None, "runtime_url": RUNTIME},
            "/v1/versions",
            f"{RUNTIME}/v1/versions",
            {"IBM-API-Version": API_VERSION},
        ),
    ],
)
def test_where_a_call_goes(options, target, url, headers):
    assert client(**options).resolve(target) == (url, headers)


NEEDED = "'instance' is needed for the Runtime API: give the instance's CRN, or export QISKIT_IBM_INSTANCE"
STRANGER = "'path' must begin with '/' or be a URL of one of IBM's services, not of "


@pytest.mark.parametrize(
    "options, target, text",
    [
        ({"instance": None}, "/v1/jobs", NEEDED),
        ({"instance": None, "runtime_url": RUNTIME}, "/v1/jobs", NEEDED),
        ({"instance": None, "runtime_url": RUNTIME}, f"{RUNTIME}/v1/jobs", NEEDED),
        ({}, "v1/jobs", STRANGER),
        ({}, "https://evil.test/v1", STRANGER + "'evil.test'"),
        ({}, "https://iam.cloud.ibm.com.evil.test/", STRANGER),
        ({}, "https://iam.cloud.ibm.com@evil.test/", STRANGER + "'evil.test'"),
        ({}, "https://evil.test\\@iam.cloud.ibm.com/", STRANGER),
        ({}, "https://evil.test#@iam.cloud.ibm.com/", STRANGER),
        ({}, "https://user:secret@iam.cloud.ibm.com/", STRANGER + "'iam.cloud.ibm.com'"),
        ({}, "https://iam.cloud.ibm.com:8443/", STRANGER),
        ({}, "http://iam.cloud.ibm.com/", STRANGER),
        ({}, "http://127.0.0.1:8765/", STRANGER),
        ({"runtime_url": "http://127.0.0.1:1/api"}, "http://127.0.0.1:2/api/v1", STRANGER),
        ({"runtime_url": "http://127.0.0.1:1/api"}, "https://127.0.0.1:1/api/v1", STRANGER),
        ({}, "https://[::1", "'path' is neither a path nor a URL"),
        ({}, "/v1/../../other", "'path' must not hold '..': /api/v1/../../other"),
        ({}, "/v1/%2e%2E/other", "'path' must not hold '..'"),
        ({}, "https://iam.cloud.ibm.com/v1/..", "'path' must not hold '..'"),
    ],
)
def test_where_no_call_goes(ibm, options, target, text):
    with pytest.raises(OptionError) as caught:
        client(**options).call("GET", target)
    assert str(caught.value).startswith(text)
    assert "secret" not in str(caught.value)


def test_a_redirection_to_a_stranger_does_not_get_the_token(ibm):
    ibm.exchange()
    ibm.runtime("GET", "/v1/jobs/1/results", status=302, reply_headers={"Location": "https://s3.test/results"})
    ibm.expect("GET", "https://s3.test/results", headers={"Authorization": ABSENT}, reply={"results": []})
    assert client().call("GET", "/v1/jobs/1/results").json == {"results": []}
