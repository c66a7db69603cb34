# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""IAM's identity API: API keys, ``/v1/apikeys``.

A key is a dict as IBM represents it: id, name, iam_id, account_id, entity_tag, created_at, locked, disabled,
support_sessions, action_when_leaked and, where they were set, description and expires_at; here never its value.
Source: IBM's IAM Identity Services API and its Python SDK. Names are not unique there, values are.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from typing import Any, Callable, Mapping

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _options
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike
from ansible_collections.ibm_quantum.platform.plugins.module_utils._paging import collect
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token import claims

Key = dict  # an API key as IBM represents it

#: What a missing field of a key means.
_MISSING = {"description": "", "expires_at": "", "support_sessions": False, "action_when_leaked": "none"}
#: The fields of a key that can be declared.
FIELDS = ("name", *_MISSING, "locked", "disabled")

#: What a call that HTTP had to repeat is answered when the first one, whose answer was lost, took effect.
_OWN_EFFECT = (404, 409, 412)

_LOCK, _DISABLE = ("lock", "locked"), ("disable", "disabled")


class Identity:
    """The API keys that a task's credential may see.

    Calls that change something raise ApiError where they failed; after a lost answer they look whether they took
    effect, and tell ``warn`` if they did.
    """

    def __init__(self, module: ModuleLike) -> None:
        self._params = module.params
        self._no_log_values = module.no_log_values
        self._warn = module.warn
        self._client = Client(module)
        self.url = f"{self._client.settings.iam_url}/v1/apikeys"

    # Looking

    def caller(self) -> tuple[str, str]:
        """The IAM ID and the account of who is asking: what the token says, else what IAM says about the API key."""
        claim = claims(self._client.iam.token().value)
        account = claim.get("account")
        found: tuple[Any, Any] = (claim.get("iam_id"), account.get("bss") if isinstance(account, dict) else None)
        if not all(found):
            own = self.own() or {}
            found = own.get("iam_id"), own.get("account_id")
        if not all(found):
            raise OptionError("the token does not tell whose it is: give 'iam_id' and 'account_id'")
        return str(found[0]), str(found[1])

    def own(self) -> Key | None:
        """The key that the task itself authenticates with; None for other credentials, and for one deleted since."""
        option, value = _options.credential(self._params)
        return self.by_value(value.strip()) if option == "api_key" else None

    def listing(self, **query: str | None) -> list[Key]:
        """All keys, page by page; ``query`` has IBM's parameters account_id, iam_id and scope."""

        def send(asked: Mapping[str, Any], _body: Any) -> Any:
            return self._client.call("GET", self.url, query=asked).json

        answer = collect(send, {"pagesize": 100, **{name: value for name, value in query.items() if value}}, None)
        keys = answer.get("apikeys") if isinstance(answer, dict) else None
        if not isinstance(keys, list):
            raise self._not_iam("GET", self.url)
        # a key that is made or deleted meanwhile moves others to the next page
        return list({key["id"]: public(key) for key in keys if isinstance(key, dict) and key.get("id")}.values())

    def named(self, name: str, iam_id: str, account_id: str) -> list[Key]:
        """All keys of that name of one identity in one account."""
        return [key for key in self.listing(account_id=account_id, iam_id=iam_id) if key.get("name") == name]

    def get(self, key_id: str) -> Key | None:
        """The key of that ID, or None."""
        return self._read(self._at(key_id))

    def by_value(self, value: str) -> Key | None:
        """The key of that value, or None: whose it is, whether it is locked or disabled."""
        self._no_log_values.add(value)
        return self._read(f"{self.url}/details", {"IAM-ApiKey": value})

    # Changing

    def create(self, fields: Mapping[str, Any], value: str, locked: bool, disabled: bool) -> Key:
        """Make a key of this value. As IAM takes a value once only, a lost answer is settled by looking for it."""
        self._no_log_values.add(value)
        headers = {name: "true" for name, on in (("Entity-Lock", locked), ("Entity-Disable", disabled)) if on}
        try:
            reply = self._client.call("POST", self.url, json={**fields, "apikey": value}, headers=headers)
            return self._key("POST", self.url, reply.json)
        except ApiError as error:
            if not error.outcome_unknown:
                raise
            return self._settle(error, self.by_value, value, bool) or {}

    def update(self, key: Key, changes: Mapping[str, Any], again: bool = True) -> Key:
        """Change fields of a key, provided that nobody else changed it since it was read; then ``again``, once."""
        url = self._at(key["id"])
        headers = {"If-Match": str(key.get("entity_tag") or "*")}
        try:
            return self._key("PUT", url, self._client.call("PUT", url, json=changes, headers=headers).json)
        except ApiError as error:
            conflict = again and error.status in (409, 412)

            def settled(now: Key | None) -> bool:
                return bool(now) and (
                    not differences(now or {}, changes) or (conflict and not (now or {}).get("locked"))
                )

            now = self._settle(error, self.get, key["id"], settled) or {}
        return self.update(now, changes, again=False) if differences(now, changes) else now

    def lock(self, key: Key, on: bool) -> Key:
        """Lock or unlock a key."""
        return self._set(key, _LOCK, on)

    def disable(self, key: Key, on: bool) -> Key:
        """Disable or enable a key."""
        return self._set(key, _DISABLE, on)

    def delete(self, key: Key) -> None:
        """Delete a key. Tokens that were made with it serve to their end."""
        try:
            self._client.call("DELETE", self._at(key["id"]))
        except ApiError as error:
            self._settle(error, self.get, key["id"], lambda now: now is None)

    def _set(self, key: Key, flag: tuple[str, str], on: bool) -> Key:
        part, field = flag
        method, url = "POST" if on else "DELETE", f"{self._at(key['id'])}/{part}"

        def so(now: Key | None) -> bool:
            return now is not None and bool(now.get(field)) is on

        try:
            # what is sent is the state itself, so it does no harm to send it twice
            self._client.call(method, url, repeatable=True)
        except ApiError as error:
            return self._settle(error, self.get, key["id"], so) or {}
        now = self.get(key["id"])
        if now is None or not so(now):
            message = f"IAM took it, but the key is {'not ' if on else 'still '}{field}"
            raise ApiError(message, method=method, url=url, remedy="Somebody else may have changed it: run it again")
        return now

    # What they share

    def _at(self, key_id: str) -> str:
        if not re.fullmatch(r"[\w.-]+", key_id) or key_id in ("details", ".", ".."):
            raise OptionError(f"'id' is not the ID of an API key, such as ApiKey-01234567-89ab...: {key_id!r}")
        return f"{self.url}/{key_id}"

    def _read(self, url: str, headers: Mapping[str, str] | None = None) -> Key | None:
        try:
            return self._key("GET", url, self._client.call("GET", url, headers=headers).json)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _key(self, method: str, url: str, answer: Any) -> Key:
        if not isinstance(answer, dict) or not answer.get("id"):
            raise self._not_iam(method, url)
        return public(answer)

    @staticmethod
    def _not_iam(method: str, url: str) -> ApiError:
        return ApiError(
            "the answer is not IAM's",
            method=method,
            url=url,
            remedy="Check 'iam_url': a proxy's login page answers like this too",
            outcome_unknown=method != "GET",
        )

    def _settle(
        self, error: ApiError, read: Callable[[str], Key | None], what: str, so: Callable[[Key | None], bool]
    ) -> Key | None:
        """Look what is there after a call failed: the key if the call took effect all the same, else the error."""
        if not error.outcome_unknown and error.status not in _OWN_EFFECT:
            raise error
        try:
            found = read(what)
        except ApiError:  # nothing can be read now: what happened to the call itself is what counts
            raise error from None
        if so(found):
            if error.outcome_unknown:  # else it is what a repeated call was answered
                self._warn(f"the answer was lost, but the call took effect: {error.message}")
            return found
        if error.outcome_unknown:
            error.outcome_unknown = False
            error.remedy = "It did not take effect: run the task again"
        raise error


def public(key: Mapping[str, Any]) -> Key:
    """A key without its value, which IBM returns once, when it makes the key."""
    return {name: value for name, value in key.items() if name not in ("apikey", "context")}


def shown(key: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a key that can be declared, each with a value."""
    return {name: _same_form(name, key.get(name)) for name in FIELDS}


def differences(key: Mapping[str, Any], desired: Mapping[str, Any]) -> dict[str, Any]:
    """The desired fields that a key does not have yet."""
    present = shown(key)
    return {name: value for name, value in desired.items() if present[name] != _same_form(name, value)}


def _same_form(name: str, value: Any) -> Any:
    if value is None:
        return _MISSING.get(name, False if name in ("locked", "disabled") else "")
    if name == "expires_at" and value:
        try:
            return timestamp(str(value))
        except OptionError:  # a form of IBM's that is not known here
            return value
    return value


_OFFSET = re.compile(r"([+-]\d\d):?(\d\d)$")


def moment(text: str) -> datetime:
    """An ISO 8601 date or time; without an offset it is UTC. Raises OptionError."""
    plain = re.sub(r"[Zz]$", "+00:00", text.strip())
    if re.search(r"[T ]", plain):
        plain = _OFFSET.sub(r"\1:\2", plain)
    try:
        found = datetime.fromisoformat(plain)
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise OptionError(f"'expires_at' must be a time such as 2027-01-31T12:00+0000, not {text!r}") from None


def timestamp(text: str) -> str:
    """IBM's form of a time, yyyy-MM-ddTHH:mm+0000; seconds are cut off. Empty, for no end, stays empty."""
    return _ibm_form(moment(text)) if text else ""


def timestamp_in(seconds: int, now: float) -> str:
    """The full minute, in IBM's form, that is at least so many seconds away."""
    return _ibm_form(datetime.fromtimestamp(math.ceil((now + seconds) / 60) * 60, tz=timezone.utc))


def _ibm_form(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M+0000")
