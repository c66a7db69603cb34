# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter; what it decodes is for test_results.py."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ibm_quantum.platform.plugins.filter.counts import FilterModule

counts = FilterModule().filters()["counts"]

ANSWER = {
    "results": [
        {"data": {"c": {"samples": ["0x1", "0x3", "0x3", "0x0"], "num_bits": 2}}},
        {"data": {"a": {"samples": ["0x0"]}, "b": {"samples": ["0x1"]}}},
        {"data": {"evs": 0.5, "stds": 0.1}},
    ]
}


@pytest.mark.parametrize("value", [ANSWER, json.dumps(ANSWER), {"job": {"results": ANSWER}}])
def test_the_most_frequent_first(value):
    """Those that came as often are in the order of their bits, so that the same result looks the same."""
    assert list(counts(value).items()) == [("11", 2), ("00", 1), ("01", 1)]


@pytest.mark.parametrize("pub", [1, "1"])
def test_the_pub_and_the_register(pub):
    assert counts(ANSWER, pub, "b") == counts(ANSWER, pub=pub, register="b") == {"1": 1}


@pytest.mark.parametrize(
    "value, options, text",
    [
        (ANSWER, {"pub": 1}, "counts: 'register': pub 1 has several, name one of them: a, b"),
        (ANSWER, {"pub": 3}, "counts: 'pub': there is no pub 3, the result has pubs 0 to 2"),
        (ANSWER, {"pub": "first"}, "counts: 'pub' must be a number, not 'first'"),
        (ANSWER, {"pub": None}, "counts: 'pub' must be a number, not None"),
        (ANSWER, {"pub": 2}, "counts: pub 2 has no counts, as those of samplers have, but evs, stds"),
        (3, {}, "counts: this int is no result of a job"),
        ("Traceback:\nKeyError: 1", {}, "counts: the result is no JSON but text"),
    ],
)
def test_errors(value, options, text):
    with pytest.raises(AnsibleFilterError) as caught:
        counts(value, **options)
    assert text in str(caught.value) and "\n" not in str(caught.value)
