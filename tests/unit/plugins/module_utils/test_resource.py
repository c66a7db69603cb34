# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resource import covers, diff, find_one, part


@pytest.mark.parametrize(
    "present, desired, expected",
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, True),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, False),
        ({"a": [1, 2]}, {"a": [1, 2]}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, True),
        ({"a": "600"}, {"a": 600}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": "true"}, {"a": True}, False),
        ({"a": True}, {"a": True}, True),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        ({"a": 0}, {"a": None}, False),
        ({"a": "None"}, {"a": None}, False),
        ({"a": 1}, {}, True),
        ("text", {"a": 1}, False),
    ],
)
def test_covers(present, desired, expected):
    assert covers(present, desired) is expected


ITEMS = [
    {"id": "1", "name": "a", "owner": "x"},
    {"id": "2", "name": "a", "owner": "y"},
    {"crn": "crn:3", "name": "b", "owner": "x"},
    "not an item",
]


@pytest.mark.parametrize(
    "match, index", [({"name": "b"}, 2), ({"name": "a", "owner": "y"}, 1), ({"name": "c"}, None), ({"id": 1}, 0)]
)
def test_one_item_or_none_is_found(match, index):
    assert find_one(ITEMS, match) == (None if index is None else ITEMS[index])


@pytest.mark.parametrize("match, ids", [({"name": "a"}, "1, 2"), ({"owner": "x"}, "1, crn:3")])
def test_several_are_an_error_that_lists_them(match, ids):
    with pytest.raises(OptionError, match=f"2 items match .*: {ids}. Add a field to 'match'"):
        find_one(ITEMS, match)


def test_part_is_what_the_diff_is_about():
    assert part({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}, "e": 1}) == {"a": {"b": 1}}
    assert part(None, {"a": 1}) is None


def test_diff_has_no_null_sides():
    assert diff(None, {"a": 1}, "x") == {"before": {}, "after": {"a": 1}, "before_header": "x", "after_header": "x"}
    assert diff({"a": 1}, None, "x")["after"] == {}
