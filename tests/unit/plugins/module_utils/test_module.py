# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible.module_utils import basic

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _module
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.plugins.modules import api, iam_token, usage_info
from ansible_collections.ibm_quantum.platform.tests.unit.invocation import SHOW_INVOCATION
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, CRN, IAM, TOKEN, ibm_error


def raising(error):
    def run(_module):
        raise error

    return run


def test_errors_become_results():
    assert outcome(raising(OptionError("'name': no")), None) == {"failed": True, "msg": "'name': no"}
    result = outcome(raising(ApiError("no (404)", method="GET", url="https://host/x", status=404)), None)
    assert (result["failed"], result["msg"]) == (True, "GET https://host/x: no (404).")
    assert result["error"]["status"] == 404


def test_other_errors_are_faults_of_ours():
    with pytest.raises(KeyError):
        outcome(raising(KeyError("x")), None)


def test_requests_is_missing(monkeypatch):
    monkeypatch.setattr(_module, "REQUESTS_IMPORT_ERROR", ImportError("no"))
    result = outcome(raising(KeyError("not reached")), None)
    assert result["failed"] and "the required Python library (requests)" in result["msg"]


@pytest.fixture
def as_module(monkeypatch, capsys):
    """Runs a module as on a host: AnsibleModule reads its arguments and prints the result."""

    def run(module, *, check_mode=False, **options):
        arguments = {"ANSIBLE_MODULE_ARGS": {**options, **SHOW_INVOCATION, "_ansible_check_mode": check_mode}}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)  # since ansible-core 2.19
        with pytest.raises(SystemExit) as caught:
            _module.main(module.run, module.ARGUMENT_SPEC)
        output = capsys.readouterr().out
        assert API_KEY not in output
        return caught.value.code, json.loads(output)

    return run


def test_a_success(ibm, as_module):
    ibm.exchange()
    ibm.runtime("GET", "/v1/instances/usage", reply={"usage_consumed_seconds": 1})
    code, result = as_module(usage_info, api_key=API_KEY, instance=CRN)
    assert code == 0 and result["changed"] is False
    assert result["usage"] == {"usage_consumed_seconds": 1, "usage_remaining_seconds": None}
    assert result["invocation"]["module_args"]["api_key"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


def test_a_failure_in_which_ibm_repeats_the_key(ibm, as_module):
    reply = {"errorCode": "BXNIM0415E", "errorMessage": f"No such key: {API_KEY}"}
    ibm.exchange(status=400, reply=reply)
    code, result = as_module(usage_info, api_key=API_KEY, instance=CRN)
    assert code == 1 and result["failed"] is True
    assert "IAM does not know this API key" in result["msg"]
    assert result["error"]["code"] == "BXNIM0415E"


def test_a_token_that_ibm_repeats_is_hidden(ibm, as_module):
    ibm.exchange()
    ibm.runtime("GET", "/v1/instances/usage", status=403, reply=ibm_error(1200, f"Not with {TOKEN}"))
    _code, result = as_module(usage_info, api_key=API_KEY, instance=CRN)
    assert TOKEN not in json.dumps(result)


def test_the_token_that_was_asked_for_is_returned(ibm, as_module):
    ibm.exchange()
    _code, result = as_module(iam_token, api_key=API_KEY)
    assert result["access_token"] == TOKEN


def test_check_mode(ibm, as_module):
    _code, result = as_module(api, check_mode=True, api_key=API_KEY, method="DELETE", path=f"{IAM}/v1/apikeys/1")
    assert result["changed"] is True and result["status"] is None


def test_secrets_inside_of_a_body_are_hidden_too(as_module):
    options = {"method": "POST", "path": f"{IAM}/v1/apikeys", "body": {"name": "n", "apikey": "own-secret-value"}}
    _code, result = as_module(api, check_mode=True, api_key=API_KEY, **options)
    assert result["invocation"]["module_args"]["body"] == {"name": "n", "apikey": "********"}
    assert "own-secret-value" not in json.dumps(result)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"instanc": CRN}, "Unsupported parameters for"),
        ({"timeout": "soon"}, "'timeout'"),
        ({"run_on": "moon"}, "value of run_on must be one of: controller, target, got: moon"),
        ({"timeout": 0}, "'timeout' must be 1 to 900 seconds, not 0"),
    ],
)
def test_bad_options(ibm, as_module, options, text):
    code, result = as_module(usage_info, api_key=API_KEY, **options)
    assert code == 1 and text in result["msg"]
