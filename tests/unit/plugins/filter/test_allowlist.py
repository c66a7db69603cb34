# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter; what it renders is for test_render.py."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ibm_quantum.platform.plugins.filter.allowlist import FilterModule

allowlist = FilterModule().filters()["allowlist"]


def test_the_default_is_plain():
    assert allowlist(["cloud.ibm.com"]) == "cloud.ibm.com:443/tcp\n"


def test_a_format_and_a_stamp():
    assert json.loads(allowlist(iter(["cloud.ibm.com"]), "json"))[0]["host"] == "cloud.ibm.com"
    assert allowlist(["cloud.ibm.com"], format="plain", stamp="now") == "# now\ncloud.ibm.com:443/tcp\n"


@pytest.mark.parametrize(
    "value, options, text",
    [
        ("cloud.ibm.com", {}, "allowlist: a list of endpoints is wanted, not str"),
        (["a b"], {}, "allowlist: endpoints[0]: host 'a b' is no host name, address or network"),
        (["cloud.ibm.com"], {"format": "pf"}, "allowlist: unknown format 'pf': choose from plain, csv, json, "),
        (["cloud.ibm.com"], {"format": "csv", "stamp": "now"}, "allowlist: csv has no comments, so it takes no stamp"),
    ],
)
def test_errors(value, options, text):
    with pytest.raises(AnsibleFilterError) as caught:
        allowlist(value, **options)
    assert text in str(caught.value)
