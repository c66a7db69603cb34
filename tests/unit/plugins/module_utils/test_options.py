# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._iam import GivenToken
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec, credential, settings
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import (
    ACCOUNT,
    API_KEY,
    CRN,
    CRN_DE,
    IAM,
    RUNTIME,
    TOKEN,
    Module,
    jwt,
)

EXPIRED = jwt(iat=1_700_000_000, exp=1_700_003_600)


def params(**options):
    return Module(argument_spec(), **options).params


# -- good values


def test_defaults():
    assert settings(params(instance=CRN))._asdict() == {
        "iam_url": IAM,
        "runtime_url": RUNTIME,
        "instance": settings(params(instance=CRN)).instance,
        "api_version": "2026-04-15",
        "verify": True,
        "proxy": "",
        "timeout": 60,
        "retries": 4,
        "token_cache": True,
    }
    assert str(settings(params(instance=CRN)).instance) == CRN


@pytest.mark.parametrize(
    "options, field, expected",
    [
        ({}, "runtime_url", None),
        ({}, "instance", None),
        ({"instance": CRN_DE}, "runtime_url", "https://eu-de.quantum.cloud.ibm.com/api"),
        (
            {"instance": CRN, "private_endpoint": True},
            "runtime_url",
            "https://private.us-east.quantum.cloud.ibm.com/api",
        ),
        ({"private_endpoint": True}, "iam_url", "https://private.iam.cloud.ibm.com"),
        ({"private_endpoint": True, "iam_url": IAM}, "iam_url", IAM),
        ({"iam_url": f"{IAM}/"}, "iam_url", IAM),
        ({"iam_url": f"{IAM}/identity/token"}, "iam_url", IAM),
        ({"iam_url": f"{IAM}/identity/token/"}, "iam_url", IAM),
        ({"iam_url": "http://127.0.0.1:8765"}, "iam_url", "http://127.0.0.1:8765"),
        ({"iam_url": "http://[::1]:8765"}, "iam_url", "http://[::1]:8765"),
        ({"iam_url": "http://localhost"}, "iam_url", "http://localhost"),
        ({"runtime_url": f" {RUNTIME}/v1/ "}, "runtime_url", RUNTIME),
        ({"runtime_url": RUNTIME, "instance": CRN}, "runtime_url", RUNTIME),
        ({"runtime_url": "http://127.0.0.1:8765/api", "instance": CRN_DE}, "runtime_url", "http://127.0.0.1:8765/api"),
        ({"validate_certs": False}, "verify", False),
        ({"proxy": "http://user:password@proxy:3128"}, "proxy", "http://user:password@proxy:3128"),
        ({"proxy": "socks5h://proxy:1080"}, "proxy", "socks5h://proxy:1080"),
        ({"timeout": 1}, "timeout", 1),
        ({"timeout": 900}, "timeout", 900),
        ({"retries": 0}, "retries", 0),
        ({"retries": 10}, "retries", 10),
        ({"token_cache": False}, "token_cache", False),
        ({"api_version": "2026-03-15"}, "api_version", "2026-03-15"),
    ],
)
def test_settings(options, field, expected):
    assert getattr(settings(params(**options)), field) == expected


def test_a_ca_of_ones_own(tmp_path):
    (tmp_path / "ca.pem").touch()
    assert settings(params(ca_path=str(tmp_path / "ca.pem"))).verify == str(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    "variables, options, expected",
    [
        ({"IQP_API_TOKEN": "a", "QISKIT_IBM_TOKEN": "b", "IBMCLOUD_API_KEY": "c"}, {}, ("api_key", "a")),
        ({"QISKIT_IBM_TOKEN": "b", "IBMCLOUD_API_KEY": "c"}, {}, ("api_key", "b")),
        ({"IBMCLOUD_API_KEY": "c"}, {}, ("api_key", "c")),
        ({"IQP_API_TOKEN": "a"}, {"api_key": "d"}, ("api_key", "d")),
        ({"IQP_API_TOKEN": "a"}, {"bearer_token": "t"}, ("bearer_token", "t")),
        ({"QISKIT_IBM_TOKEN": "a"}, {"trusted_profile": "p"}, ("trusted_profile", "p")),
    ],
)
def test_which_credential_counts(monkeypatch, variables, options, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert credential(params(**options)) == expected


@pytest.mark.parametrize(
    "variable, value, option",
    [
        ("QISKIT_IBM_INSTANCE", CRN_DE, "instance"),
        ("IBM_QUANTUM_RUNTIME_URL", "http://127.0.0.1:1/api", "runtime_url"),
        ("IAM_URL", "http://127.0.0.1:1", "iam_url"),
    ],
)
def test_other_variables(monkeypatch, variable, value, option):
    monkeypatch.setenv(variable, value)
    assert str(getattr(settings(params()), option)) == value
    assert params(**{option: "given"})[option] == "given"


# -- bad values: one error that names the option and the remedy, and nothing is sent

KEY = {"api_key": API_KEY}
NOT_A_URL = "must be a URL such as https://HOST"
BAD = [
    # credentials
    ({}, "no credential: set 'api_key' (or export IQP_API_TOKEN), 'trusted_profile' or 'bearer_token'"),
    ({"api_key": ""}, "no credential: set 'api_key'"),
    ({"api_key": "  "}, "'api_key' is empty: give the API key, or export IQP_API_TOKEN"),
    ({"api_key": TOKEN}, "'api_key' holds a bearer token: give it as 'bearer_token'"),
    ({"api_key": f"Bearer {TOKEN}"}, "'api_key' holds a bearer token"),
    ({"api_key": "a b"}, "'api_key' has characters that no API key has: copy it again"),
    (
        {"bearer_token": API_KEY},
        "'bearer_token' is not a bearer token (three parts with dots between): an API key goes",
    ),
    ({"bearer_token": EXPIRED}, "'bearer_token' has expired (an hour is the most): make a new one, or use 'api_key'"),
    ({"bearer_token": f"Bearer {EXPIRED}"}, "'bearer_token' has expired"),
    ({"trusted_profile": " "}, "'trusted_profile' is empty: give the profile's name, ID or CRN"),
    ({**KEY, "bearer_token": TOKEN}, "give one of 'bearer_token' and 'api_key', not several"),
    ({**KEY, "trusted_profile": "p"}, "give one of 'trusted_profile' and 'api_key', not several"),
    ({"bearer_token": TOKEN, "trusted_profile": "p"}, "give one of 'bearer_token' and 'trusted_profile', not several"),
    # the instance
    ({**KEY, "instance": "my-instance"}, "'instance': not a CRN: it must look like crn:v1:bluemix:public:quantum-comp"),
    ({**KEY, "instance": CRN[:-1]}, "'instance': the CRN "),
    (
        {**KEY, "instance": CRN.replace("us-east", "us-south")},
        "'instance': the CRN's region 'us-south' is unknown: IBM",
    ),
    (
        {**KEY, "instance": CRN.replace("quantum-computing", "codeengine")},
        "'instance': the CRN is one of the service 'co",
    ),
    ({**KEY, "instance": CRN.replace(ACCOUNT, "")}, "'instance': the CRN names no account: it must look like"),
    # URLs
    *[
        ({**KEY, option: value}, f"'{option}' {text}")
        for option in ("iam_url", "runtime_url")
        for value, text in [
            ("iam.cloud.ibm.com", NOT_A_URL),
            ("ftp://iam.cloud.ibm.com", NOT_A_URL),
            ("https://", NOT_A_URL),
            ("https://[::1", NOT_A_URL),
            ("https://host:port", NOT_A_URL),
            ("https://host:99999", NOT_A_URL),
            ("https://user@iam.cloud.ibm.com", "must be a URL without user, query and fragment"),
            ("https://iam.cloud.ibm.com?a=b", "must be a URL without user, query and fragment"),
            ("https://iam.cloud.ibm.com#a", "must be a URL without user, query and fragment"),
            ("http://iam.cloud.ibm.com", "must use https: over http to iam.cloud.ibm.com the credential could be read"),
            ("http://10.0.0.1:8765", "must use https: over http to 10.0.0.1"),
            ("http://127.0.0.1.evil.test", "must use https: over http to 127.0.0.1.evil.test"),
        ]
    ],
    (
        {**KEY, "instance": CRN_DE, "runtime_url": RUNTIME},
        "'runtime_url' is the host of us-east, but 'instance' lives in eu-de: leave 'runtime_url' out, or set it to "
        "https://eu-de.quantum.cloud.ibm.com/api",
    ),
    (
        {**KEY, "instance": CRN, "runtime_url": "https://private.eu-de.quantum.cloud.ibm.com/api"},
        "'runtime_url' is the host of eu-de, but 'instance' lives in us-east",
    ),
    (
        {**KEY, "runtime_url": "https://quantum.cloud.ibm.com"},
        "'runtime_url' lacks its path: set it to https://quantum.cloud.ibm.com/api",
    ),
    # the connection
    ({**KEY, "api_version": "latest"}, "'api_version' must be a date such as 2026-04-15, not 'latest'"),
    ({**KEY, "api_version": "2026-04-15\n"}, "'api_version' must be a date"),
    ({**KEY, "ca_path": "/nowhere/ca.pem"}, "'ca_path': /nowhere/ca.pem does not exist"),
    ({**KEY, "ca_path": "/", "validate_certs": False}, "'ca_path' has no use with 'validate_certs: false'"),
    *[
        ({**KEY, "proxy": value}, "'proxy' must be a URL such as http://host:3128 or http://user:password@host:3128")
        for value in ("proxy:3128", "http://", "ftp://proxy", "http://[::1", "http://u:secret@proxy:port")
    ],
    ({**KEY, "timeout": 0}, "'timeout' must be 1 to 900 seconds, not 0"),
    ({**KEY, "timeout": 901}, "'timeout' must be 1 to 900 seconds, not 901"),
    ({**KEY, "retries": -1}, "'retries' must be 0 to 10 repetitions, not -1"),
    ({**KEY, "retries": 11}, "'retries' must be 0 to 10 repetitions, not 11"),
]


@pytest.mark.parametrize("options, text", BAD, ids=range(len(BAD)))
def test_bad_values(ibm, options, text):
    with pytest.raises(OptionError) as caught:
        Client(Module(argument_spec(), **options))
    message = str(caught.value)
    assert message.startswith(text)
    assert "\n" not in message.replace("\\n", "")
    for secret in ("api_key", "bearer_token", "proxy"):
        value = options.get(secret, "").strip()
        assert not value or value not in message or "proxy" in message


def test_a_secret_in_a_url_option_is_not_repeated():
    for option in ("iam_url", "runtime_url", "proxy"):
        with pytest.raises(OptionError) as caught:
            settings(params(**{option: "ftp://user:secret@host"}))
        assert "secret" not in str(caught.value)


def test_an_api_key_in_place_of_the_crn_is_not_repeated():
    with pytest.raises(OptionError) as caught:
        settings(params(instance=API_KEY))
    assert API_KEY not in str(caught.value)


def test_a_given_token_needs_no_exchange(ibm):
    iam = Client(Module(argument_spec(), bearer_token=TOKEN)).iam
    assert isinstance(iam, GivenToken) and iam.token().value == TOKEN


def test_an_empty_variable_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IQP_API_TOKEN", "")
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "k" * 44)
    params = {"bearer_token": None, "trusted_profile": None, "api_key": ""}
    assert credential(params) == ("api_key", "k" * 44)
