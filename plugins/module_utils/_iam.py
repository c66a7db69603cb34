# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Token exchange with IBM Cloud IAM: credentials in, bearer token out.

Source: IAM token operations, ``POST /identity/token``, form-encoded, grants ``apikey`` and ``cr-token``.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
import time
from typing import Callable, Protocol

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._http import Http
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token import Token, from_reply, from_value, is_jwt
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token_cache import (
    CacheUnavailable,
    TokenCache,
    entry_name,
)

GRANT = "urn:ibm:params:oauth:grant-type:"

#: Where IBM's platforms lay a compute resource's token, in the order of IBM's SDK.
CR_TOKEN_FILES = (
    "/var/run/secrets/tokens/vault-token",
    "/var/run/secrets/tokens/sa-token",
    "/var/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token",
)


class Grant(Protocol):
    """A credential that IAM exchanges for a token."""

    def form(self) -> dict[str, str]:
        """The form fields of the exchange; read when it happens. May raise OptionError."""

    def identity(self) -> tuple[str, ...]:
        """What makes its tokens different from those of other credentials; digested before it is used."""


class ApiKey:
    """An API key, 44 characters that IBM makes, or an own value of at least 32."""

    def __init__(self, key: str) -> None:
        key = key.strip()
        if not key:
            raise OptionError("'api_key' is empty: give the API key, or export IQP_API_TOKEN")
        if is_jwt(key.replace("Bearer ", "", 1)):
            raise OptionError("'api_key' holds a bearer token: give it as 'bearer_token', or give the key it came from")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise OptionError("'api_key' has characters that no API key has: copy it again from the dashboard")
        self.key = key

    def form(self) -> dict[str, str]:
        return {"grant_type": GRANT + "apikey", "apikey": self.key, "response_type": "cloud_iam"}

    def identity(self) -> tuple[str, ...]:
        return ("apikey", self.key)


class TrustedProfile:
    """A trusted profile (its name, ID or CRN), assumed with the token of the compute resource we run on."""

    def __init__(self, profile: str, token_file: str | None = None) -> None:
        self.profile = profile.strip()
        if not self.profile:
            raise OptionError("'trusted_profile' is empty: give the profile's name, ID or CRN")
        self.token_file = token_file

    def form(self) -> dict[str, str]:
        if self.profile.startswith("crn:"):
            field = "profile_crn"
        elif self.profile.startswith("Profile-"):
            field = "profile_id"
        else:
            field = "profile_name"
        return {"grant_type": GRANT + "cr-token", "cr_token": self._cr_token(), field: self.profile}

    def identity(self) -> tuple[str, ...]:
        return ("cr-token", self.profile, self.token_file or "")

    def _cr_token(self) -> str:
        files = [self.token_file] if self.token_file else list(CR_TOKEN_FILES)
        reasons = []
        for path in files:
            try:
                with open(os.path.expanduser(path), encoding="ascii") as file:
                    token = file.read().strip()
            except (OSError, ValueError) as exc:
                reasons.append(f"{path}: {getattr(exc, 'strerror', None) or 'not text'}")
                continue
            if token:
                return token
            reasons.append(f"{path}: empty")
        raise OptionError(
            f"no compute resource token for 'trusted_profile' ({'; '.join(reasons)}): "
            "set 'cr_token_file' to the file that the platform mounts"
        )


# Tokens of this process, for those who turned the shared cache off: the items of a loop still need one exchange only.
_MEMORY: dict[str, Token] = {}


class Iam:
    """Gives bearer tokens for one grant. ``on_secret`` is told each token, ``warn`` what a user should know."""

    def __init__(
        self,
        http: Http,
        url: str,
        grant: Grant,
        cache: TokenCache | None,
        *,
        on_secret: Callable[[str], None],
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._url = url
        self._grant = grant
        self._cache = cache
        self._on_secret = on_secret
        self._warn = warn
        self._clock = clock
        self.exchanged = False
        self.entry = entry_name(url, *grant.identity())

    def token(self, minimum_life: float = 0.0) -> Token:
        """A token that is good for more than a fifth of its life, and ``minimum_life`` seconds where IAM's tokens live
        that long. Raises ApiError and OptionError."""
        token = self._from_cache(minimum_life)
        self._on_secret(token.value)
        return token

    def reject(self, value: str) -> bool:
        """IBM refused this token: forget it. Returns whether another one can be had."""
        _MEMORY.pop(self.entry, None)
        self._drop(value)
        return True

    def cached(self) -> bool:
        """Whether the shared cache has a token that can be sent."""
        return self._cache is not None and self._cache.peek(self.entry) is not None

    def forget(self) -> None:
        """Take this grant's token out of the caches."""
        _MEMORY.pop(self.entry, None)
        self._drop(None)

    def _drop(self, value: str | None) -> None:
        if self._cache is not None:
            try:
                self._cache.drop(self.entry, value)
            except CacheUnavailable as exc:
                self._warn(f"token cache not used: {exc}")

    def _from_cache(self, minimum_life: float) -> Token:
        if self._cache is not None:
            try:
                return self._cache.get(self.entry, self._renew, minimum_life)
            except CacheUnavailable as exc:
                self._warn(f"token cache not used: {exc}")
        token = _MEMORY.get(self.entry)
        if token is None or not token.fresh(self._clock(), minimum_life):
            token = _MEMORY[self.entry] = self._renew(token if token and token.usable(self._clock()) else None)
        return token

    def _renew(self, old: Token | None) -> Token:
        """Exchange the credential; while IAM is out of order an old token goes on serving."""
        try:
            return self._exchange()
        except ApiError as error:
            if old is not None and (error.status is None or error.status == 429 or error.status >= 500):
                self._warn(f"the token could not be renewed yet, the old one still serves: {error}")
                return old
            raise

    def _exchange(self) -> Token:
        url = f"{self._url}/identity/token"
        form = self._grant.form()
        if "cr_token" in form:
            self._on_secret(form["cr_token"])
        before = self._clock()  # the life counts from before the request: too short is safe
        reply = self._http.request("POST", url, form=form, repeatable=True)
        self.exchanged = True
        try:
            return from_reply(reply.json if isinstance(reply.json, dict) else {}, before)
        except ValueError as exc:
            raise ApiError(
                f"IAM's answer ({reply.status}) is not a token: {exc}",
                method="POST",
                url=url,
                status=reply.status,
                remedy="Check 'iam_url': a proxy's login page answers like this too",
            ) from None


class GivenToken:
    """A bearer token that the user brought: used as it is, never cached, never renewed. Stands in for :class:`Iam`."""

    exchanged = False

    def __init__(self, value: str, clock: Callable[[], float] = time.time) -> None:
        value = value.strip()
        value = value[7:].strip() if value[:7].lower() == "bearer " else value
        if not is_jwt(value):
            raise OptionError(
                "'bearer_token' is not a bearer token (three parts with dots between): an API key goes into 'api_key'"
            )
        self._token = from_value(value, clock())
        if not self._token.usable(clock()):
            raise OptionError("'bearer_token' has expired (an hour is the most): make a new one, or use 'api_key'")

    def token(self, minimum_life: float = 0.0) -> Token:
        return self._token

    def reject(self, value: str) -> bool:
        return False

    def cached(self) -> bool:
        return False

    def forget(self) -> None:
        """There is nothing of it to forget."""
