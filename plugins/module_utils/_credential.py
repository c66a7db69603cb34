# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The API keys that the programs of a host would use: where they are, and whether each works from here.

Standard library only. Sources: what the role ``environment`` writes; qiskit-ibm-runtime, accounts/management.py (the
saved accounts); IAM's token operations, ``POST /identity/token``; Runtime API, ``GET /v1/instances/usage``.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from typing import Any, Callable, Collection, Iterable, Mapping, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _endpoints
from ansible_collections.ibm_quantum.platform.plugins.module_utils._as_user import as_user
from ansible_collections.ibm_quantum.platform.plugins.module_utils._crn import Crn, InvalidCrn, parse_instance
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import (
    ApiError,
    OptionError,
    answer_error,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_call import Caller, Unreachable
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import (
    API_KEY_VARIABLES,
    API_VERSION,
    base_url,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token import from_reply, is_jwt

SYSTEM_FILES = ("/etc/ibm_quantum/secrets.env", "/etc/ibm_quantum/environment")
ACCOUNT_FILE = os.path.join("~", ".qiskit", "qiskit-ibm.json")

#: IBM's shortest API key. A digest of less could be guessed backwards, so none is told.
SHORTEST_KEY = 32

_CHANNELS = (None, "ibm_quantum_platform", "ibm_cloud")  # the keys of others are not IBM Cloud's
_LARGEST_FILE = 1 << 20  # bytes
_ASSIGNMENT = re.compile(r'^([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL)


class Place(NamedTuple):
    """An API key on this host, and what a program that takes it would use it with."""

    path: str
    name: str  # of the variable, or of the account
    user: str | None
    key: str
    instance: str | None = None
    iam_url: str | None = None
    proxy: str | None = None
    private: bool = False


def digest(key: str) -> str | None:
    """The SHA-256 of a key, in hexadecimal; None for one so short that it could be guessed."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest() if len(key) >= SHORTEST_KEY else None


# --- where


def user_file() -> str:
    """Where the role ``environment`` writes for the user that this runs as."""
    config = os.environ.get("XDG_CONFIG_HOME", "")
    config = config if os.path.isabs(config) else os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(config, "ibm_quantum", "environment")


def in_environment(paths: Iterable[str]) -> list[Place]:
    """The keys in files of the role ``environment``. Raises :class:`OptionError` for one that may not be read."""
    found = [(path, _assignments(path)) for path in paths]
    together = {name: value for _path, values in found for name, value in values.items()}
    return [
        Place(path, name, None, values[name], together.get("QISKIT_IBM_INSTANCE"), together.get("IAM_URL"))
        for path, values in found
        for name in API_KEY_VARIABLES
        if name in values
    ]


def in_accounts(users: Iterable[str], names: Collection[str] = ()) -> list[Place]:
    """The keys in saved accounts, all of them or those of some names, which then have to be there.

    Raises :class:`OptionError` for no such user, or a file that holds no accounts.
    """
    return [Place(*row) for user in users for row in as_user(user, _accounts, user, list(names))]


def _assignments(path: str) -> dict[str, str]:
    try:
        text = _read(path)
    except PermissionError:
        raise OptionError(f"{path} may not be read by the user that Ansible works as: set become: true") from None
    return {name: re.sub(r'\\(["\\$`])', r"\1", value) for name, value in _ASSIGNMENT.findall(text)}


def _accounts(user: str, names: list[str]) -> list[Place]:
    """The accounts in the file of the user that this runs as; tuples, as they come back from another process."""
    path = os.path.expanduser(ACCOUNT_FILE)
    try:
        text = _read(path)
    except PermissionError:
        raise OptionError(
            f"{path} may not be read by {user}, whose it should be: mend its owner, or remove it"
        ) from None
    try:
        content = json.loads(text or "{}")
    except ValueError:
        content = None
    if not isinstance(content, dict) or not all(isinstance(account, dict) for account in content.values()):
        raise OptionError(f"{path} holds no accounts as qiskit-ibm-runtime saves them: mend it, or remove it")
    found = []
    for name, account in {**dict.fromkeys(names, {}), **content}.items():
        if names and (name not in names or not isinstance(account.get("token"), str)):
            found += [Place(path, name, user, "")] if name in names else []
        elif account.get("channel") in _CHANNELS and isinstance(account.get("token"), str):
            instance, proxy = account.get("instance"), _table(_table(account.get("proxies")).get("urls")).get("https")
            instance = instance if isinstance(instance, str) else None
            proxy = proxy if isinstance(proxy, str) else None
            private = account.get("private_endpoint") is True
            found.append(Place(path, name, user, account["token"], instance, None, proxy, private))
    return found


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(path: str) -> str:
    """A file's text; empty where there is none. Raises PermissionError, and :class:`OptionError` for other trouble."""
    try:
        # not to wait for a writer, should somebody have put a pipe there
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
            return file.read(_LARGEST_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except PermissionError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None


# --- whether they work


class Prover:
    """Proves keys by their use, each distinct one once.

    ``iam_url``, ``runtime_url`` and ``instance`` are the options of that name; those of a place count where they are
    None. ``on_secret`` is told each token. Raises :class:`OptionError`.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        iam_url: str | None,
        runtime_url: str | None,
        instance: str | None,
        check_instance: bool,
        on_secret: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        environment = os.environ if environment is None else environment
        self._caller, self._on_secret, self._check_instance = caller, on_secret, check_instance
        self._iam_url = base_url("iam_url", iam_url) if iam_url else None
        self._host_iam_url = environment.get("IAM_URL")
        runtime_url = runtime_url or environment.get("IBM_QUANTUM_RUNTIME_URL")
        self._runtime_url = base_url("runtime_url", runtime_url) if runtime_url else None
        try:
            self._instance = parse_instance(instance) if instance else None
        except InvalidCrn as error:
            raise OptionError(f"'instance': {error}") from None
        self._known: dict[tuple[Any, ...], tuple[str, str]] = {}

    def reason(self, place: Place) -> str:
        """Why the key of a place does not work; empty where it does."""
        unfit = _unfit(place.key)
        if unfit:
            return unfit
        try:
            iam_url = self._iam(place)
            token, reason = self._once(("token", place.key, iam_url, place.proxy), self._exchange)
            crn = None if reason or not self._check_instance else self._crn(place)
            if crn:
                private = place.private and self._runtime_url is None
                base = self._runtime_url or _endpoints.runtime_url(crn.region, private)
                base = base[: -len("/v1")] if base.endswith("/v1") else base
                reason = self._once(("usage", token, base, place.proxy, str(crn)), self._use)[1]
        except OptionError as error:
            return str(error)
        return reason

    def _iam(self, place: Place) -> str:
        if self._iam_url is None and place.private:
            return _endpoints.PRIVATE_IAM_URL
        url = self._iam_url or base_url("IAM_URL", place.iam_url or self._host_iam_url or _endpoints.IAM_URL)
        return url[: -len("/identity/token")] if url.endswith("/identity/token") else url

    def _crn(self, place: Place) -> Crn | None:
        """The instance to try; accounts may also have its name, or none at all, which only IBM's client can resolve."""
        try:
            return self._instance or (parse_instance(place.instance) if place.instance else None)
        except InvalidCrn:
            return None

    def _once(self, what: tuple[Any, ...], work: Callable[..., str]) -> tuple[str, str]:
        """What came of some work, and why nothing did; remembered."""
        if what not in self._known:
            try:
                self._known[what] = (work(*what[1:]), "")
            except (ApiError, Unreachable) as error:
                self._known[what] = ("", str(error))
        return self._known[what]

    def _exchange(self, key: str, iam_url: str, proxy: str | None) -> str:
        url = f"{iam_url}/identity/token"
        form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": key, "response_type": "cloud_iam"}
        answer = self._caller.request("POST", url, form=form, proxy=proxy)
        if answer.status != 200:
            raise answer_error("POST", url, answer.status, answer.reason, answer.text)
        try:
            reply = json.loads(answer.text)
            token = from_reply(reply if isinstance(reply, dict) else {}, time.time()).value
        except ValueError:
            remedy = "Look for a proxy's login page between this host and IAM"
            raise ApiError("the answer is not a token", method="POST", url=url, status=200, remedy=remedy) from None
        self._on_secret(token)
        return token

    def _use(self, token: str, runtime_url: str, proxy: str | None, crn: str) -> str:
        url = f"{runtime_url}/v1/instances/usage"
        headers = {"Authorization": f"Bearer {token}", "Service-CRN": crn, "IBM-API-Version": API_VERSION}
        answer = self._caller.request("GET", url, headers=headers, proxy=proxy)
        if answer.status != 200:
            raise answer_error("GET", url, answer.status, answer.reason, answer.text)
        return crn


def _unfit(key: str) -> str:
    """Why a text can be no API key; empty where it may be one."""
    if is_jwt(key.strip()):
        return "it is a bearer token, not an API key, and lasts an hour at most: put the key there that it came from"
    if not key:
        return "there is no API key: run the role that writes this file, environment or account"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "it has characters that no API key has: put the key there as the dashboard showed it"
    return ""
