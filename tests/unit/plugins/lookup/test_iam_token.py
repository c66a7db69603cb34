# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader

from ansible_collections.ibm_quantum.platform.tests.unit.scripted import (
    API_KEY,
    GRANT,
    TOKEN,
    api_key_form,
)


def iam_token(*terms, **options):
    return lookup_loader.get("ibm_quantum.platform.iam_token").run(list(terms), {}, **options)


def test_a_token_and_the_shared_cache(ibm):
    ibm.exchange()
    assert iam_token(api_key=API_KEY) == [TOKEN]
    assert iam_token(api_key=API_KEY) == [TOKEN]


def test_the_environment_counts(ibm, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", API_KEY)
    monkeypatch.setenv("IAM_URL", "http://127.0.0.1:9/")
    ibm.exchange(url="http://127.0.0.1:9/identity/token")
    assert iam_token(token_cache=False) == [TOKEN]


def test_an_option_comes_before_the_environment(ibm, monkeypatch):
    monkeypatch.setenv("IQP_API_TOKEN", API_KEY[::-1])
    ibm.exchange(form=api_key_form(API_KEY))
    assert iam_token(api_key=API_KEY) == [TOKEN]


def test_a_trusted_profile(ibm, tmp_path):
    (tmp_path / "token").write_text("cr-token")
    ibm.exchange(form={"grant_type": GRANT + "cr-token", "cr_token": "cr-token", "profile_name": "fleet"})
    assert iam_token(trusted_profile="fleet", cr_token_file=str(tmp_path / "token")) == [TOKEN]


def test_a_refused_key(ibm):
    ibm.exchange(status=400, reply={"errorCode": "BXNIM0415E", "errorMessage": "No such key."})
    with pytest.raises(AnsibleError, match="iam_token: .*IAM does not know this API key") as caught:
        iam_token(api_key=API_KEY)
    assert API_KEY not in str(caught.value)


@pytest.mark.parametrize(
    "terms, options, text",
    [
        ([API_KEY], {}, "the lookup iam_token takes options only, such as api_key="),
        ([], {}, "iam_token: no credential: set 'api_key'"),
        ([], {"api_key": TOKEN}, "iam_token: 'api_key' holds a bearer token"),
        ([], {"api_key": API_KEY, "timeout": 0}, "iam_token: 'timeout' must be 1 to 900 seconds"),
        ([], {"api_key": API_KEY, "timeout": "soon"}, "timeout"),
    ],
)
def test_bad_options(ibm, terms, options, text):
    with pytest.raises(AnsibleError, match=text) as caught:
        iam_token(*terms, **options)
    assert API_KEY not in str(caught.value) and TOKEN not in str(caught.value)
