# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""HTTP over requests: one kept connection a host, bounded retries, every failure an ApiError.

Nothing else in the collection uses requests.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import json as jsonlib
import os
import random
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Mapping, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tally
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, answer_error, plain

try:
    import requests
    from requests import Session
    from requests.auth import AuthBase
except ImportError as exc:
    REQUESTS_IMPORT_ERROR: ImportError | None = exc
    AuthBase = Session = object  # type: ignore[assignment, misc]  # for the classes below, which nobody uses then
else:
    REQUESTS_IMPORT_ERROR = None

USER_AGENT = "ansible-ibm_quantum.platform/0.1.0"

#: Methods that may be sent twice. A POST is repeated only where the caller knows that it creates nothing.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504, 520, 521, 522, 523, 524})

CONNECT_TIMEOUT = 10.0  # seconds; a host that does not accept by then is not going to
LONGEST_WAIT = 120.0  # seconds that IBM's Retry-After may ask for before it is an error instead of a wait


class Reply(NamedTuple):
    """An answer: ``json`` is the decoded body, None where it is empty, the text where it is not JSON."""

    status: int
    headers: Mapping[str, str]
    json: Any
    text: str


class _NoNetrc(AuthBase):
    """Keeps requests from replacing our Authorization header by an entry of ~/.netrc."""

    def __call__(self, request: Any) -> Any:
        return request


class _Session(Session):
    """The same for the requests that follow a redirection, which keep the header on the same host only."""

    def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
        if self.should_strip_auth(response.request.url, prepared_request.url):
            for name in ("Authorization", "IAM-ApiKey"):
                prepared_request.headers.pop(name, None)


# The session lives as long as the process: a worker of Ansible runs all items of a loop, so they share a connection.
# A fork must not share its parent's: both would read from one socket.
_SESSIONS: dict[int, Any] = {}


def _session() -> Any:
    if os.getpid() not in _SESSIONS:
        _SESSIONS.clear()
        session = _SESSIONS[os.getpid()] = _Session()
        session.headers["User-Agent"] = USER_AGENT
    return _SESSIONS[os.getpid()]


class Http:
    """Sends requests with one task's settings.

    ``timeout`` is the time in seconds to wait for an answer, ``retries`` how many times a request is repeated,
    ``verify`` as in requests: True, False or the path of a CA bundle. ``proxy`` empty means the proxy of the
    environment, if there is one.
    """

    def __init__(
        self,
        *,
        timeout: float = 60.0,
        retries: int = 4,
        verify: bool | str = True,
        proxy: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.timeout = timeout
        self.retries = retries
        self.verify = verify
        self.proxy = proxy
        self.sleep = sleep

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        redirects: bool = True,
        wait_if_limited: bool = True,
        text: bool = False,
    ) -> Reply:
        """Send one request and return any answer below 400; raise :class:`ApiError` for all else.

        A redirection is followed by GET and HEAD only; to any other method it is an error, as nothing was done.

        ``query`` values that are lists become repeated keys, as the Runtime API wants them. ``repeatable`` tells
        whether a lost answer or a 5xx may be repeated; by default only of an idempotent method. ``wait_if_limited``
        tells whether IBM's limits of the rate (429) are waited out here, or are an error for a caller who knows better.
        With ``text`` the answer is taken for text in UTF-8, whatever it says that it is; its ``json`` is None then.
        """
        repeatable = method in IDEMPOTENT if repeatable is None else repeatable
        attempt = 0
        while True:
            try:
                return self._once(
                    method, url, headers, query, json, form, redirects and method in ("GET", "HEAD"), text
                )
            except _Failure as failure:
                limited = failure.error.status == 429 and not wait_if_limited
                wait = None if limited else self._wait_before_retry(failure, attempt, repeatable)
                if wait is None:
                    raise failure.error from None
            self.sleep(wait)
            attempt += 1

    def _wait_before_retry(self, failure: _Failure, attempt: int, repeatable: bool) -> float | None:
        """Seconds until the next try; None where there must not be one."""
        if attempt >= self.retries or not failure.transient or not (repeatable or failure.not_processed):
            return None
        if failure.retry_after is not None and failure.retry_after > LONGEST_WAIT:
            failure.error.remedy = f"IBM asks to wait {failure.retry_after:.0f} seconds: run the task again after that"
            return None
        if failure.retry_after is not None:
            return failure.retry_after
        return min(30.0, 0.5 * 2**attempt) * random.uniform(0.5, 1.0)

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        query: Mapping[str, Any] | None,
        json: Any,
        form: Mapping[str, str] | None,
        redirects: bool,
        as_text: bool,
    ) -> Reply:
        try:
            response = _session().request(
                method,
                url,
                headers={"Accept": "application/json", **(headers or {})},
                params={name: _query_value(value) for name, value in (query or {}).items() if value is not None},
                json=json,
                data=form,
                timeout=(min(CONNECT_TIMEOUT, self.timeout), self.timeout),
                # both are given with every request: a session's own would lose to the environment's
                verify=self.verify,
                proxies={"http": self.proxy, "https": self.proxy} if self.proxy else None,
                auth=_NoNetrc(),
                allow_redirects=redirects,
            )
        except OSError as exc:  # as all of requests' exceptions are
            raise _connection_failure(method, url, exc, self.timeout) from None
        except UnicodeError:
            raise _Failure(ApiError("the URL or a header has characters that HTTP cannot carry", url=url)) from None
        for answer in (*response.history, response):  # redirections were requests, too
            _tally.sent(answer.url)
        if response.status_code >= 400 or response.is_redirect:
            error = answer_error(method, url, response.status_code, response.reason or "", response.text)
            error.reply = Reply(response.status_code, response.headers, _lenient_json(response.text), response.text)
            raise _Failure(
                error,
                transient=response.status_code in RETRIED_STATUSES,
                not_processed=response.status_code == 429,
                retry_after=_retry_after(response.headers.get("Retry-After"), response.headers.get("Date")),
            )
        if as_text:  # whatever it says that it is
            return Reply(response.status_code, response.headers, None, response.content.decode("utf-8", "replace"))
        return Reply(response.status_code, response.headers, self._decode(method, url, response), response.text)

    @staticmethod
    def _decode(method: str, url: str, response: Any) -> Any:
        if not response.content:
            return None
        if "json" not in response.headers.get("Content-Type", "application/json"):
            return response.text
        try:
            return jsonlib.loads(response.content)
        except ValueError:
            error = ApiError(
                f"the answer ({response.status_code}) is not the JSON that it says it is, or was cut off",
                method=method,
                url=url,
                status=response.status_code,
                remedy="Run the task again; a proxy that rewrites answers also causes this",
                outcome_unknown=True,
            )
            raise _Failure(error, transient=True) from None


class _Failure(Exception):
    """An attempt that failed, with what is needed to decide on another."""

    def __init__(
        self,
        error: ApiError,
        *,
        transient: bool = False,
        not_processed: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(str(error))
        error.transient, error.retry_after = transient, retry_after
        self.error = error
        self.transient = transient
        self.not_processed = not_processed
        self.retry_after = retry_after


def _lenient_json(text: str) -> Any:
    try:
        return jsonlib.loads(text)
    except ValueError:
        return text


def _query_value(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return [_query_value(item) for item in value]
    return value


def _retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3).

    A date is compared with that of the answer, if it has one: this machine's clock may be wrong.
    """
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    when, now = _http_date(value), _http_date(date or "") or datetime.now(timezone.utc)
    return max(0.0, (when - now).total_seconds()) if when else None


def _http_date(text: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)


def _connection_failure(method: str, url: str, exc: Exception, timeout: float) -> _Failure:
    """Sort requests' exceptions: did the request leave, is another try of use, what should the user do."""
    text = str(exc)
    exceptions = requests.exceptions

    def failure(message: str, remedy: str, *, transient: bool, left: bool, late: bool = False) -> _Failure:
        error = ApiError(message, method=method, url=url, remedy=plain(remedy), outcome_unknown=left, timed_out=late)
        if left:
            _tally.sent(url)
        return _Failure(error, transient=transient, not_processed=not left)

    if isinstance(exc, exceptions.ProxyError):
        if "Tunnel connection failed: 407" in text:
            return failure(
                "the proxy wants a user and password (407)",
                "put them into O(proxy): http://user:password@host:port",
                transient=False,
                left=False,
            )
        return failure(
            "the proxy cannot be reached or refused the connection",
            "check O(proxy), or HTTPS_PROXY and NO_PROXY of the environment",
            transient=True,
            left=False,
        )
    if isinstance(exc, exceptions.SSLError):
        why = "the certificate is not trusted" if "CERTIFICATE_VERIFY_FAILED" in text else "the TLS handshake failed"
        return failure(
            f"{why} ({_tls_reason(text)})",
            "if a proxy inspects TLS here, set O(ca_path) to its CA bundle; the module endpoint_check names the issuer",
            transient=False,
            left=False,
        )
    if isinstance(exc, exceptions.ConnectTimeout):
        return failure(
            f"no connection within {min(CONNECT_TIMEOUT, timeout):g} s",
            "a firewall may drop the packets: the module endpoint_check tells; or set O(proxy)",
            transient=True,
            left=False,
        )
    if isinstance(exc, exceptions.ReadTimeout):
        return failure(f"no answer within {timeout:g} s", "raise O(timeout)", transient=True, left=True, late=True)
    if isinstance(exc, (exceptions.InvalidURL, exceptions.InvalidSchema, exceptions.MissingSchema)):
        return failure("not a URL that can be called", "check the URL in the task", transient=False, left=False)
    if isinstance(exc, exceptions.InvalidHeader):
        return failure("a header cannot be sent", "look for line breaks in it", transient=False, left=False)
    if isinstance(exc, exceptions.InvalidJSONError):
        return failure("the body is not JSON", "take NaN and infinity out of it", transient=False, left=False)
    if isinstance(exc, exceptions.TooManyRedirects):
        return failure("too many redirections", "check the URL in the task", transient=False, left=True)
    if "CA certificate bundle" in text:
        remedy = "check O(ca_path), or REQUESTS_CA_BUNDLE of the environment"
        return failure("the CA bundle is missing", remedy, transient=False, left=False)
    if any(name in text for name in ("NameResolutionError", "getaddrinfo", "Name or service not known")):
        return failure(
            "the host name has no address",
            "check DNS on the machine that runs the task, or set O(proxy)",
            transient=True,
            left=False,
        )
    if any(name in text for name in ("NewConnectionError", "Connection refused", "Network is unreachable")):
        return failure(
            "the connection was refused",
            "check the URL and the firewall of the machine that runs the task, or set O(proxy)",
            transient=True,
            left=False,
        )
    return failure(
        "the connection broke before the answer was complete",
        "run the task again once the network holds",
        transient=True,
        left=True,
    )


def _tls_reason(text: str) -> str:
    """The part of OpenSSL's message that says what is wrong."""
    for mark in ("certificate verify failed: ", "[SSL: "):
        if mark in text:
            return text.split(mark, 1)[1].split(" (_ssl", 1)[0].split("]", 1)[0].strip("'() ")
    return "TLS error"
