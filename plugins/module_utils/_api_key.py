# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""An API key as it is declared, against what is at IAM: found without ambiguity, made, changed, deleted.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._identity import (
    Identity,
    Key,
    differences,
    moment,
    shown,
    timestamp,
    timestamp_in,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike
from ansible_collections.ibm_quantum.platform.plugins.module_utils._one_at_a_time import one_at_a_time
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resource import diff
from ansible_collections.ibm_quantum.platform.plugins.module_utils._value_file import ValueFile, new_value

_DECLARED = ("description", "expires_at", "support_sessions", "action_when_leaked")


def check(params: dict[str, Any]) -> None:
    """What cannot be right, whatever there is at IBM."""
    if not (params["name"] or params["id"]) and (params["state"] == "present" or not params["value_file"]):
        raise OptionError("'name' must not be empty: an API key needs one")
    if params["duplicates"] == "all" and params["state"] == "present":
        raise OptionError("'duplicates: all' is for 'state: absent': which of several keys to keep is yours to say")
    if params["expires_in"] is not None and not 0 < params["expires_in"] <= 10 * 366 * 86400:
        raise OptionError("'expires_in' must be 1 to 316224000 seconds: leave it out for a key without end")
    if params["expires_at"]:
        params["expires_at"] = timestamp(params["expires_at"])


class ApiKeyTask:
    """One task's work on one key."""

    def __init__(self, module: ModuleLike) -> None:
        self.module = module
        self.params = module.params
        self.check_mode = module.check_mode
        self.identity = Identity(module)
        self.file = ValueFile(self.params["value_file"]) if self.params["value_file"] else None
        self._whose: tuple[str, str] | None = None

    @property
    def whose(self) -> tuple[str, str]:
        """IAM ID and account of the key."""
        if self._whose is None:
            given = self.params["iam_id"], self.params["account_id"]
            known = ("", "") if all(given) else self.identity.caller()
            self._whose = (given[0] or known[0], given[1] or known[1])
        return self._whose

    # Present

    def present(self) -> dict[str, Any]:
        if self.params["id"] or self.check_mode:
            return self._present()
        with one_at_a_time(f"the API key {self.params['name']!r}", self.identity.url, *self.whose, self.params["name"]):
            return self._present()

    def _present(self) -> dict[str, Any]:
        held = self._only(self._by_file())
        if held and self.file:
            result = self._change(held)
            if self.file.pending_value():  # a run was interrupted after IAM had the key
                result["changed"] = True
                if not self.check_mode:
                    self.file.keep()
            return result
        key = self._only(self._by_id() if self.params["id"] else self._by_name())
        if self.file and key:
            raise OptionError(
                f"'value_file': there is an API key {key.get('name')!r} ({key['id']}), but {self.file.path} does not "
                "hold its value, and IBM does not tell it again: delete the key with 'state: absent', or give another "
                "'name'"
            )
        if self.file and self.file.value():
            raise OptionError(
                f"'value_file': IAM does not know the value in {self.file.path}; its key was deleted, or is of another "
                "account: remove the file, and a new key is made"
            )
        return self._change(key) if key else self._make()

    def _make(self) -> dict[str, Any]:
        file = self.file
        iam_id, account_id = self.whose
        now = time.time()
        fields = {name: self.params[name] for name in _DECLARED if self.params[name] not in (None, "")}
        if self.params["expires_in"]:
            fields["expires_at"] = timestamp_in(self.params["expires_in"], now)
        if "expires_at" in fields and moment(fields["expires_at"]).timestamp() <= now:
            raise OptionError(f"'expires_at': {fields['expires_at']} is over, and there is no such key yet")
        fields = {"name": self.params["name"], "iam_id": iam_id, "account_id": account_id, **fields}
        flags = {name: bool(self.params[name]) for name in ("locked", "disabled")}
        result: dict[str, Any] = {"changed": True, "diff": diff({}, shown({**fields, **flags}), self._label())}
        if self.check_mode:
            return {**result, "api_key": {**fields, **flags}}
        value = (file.pending_value() if file else None) or new_value()
        self.module.no_log_values.add(value)
        if file:
            file.prepare(value)
        try:
            result["api_key"] = self.identity.create(fields, value, **flags)
        except ApiError as error:
            if file and error.status is not None and 400 <= error.status < 500:
                file.discard()
            raise
        if file:
            file.keep()
        else:
            self.module.no_log_values.discard(value)  # it is what the user asked for
            result["value"] = value
        return result

    def _change(self, key: Key) -> dict[str, Any]:
        desired = {name: self.params[name] for name in ("name", *_DECLARED) if self.params[name] is not None}
        changes = differences(key, desired)
        flags = {name: self.params[name] for name in ("locked", "disabled") if self.params[name] is not None}
        flips = differences(key, flags)
        before = shown(key)
        result: dict[str, Any] = {
            "changed": bool(changes or flips),
            "diff": diff(before, {**before, **changes, **flips}, self._label()),
        }
        self._warn_of_end({**key, **changes})
        if "locked" not in flags and key.get("locked") and (changes or flips):
            raise OptionError(
                f"the API key {key.get('name')!r} ({key['id']}) is locked, and IBM changes no locked key: set 'locked: "
                "true' to unlock it, change it and lock it again, or 'locked: false' to leave it unlocked"
            )
        if flips.get("disabled"):
            self._spare_own([key], "disabled")
        if self.check_mode or not result["changed"]:
            return {**result, "api_key": {**key, **changes, **flips}}
        if key.get("locked") and (changes or flips):
            key = self.identity.lock(key, False)
        if changes:
            key = self.identity.update(key, changes)
        if "disabled" in flips:
            key = self.identity.disable(key, flips["disabled"])
        if flags.get("locked"):
            key = self.identity.lock(key, True)
        return {**result, "api_key": key}

    def _warn_of_end(self, key: Key) -> None:
        end = key.get("expires_at")
        try:
            over = bool(end) and moment(str(end)).timestamp() <= time.time()
        except OptionError:  # a form of IBM's that is not known here
            return
        if over:
            self.module.warn(
                f"the API key {key.get('name')!r} ({key['id']}) ended at {end} and authenticates nobody: set a later "
                "'expires_at', or delete it"
            )

    # Absent

    def absent(self) -> dict[str, Any]:
        keys = self._by_file()
        if self.params["id"]:
            keys = _merged(keys, self._by_id())
        elif self.params["name"] and (not keys or self.params["duplicates"] == "all"):
            keys = _merged(keys, self._by_name())
        if self.params["duplicates"] == "error":
            self._only(keys)
        for key in keys:
            if key.get("locked") and self.params["locked"] is not False:
                raise OptionError(
                    f"the API key {key.get('name')!r} ({key['id']}) is locked, and IBM deletes no locked key: set "
                    "'locked: false' to unlock it first"
                )
        if keys:
            self._spare_own(keys, "deleted")
        before = {key["id"]: shown(key) for key in keys}
        leftover = bool(self.file and self.file.exists)
        result = {"changed": bool(keys) or leftover, "api_keys": keys, "diff": diff(before, {}, self._label())}
        if self.check_mode:
            return result
        for key in keys:
            if key.get("locked"):
                key = self.identity.lock(key, False)
            self.identity.delete(key)
        if self.file:
            self.file.remove()
        return result

    # Finding

    def _by_id(self) -> list[Key]:
        key = self.identity.get(self.params["id"])
        if key is None and self.params["state"] == "present":
            raise OptionError(f"'id': there is no API key {self.params['id']}: leave 'id' out to make one")
        return [key] if key else []

    def _by_name(self) -> list[Key]:
        return self.identity.named(self.params["name"], *self.whose)

    def _by_file(self) -> list[Key]:
        """The keys whose values the file holds, checked to be those that the other options mean."""
        if self.file is None:
            return []
        values = [value for value in (self.file.value(), self.file.pending_value()) if value]
        if len(values) == 2 and self.params["state"] == "present":
            raise OptionError(
                f"'value_file': there is {self.file.path}, and {self.file.pending_path} of an interrupted run: remove "
                "both and their keys with 'state: absent', or the one that is not wanted"
            )
        found = [key for key in map(self.identity.by_value, values) if key]
        for key in found:
            meant = {name: self.params[name] for name in ("id", "iam_id", "account_id") if self.params[name]}
            if not self.params["id"] and self.params["name"]:
                meant["name"] = self.params["name"]
            wrong = {name: value for name, value in meant.items() if key.get(name) != value}
            if wrong:
                told = ", ".join(f"{name!r} is {key.get(name)!r} instead of {value!r}" for name, value in wrong.items())
                raise OptionError(
                    f"'value_file': {self.file.path} holds the value of another API key, {key['id']}: {told}. Give "
                    "another path, or the options of that key"
                )
        return found

    def _only(self, keys: list[Key]) -> Key | None:
        if len(keys) > 1:
            each = ", ".join(f"{key['id']} (made {key.get('created_at', 'at an unknown time')})" for key in keys)
            raise OptionError(
                f"{len(keys)} API keys match {self._label()}: {each}. Give the 'id' of the one that is meant; 'state: "
                "absent' with 'duplicates: all' deletes them all"
            )
        return keys[0] if keys else None

    def _spare_own(self, keys: list[Key], verb: str) -> None:
        """The key that this very task authenticates with is not taken away by accident."""
        if self.params["allow_own"]:
            return
        own = self.identity.own()
        if own and own["id"] in [key["id"] for key in keys]:
            raise OptionError(
                f"the API key {own.get('name')!r} ({own['id']}) is the one that this task authenticates with: it is "
                f"not {verb}, unless 'allow_own' is true"
            )

    def _label(self) -> str:
        return f"API key {self.params['id'] or self.params['name'] or 'of ' + self.params['value_file']}"


def _merged(keys: list[Key], others: list[Key]) -> list[Key]:
    return list({key["id"]: key for key in [*keys, *others]}.values())
