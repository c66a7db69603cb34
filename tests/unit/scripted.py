# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IBM's side of a test, written down request by request, and what stands in for Ansible's.

``Script`` holds the requests that must come, in their order, each with its answer; anything else that is sent, or a
request that is missing at the end, fails the test. ``Module`` is what ``run(module)`` gets, its params made by the
module's real ARGUMENT_SPEC, so that defaults and environment variables are real.
"""

from __future__ import annotations

import base64
import json as jsonlib
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import responses
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from responses import matchers
from responses.registries import OrderedRegistry

API_KEY = "Abc-0123456789012345678901234567890123456789"  # 44 characters
ACCOUNT = "0123456789abcdef0123456789abcdef"
CRN = f"crn:v1:bluemix:public:quantum-computing:us-east:a/{ACCOUNT}:11111111-2222-3333-4444-555555555555::"
CRN_DE = CRN.replace("us-east", "eu-de")

IAM = "https://iam.cloud.ibm.com"
TOKEN_URL = f"{IAM}/identity/token"
RUNTIME = "https://quantum.cloud.ibm.com/api"
API_VERSION = "2026-04-15"
GRANT = "urn:ibm:params:oauth:grant-type:"

ABSENT = None  # as the value of an expected header: it must not be sent


def jwt(**claims: Any) -> str:
    """A bearer token with these claims and a signature that nobody checks."""

    def part(data: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(jsonlib.dumps(data).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256', 'kid': 'test'})}.{part(claims)}.c2lnbmF0dXJl"


_IAT = 4_000_000_000  # far off and always the same: the names of tests hold tokens, and workers must agree on names
TOKEN = jwt(iat=_IAT, exp=_IAT + 3600, iam_id="IBMid-270007GGGG", account={"bss": ACCOUNT}, n=1)
OTHER_TOKEN = jwt(iat=_IAT, exp=_IAT + 3600, iam_id="IBMid-270007GGGG", account={"bss": ACCOUNT}, n=2)


def token_reply(token: str = TOKEN, **changes: Any) -> dict[str, Any]:
    """IAM's answer to an exchange."""
    reply = {"access_token": token, "refresh_token": "not_supported", "token_type": "Bearer", "expires_in": 3600}
    return {**reply, "expiration": int(time.time()) + 3600, "scope": "ibm openid", **changes}


def ibm_error(code: Any, message: str, **more: Any) -> dict[str, Any]:
    """An error body of the Runtime API."""
    return {"errors": [{"code": code, "message": message, **more}], "trace": "trace-1"}


def api_key_form(key: str = API_KEY) -> dict[str, str]:
    return {"grant_type": GRANT + "apikey", "apikey": key, "response_type": "cloud_iam"}


class _Registry(OrderedRegistry):
    """Remembers what was sent against the script: the code under test may swallow the error that it causes."""

    def __init__(self) -> None:
        super().__init__()
        self.violations: list[str] = []

    def find(self, request: Any) -> Any:
        found, reasons = super().find(request)
        if found is None:
            self.violations.append(f"{request.method} {request.url}: {' '.join(reasons)}")
        return found, reasons


class Script:
    """The expected requests and their answers; a context manager."""

    def __init__(self) -> None:
        self._mock = responses.RequestsMock(registry=_Registry, assert_all_requests_are_fired=True)

    def __enter__(self) -> Script:
        self._mock.__enter__()
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        registry = self._mock.get_registry()
        assert isinstance(registry, _Registry)
        self._mock.__exit__(kind, value, trace)
        if kind is None:
            assert not registry.violations, "sent against the script:\n" + "\n".join(registry.violations)

    @property
    def sent(self) -> list[Any]:
        """The requests that came, as requests prepared them."""
        return [call.request for call in self._mock.calls]

    def expect(
        self,
        method: str,
        url: str,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str | None] | None = None,
        json: Any = ABSENT,
        form: dict[str, str] | None = None,
        status: int = 200,
        reply: Any = None,
        reply_headers: dict[str, str] | None = None,
        fails: Exception | None = None,
    ) -> None:
        """One request and its answer: ``reply`` is JSON, or text where it is a str; ``fails`` breaks the connection."""
        checks = [_query(query or {}), _headers(headers or {}), _body(json, form)]
        if fails is not None:
            body: Any = fails
        else:
            body = reply if isinstance(reply, str) else "" if reply is None else jsonlib.dumps(reply)
        content_type = "text/html" if isinstance(reply, str) and reply.lstrip().startswith("<") else "application/json"
        answer_headers = dict(reply_headers or {})
        self._mock.add(
            responses.Response(
                method,
                url,
                body=body,
                status=status,
                content_type=answer_headers.pop("Content-Type", content_type),
                headers=answer_headers,
                match=checks,
            )
        )

    def exchange(self, token: str = TOKEN, *, url: str = TOKEN_URL, form: Any = None, **answer: Any) -> None:
        """A token exchange; by default of API_KEY, and answered with TOKEN."""
        answer.setdefault("reply", token_reply(token))
        headers = {"Authorization": ABSENT, "Content-Type": "application/x-www-form-urlencoded"}
        self.expect("POST", url, headers=headers, form=form or api_key_form(), **answer)

    def runtime(self, method: str, path: str, *, token: str = TOKEN, crn: str | None = CRN, **rest: Any) -> None:
        """A call of the Runtime API of us-east, with the headers that it must have."""
        headers = {"Authorization": f"Bearer {token}", "Service-CRN": crn, "IBM-API-Version": API_VERSION}
        self.expect(method, RUNTIME + path, headers={**headers, **rest.pop("headers", {})}, **rest)

    def cloud(self, method: str, url: str, *, token: str = TOKEN, **rest: Any) -> None:
        """A call of another of IBM's services: a token, and no headers of the Runtime API."""
        headers = {"Authorization": f"Bearer {token}", "Service-CRN": ABSENT, "IBM-API-Version": ABSENT}
        self.expect(method, url, headers={**headers, **rest.pop("headers", {})}, **rest)


def _query(expected: dict[str, Any]) -> Any:
    wanted = {name: value if isinstance(value, list) else [str(value)] for name, value in expected.items()}

    def match(request: Any) -> tuple[bool, str]:
        found = parse_qs(urlsplit(request.url).query, keep_blank_values=True)
        return found == wanted, f"query {found} instead of {wanted}"

    return match


def _headers(expected: dict[str, str | None]) -> Any:
    def match(request: Any) -> tuple[bool, str]:
        found = {name: request.headers.get(name) for name in expected}
        return found == expected, f"headers {found} instead of {expected}"

    return match


def _body(json: Any, form: dict[str, str] | None) -> Any:
    if form is not None:
        return matchers.urlencoded_params_matcher(form)
    if json is not ABSENT:
        return matchers.json_params_matcher(json)
    return lambda request: (request.body is None, f"a body was sent: {request.body!r}")


class Module:
    """Stands in for AnsibleModule, see ``_module.ModuleLike``."""

    def __init__(self, argument_spec: dict[str, Any], check_mode: bool = False, **options: Any) -> None:
        validated = ArgumentSpecValidator(argument_spec).validate(options)
        assert not validated.error_messages, validated.error_messages
        self.params = validated.validated_parameters
        self.check_mode = check_mode
        self.no_log_values: set[str] = set(validated._no_log_values)
        self.warnings: list[str] = []
        self.shown: list[str] = []

    def warn(self, warning: str) -> None:
        self.warnings.append(warning)

    def progress(self, text: str) -> None:
        self.shown.append(text)
