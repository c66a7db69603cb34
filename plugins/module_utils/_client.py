# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One task's way to IBM: adds the bearer token and the headers, and renews a refused token once.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import re
from typing import Any, Mapping
from urllib.parse import unquote, urlsplit

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _endpoints, _options
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._http import Http, Reply
from ansible_collections.ibm_quantum.platform.plugins.module_utils._iam import (
    ApiKey,
    GivenToken,
    Iam,
    TrustedProfile,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token import claims
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token_cache import TokenCache

#: The only Runtime call that needs no instance.
VERSIONS = "/v1/versions"

_NO_INSTANCE = "'instance' is needed for the Runtime API: give the instance's CRN, or export QISKIT_IBM_INSTANCE"


class Client:
    """Calls IBM's APIs with a task's options. Making one checks the options and sends nothing."""

    def __init__(self, module: ModuleLike) -> None:
        self.settings = _options.settings(module.params)
        self.http = Http(
            timeout=self.settings.timeout,
            retries=self.settings.retries,
            verify=self.settings.verify,
            proxy=self.settings.proxy,
        )
        self.iam = self._iam(module)

    def _iam(self, module: ModuleLike) -> Iam | GivenToken:
        option, value = _options.credential(module.params)
        if option != "trusted_profile" and value.strip():  # as it is sent: without the line break that files end with
            module.no_log_values.add(value.strip())
        if option == "bearer_token":
            return GivenToken(value)
        grant = ApiKey(value) if option == "api_key" else TrustedProfile(value, module.params["cr_token_file"])
        return Iam(
            self.http,
            self.settings.iam_url,
            grant,
            TokenCache() if self.settings.token_cache else None,
            on_secret=module.no_log_values.add,
            warn=module.warn,
        )

    def call(
        self,
        method: str,
        target: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        wait_if_limited: bool = True,
        text: bool = False,
    ) -> Reply:
        """Call ``target``: a path such as ``/v1/backends`` of the Runtime API, or a URL of one of IBM's services.

        Raises ApiError for all but an answer below 400, OptionError for a target that is neither.
        """
        url, extra = self.resolve(target)
        headers = {**extra, **(headers or {})}

        def send() -> Reply:
            bearer = {"Authorization": f"Bearer {token}"}
            return self.http.request(
                method,
                url,
                headers={**headers, **bearer},
                query=query,
                json=json,
                repeatable=repeatable,
                wait_if_limited=wait_if_limited,
                text=text,
            )

        token = self.iam.token().value
        try:
            return send()
        except ApiError as error:
            error.remedy = self._other_account(error, token) or error.remedy
            if error.status != 401 or not self.iam.reject(token):
                raise
        token = self.iam.token().value
        return send()

    def _other_account(self, error: ApiError, token: str) -> str:
        """What to do about the key of one account with the instance of another, which IBM answers with a bare 403."""
        instance, account = self.settings.instance, (claims(token).get("account") or {}).get("bss")
        if error.status != 403 or not (instance and account) or account == instance.account_id:
            return ""
        return (
            f"The credential is of account {account}, but 'instance' is of account {instance.account_id}: give both of "
            "one account"
        )

    def resolve(self, target: str) -> tuple[str, dict[str, str]]:
        """The URL of a target and the headers that its service wants besides the token."""
        runtime = self.settings.runtime_url
        if target.startswith("/"):
            if runtime is None:
                raise OptionError(_NO_INSTANCE)
            target = runtime + target
        _refuse_stranger(target, self.settings)
        if runtime is None or not target.startswith(f"{runtime}/"):
            return target, {}
        headers = {"IBM-API-Version": self.settings.api_version}
        if self.settings.instance is not None:
            headers["Service-CRN"] = str(self.settings.instance)
        elif target != runtime + VERSIONS:
            raise OptionError(_NO_INSTANCE)
        return target, headers


def _refuse_stranger(url: str, settings: _options.Settings) -> None:
    """A bearer token goes to IBM's hosts and to those that the URL options name, to nobody else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise OptionError("'path' is neither a path nor a URL") from None
    known = [settings.iam_url, settings.runtime_url or ""]
    if ".." in unquote(parts.path).split("/"):
        raise OptionError(f"'path' must not hold '..': {parts.path}")
    if f"{parts.scheme}://{parts.netloc}" in ["/".join(base.split("/")[:3]) for base in known]:
        return
    # not parts.hostname: of "https://stranger\\@iam.cloud.ibm.com" it is the second, but requests calls the first
    if parts.scheme == "https" and _endpoints.is_ibm_host(re.sub(":443$", "", parts.netloc.lower())):
        return
    raise OptionError(
        f"'path' must begin with '/' or be a URL of one of IBM's services, not of {parts.netloc.rpartition('@')[2]!r}: "
        "the bearer token is sent to no other host"
    )
