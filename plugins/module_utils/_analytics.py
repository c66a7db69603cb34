# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The Runtime API's analytics of usage, ``/v1/analytics``: IBM counts in milliseconds, what is returned is in seconds.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime
from ansible_collections.ibm_quantum.platform.plugins.module_utils._times import ibm_interval

ACCOUNT, DATE = "account", "date"
#: What IBM groups by, under the names that the option has.
_GROUPS = {
    "instance": "instance",
    "user": "user_id",
    "backend": "backend",
    "plan": "plan",
    "subscription": "subscription_id",
}

_INTERVAL = ("interval_start", "interval_end")
#: Options that are lists, and IBM's parameters for them.
_LISTS = {
    "instances": "instance",
    "backends": "backend",
    "users": "user_id",
    "plans": "plan",
    "subscriptions": "subscription_id",
}
_MOST_SUBSCRIPTIONS = 200
#: How the names of IBM's times end; all other numbers are counts.
_TIMES = ("usage", "queue_time")
_PATH = "/v1/analytics/"


def query(options: Mapping[str, Any]) -> dict[str, Any]:
    """The query of a task's options, IBM's names and forms. Raises OptionError."""
    given = [name for name in (*_INTERVAL, *_LISTS, "simulators") if options[name] is not None]
    if given and options["group_by"] is None:
        names = ", ".join(repr(name) for name in given)
        raise OptionError(f"{names}: this selects among analytics; set 'group_by', for sums 'group_by: account'")
    for name in _LISTS:
        if options[name] is not None and not [text for text in options[name] if text]:
            raise OptionError(f"{name!r} is empty: leave it out for all")
    if len(options["subscriptions"] or []) > _MOST_SUBSCRIPTIONS:
        raise OptionError(f"'subscriptions': IBM takes {_MOST_SUBSCRIPTIONS} at most")
    lists = {parameter: options[name] for name, parameter in _LISTS.items()}
    return {**ibm_interval(options, *_INTERVAL), **lists, "simulators": options["simulators"]}


class Analytics(Runtime):
    """The usage of an account's instances. Each call raises ApiError."""

    def read(self, group_by: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The usage in groups; ``asked`` is what :func:`query` returned."""
        interval: Mapping[str, Any] = asked
        if group_by == ACCOUNT:
            instance = self._client.settings.instance
            rows = [{"key": instance.account_id if instance else None, **self._get(f"{_PATH}usage", asked)}]
        elif group_by == DATE:
            interval, rows = self._data("usage_grouped_by_date", {"group_by": "instance", **asked})
            rows = [{"date": row["interval_start"][:10], "instance": row["key"], **row} for row in rows]
        else:
            _whole, rows = self._data("usage_grouped", {"group_by": _GROUPS[group_by], **asked})
        bounds = {name: interval.get(name) for name in _INTERVAL}
        return {"group_by": group_by, **bounds, "rows": [in_seconds(row) for row in rows]}

    def _data(self, name: str, asked: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        answer = self._get(_PATH + name, asked)
        if not isinstance(answer.get("data"), list):
            raise ApiError("the answer has no list 'data'", url=_PATH + name, remedy="Check 'runtime_url'")
        return answer, answer["data"]


def in_seconds(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its times in seconds, which their names then tell: ``avg_queue_time_seconds``."""
    return dict(_field(name, value) for name, value in row.items())


def _field(name: str, value: Any) -> tuple[str, Any]:
    if not name.endswith(_TIMES):
        return name, value
    return f"{name}_seconds", value / 1000 if isinstance(value, (int, float)) else value
