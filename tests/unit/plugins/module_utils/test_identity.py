# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._identity import (
    differences,
    moment,
    public,
    shown,
    timestamp,
    timestamp_in,
)
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.keys import VALUE, key


@pytest.mark.parametrize(
    "text, ibm",
    [
        ("2027-01-31T12:00+0000", "2027-01-31T12:00+0000"),
        ("2027-01-31T12:00:59.999Z", "2027-01-31T12:00+0000"),
        ("2027-01-31t12:00z", "2027-01-31T12:00+0000"),
        ("2027-01-31T00:30+01:00", "2027-01-30T23:30+0000"),
        ("2027-01-31T00:30-0530", "2027-01-31T06:00+0000"),
        (" 2027-01-31 ", "2027-01-31T00:00+0000"),
        ("2027-01-31 12:00", "2027-01-31T12:00+0000"),
        ("", ""),
    ],
)
def test_times_take_ibms_form(text, ibm):
    assert timestamp(text) == ibm
    assert timestamp(ibm) == ibm


@pytest.mark.parametrize("text", ["tomorrow", "+2h", "2027-13-01", "12:00", "9999-12-31T23:59-0100", "1795359600"])
def test_other_times_are_refused(text):
    with pytest.raises(OptionError, match="'expires_at' must be a time such as"):
        timestamp(text)


@pytest.mark.parametrize("now, seconds, ibm", [(0, 1, "1970-01-01T00:01+0000"), (59.5, 60, "1970-01-01T00:02+0000")])
def test_a_key_lives_as_long_as_was_asked_for(now, seconds, ibm):
    assert timestamp_in(seconds, now) == ibm
    assert moment(ibm).timestamp() >= now + seconds


def test_what_is_missing_has_a_meaning():
    bare = key(support_sessions=None, action_when_leaked=None)
    assert differences(bare, {"description": "", "expires_at": "", "support_sessions": False, "locked": False}) == {}
    assert differences(bare, {"action_when_leaked": "none", "description": "d"}) == {"description": "d"}
    assert shown(bare)["action_when_leaked"] == "none"


def test_a_value_is_not_passed_on():
    assert public({**key(), "apikey": VALUE, "context": {}}) == key()
