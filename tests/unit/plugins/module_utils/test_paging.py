# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _paging
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._paging import collect


class Pages:
    """Answers in order, and what they were asked with."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, query, body):
        self.asked.append((dict(query), body))
        return self.answers.pop(0)


# way -> (first query, first body, answers, what the further pages must be asked with, the whole)
WAYS = {
    "next.href (workloads)": (
        {"limit": 2},
        None,
        [
            {"workloads": [1, 2], "total_count": 3, "next": {"href": "https://host/v1/workloads?limit=2&next=abc"}},
            {"workloads": [3], "total_count": 3, "previous": {"href": "x"}},
        ],
        [({"limit": "2", "next": "abc"}, None)],
        {"workloads": [1, 2, 3], "total_count": 3},
    ),
    "next URL (IAM keys)": (
        {"account_id": "a"},
        None,
        [
            {"apikeys": [1], "next": "https://iam.cloud.ibm.com/v1/apikeys?pagetoken=t1&account_id=a"},
            {"apikeys": [2], "next": "https://iam.cloud.ibm.com/v1/apikeys?pagetoken=t2&account_id=a"},
            {"apikeys": [3]},
        ],
        [({"account_id": "a", "pagetoken": "t1"}, None), ({"account_id": "a", "pagetoken": "t2"}, None)],
        {"apikeys": [1, 2, 3]},
    ),
    "next_url, a path (Resource Controller)": (
        {"name": "n"},
        None,
        [
            {"rows_count": 1, "resources": [1], "next_url": "/v2/resource_instances?start=s1&name=n"},
            {"rows_count": 1, "resources": [2], "next_url": None},
        ],
        [({"name": "n", "start": "s1"}, None)],
        {"rows_count": 1, "resources": [1, 2]},
    ),
    "search_cursor (Global Search)": (
        {"limit": 100},
        {"query": "service_name:quantum-computing"},
        [
            {"items": [1], "limit": 100, "search_cursor": "c1"},
            {"items": [2], "limit": 100, "search_cursor": "c2"},
            {"items": [], "limit": 100, "search_cursor": "c3"},
        ],
        [({"limit": 100}, {"search_cursor": "c1"}), ({"limit": 100}, {"search_cursor": "c2"})],
        {"items": [1, 2], "limit": 100},
    ),
    "offset and count (jobs)": (
        {"tags": ["a", "b"]},
        None,
        [
            {"jobs": [1, 2], "count": 5, "limit": 2, "offset": 0},
            {"jobs": [3, 4], "count": 5, "limit": 2, "offset": 2},
            {"jobs": [5], "count": 5, "limit": 2, "offset": 4},
        ],
        [({"tags": ["a", "b"], "offset": 2}, None), ({"tags": ["a", "b"], "offset": 4}, None)],
        {"jobs": [1, 2, 3, 4, 5], "count": 5, "limit": 2},
    ),
    "offset and total_count, from an offset": (
        {"offset": "1"},
        None,
        [{"groups": [2], "total_count": 3, "offset": 1}, {"groups": [3], "total_count": 3, "offset": 2}],
        [({"offset": 2}, None)],
        {"groups": [2, 3], "total_count": 3},
    ),
    "a count that promises too much": (
        {},
        None,
        [{"jobs": [1], "count": 9, "offset": 0}, {"jobs": [], "count": 9, "offset": 1}],
        [({"offset": 1}, None)],
        {"jobs": [1], "count": 9},
    ),
    "repeated keys in a link": (
        {},
        None,
        [{"workloads": [1], "next": {"href": "?status=a&status=b&next=n"}}, {"workloads": [2]}],
        [({"status": ["a", "b"], "next": "n"}, None)],
        {"workloads": [1, 2]},
    ),
}


@pytest.mark.parametrize("query, body, answers, further, whole", WAYS.values(), ids=WAYS)
def test_all_pages(query, body, answers, further, whole):
    pages = Pages(*answers)
    assert collect(pages, query, body) == whole
    assert pages.asked == [(query, body), *further]
    assert not pages.answers


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "text",
        [1, 2],
        {"id": "1"},
        {"jobs": [1, 2], "count": 2, "offset": 0, "limit": 200},
        {"apikeys": [1], "next": "", "offset": 0},
        {"apikeys": [], "search_cursor": "c"},
        {"a": [1], "b": [2], "next": "https://host/?x=1"},  # two lists: which is the one that goes on?
    ],
)
def test_what_has_no_further_page_comes_back_as_it_is(answer):
    pages = Pages(answer)
    assert collect(pages, {}, None) == answer
    assert len(pages.asked) == 1


@pytest.mark.parametrize("links", [["?p=1"] * 3, ["?p=1", "?p=2"] * 2])
def test_a_circle_ends(links):
    pages = Pages(*[{"items": [1], "next": link} for link in links])
    with pytest.raises(ApiError, match="the list does not end: .*'paginate: false'"):
        collect(pages, {}, None)


def test_a_list_without_end_ends(monkeypatch):
    monkeypatch.setattr(_paging, "MOST_PAGES", 20)
    asked = []

    def endless(query, body):
        asked.append(query)
        return {"items": [1], "next": f"?page={len(asked)}"}

    with pytest.raises(ApiError, match="after 21 pages"):
        collect(endless, {}, None)
    assert len(asked) == 21


@pytest.mark.parametrize("second", [None, {"message": "gone"}, {"items": None}])
def test_a_further_page_without_the_list_is_an_error(second):
    with pytest.raises(ApiError, match="a further page has no list 'items'. Run the task again"):
        collect(Pages({"items": [1], "next": "?p=1"}, second), {}, None)
