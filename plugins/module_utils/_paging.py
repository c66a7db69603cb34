# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Paging: all of a list that IBM hands out in pages, whichever of its five ways it does it.

| way | who | how the next page is asked for |
|---|---|---|
| ``next: {href}`` | workloads, access groups, policies | the query of the link |
| ``next: URL`` | IAM identity (``pagetoken``), Global Catalog | the query of the link |
| ``next_url`` | Resource Controller | the query of the link, path or whole URL |
| ``search_cursor`` | Global Search | POST with the cursor alone |
| ``offset``, ``limit`` and ``count`` or ``total_count`` | jobs | ``offset`` raised by what came |

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping
from urllib.parse import parse_qs, urlsplit

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError

#: A list of more pages is a fault, or not one to take home whole.
MOST_PAGES = 1000

#: Sends one page's request, given query and body, and returns the decoded answer.
Send = Callable[[Mapping[str, Any], Any], Any]


def collect(send: Send, query: Mapping[str, Any], body: Any) -> Any:
    """The first answer, its list lengthened by those of all further pages; its cursors are left out.

    An answer without a list, or with no sign of more, comes back as it is. Raises ApiError where paging does not end.
    """
    first = send(query, body)
    name = items_name(first)
    if name is None:
        return first
    items = list(first[name])
    page, paged = first, False
    seen: set[str] = set()
    while True:
        step = _next(page, name, query, body)
        if step is None:
            break
        paged = True
        query, body = step
        mark = repr((sorted(query.items()), body))
        if mark in seen or len(seen) >= MOST_PAGES:
            raise ApiError(
                f"the list does not end: after {len(seen) + 1} pages IBM still names a next one",
                remedy="Ask for one page by the module api: 'paginate: false', with the cursor in 'query'",
            )
        seen.add(mark)
        page = send(query, body)
        if not isinstance(page, dict) or not isinstance(page.get(name), list):
            raise ApiError(f"a further page has no list {name!r}", remedy="Run the task again")
        items.extend(page[name])
    if not paged:
        return first
    whole = {key: value for key, value in first.items() if key not in ("next", "next_url", "search_cursor", "offset")}
    return {**whole, name: items}


def items_name(answer: Any) -> str | None:
    """The name of an answer's list; None where it has none, or several."""
    if not isinstance(answer, dict):
        return None
    names = [name for name, value in answer.items() if isinstance(value, list)]
    return names[0] if len(names) == 1 else None


def _next(page: dict[str, Any], name: str, query: Mapping[str, Any], body: Any) -> tuple[dict[str, Any], Any] | None:
    """Query and body of the next page; None after the last."""
    link = page.get("next") or page.get("next_url")
    if isinstance(link, dict):
        link = link.get("href")
    if isinstance(link, str) and link:
        return {**query, **_link_query(link)}, body
    if not page[name]:
        return None
    if page.get("search_cursor"):
        return dict(query), {"search_cursor": page["search_cursor"]}
    total = page.get("count", page.get("total_count"))
    if "offset" in page and "next" not in page and isinstance(total, int):
        reached = int(query.get("offset") or 0) + len(page[name])
        if reached < total:
            return {**query, "offset": reached}, body
    return None


def _link_query(link: str) -> dict[str, Any]:
    """The query of a link. Its host is not used: the next page comes from where the first came from."""
    return {name: values if len(values) > 1 else values[0] for name, values in parse_qs(urlsplit(link).query).items()}
