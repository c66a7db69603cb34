# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Calls with credentials that leave from a managed host, by its own proxies and CAs. Standard library only.

DNS, TCP, proxy and TLS are those of ``_probe``, and so are the diagnosis and the remedy where one of them fails.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import io
import random
import ssl
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Any, Callable, Mapping, NamedTuple
from urllib.parse import urlencode, urlsplit

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_environment import host_environment
from ansible_collections.ibm_quantum.platform.plugins.module_utils._probe import (
    ProbeError,
    Proxy,
    _Probe,
    environment_proxy,
    parse_proxy,
    trust,
)

#: What another try may mend: IBM's answers, and diagnoses of ``_probe``.
RETRIED_STATUSES = frozenset([429, 500, 502, 503, 504])
RETRIED_DIAGNOSES = frozenset(["dns_timeout", "reset", "no_answer", "proxy_failed"])

LONGEST_WAIT = 60.0  # seconds that a Retry-After may ask for before the answer counts as it is
_AGENT = "ibm_quantum.platform credential_check"
_LONGEST_BODY = 1 << 20  # bytes; a token's answer has some thousand


class Answer(NamedTuple):
    """An HTTP answer of any status. ``retry_after`` in seconds, None where the server did not say."""

    status: int
    reason: str
    text: str
    retry_after: float | None


class Unreachable(Exception):
    """No answer came; the text says why and what to do. ``diagnosis`` is a word of ``_probe.REMEDIES``."""

    def __init__(self, diagnosis: str, text: str) -> None:
        super().__init__(text)
        self.diagnosis = diagnosis


class Caller:
    """Makes calls with one module's settings.

    ``proxy`` None means that of the host's environment, empty none; ``timeout`` is in seconds, for each stage of a
    call; ``retries`` is how many times a call is repeated that met a busy server. Raises :class:`OptionError`.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        ca_path: str | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._proxy, self._timeout, self._retries, self._sleep = proxy, timeout, retries, sleep
        self._environment = host_environment()
        try:
            self._context = trust(ca_path, self._environment)
        except OSError as error:  # also ssl.SSLError: a file without certificates
            raise OptionError(
                f"ca_path (or REQUESTS_CA_BUNDLE) must name a PEM file or a folder of CA certificates: {error.strerror}"
            ) from None

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        proxy: str | None = None,
    ) -> Answer:
        """Make a call that may be repeated. ``proxy`` counts where the options name none.

        Raises :class:`Unreachable`, and :class:`OptionError` for a proxy that is none.
        """
        attempt = 0
        while True:
            wait = min(15.0, 0.5 * 2**attempt) * random.uniform(0.5, 1.0)
            try:
                answer = self._once(method, url, headers or {}, form, proxy)
            except Unreachable as error:
                if attempt >= self._retries or error.diagnosis not in RETRIED_DIAGNOSES:
                    raise
            else:
                asked = answer.retry_after or 0.0
                if attempt >= self._retries or answer.status not in RETRIED_STATUSES or asked > LONGEST_WAIT:
                    return answer
                wait += asked  # hosts of a fleet that were sent away together do not come back together
            self._sleep(wait)
            attempt += 1

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None, proxy: str | None
    ) -> Answer:
        parts = urlsplit(url)
        host, tls = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if tls else 80)
        body = None if form is None else urlencode(form).encode("ascii")
        # Plain http is for this host itself only, so it goes by no proxy, which could read the credential.
        by = self._way(host, port, proxy) if tls else None
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        call = _Call(host, port, tls, path, by, self._timeout, self._context)
        return call.answer(method, headers, body)

    def _way(self, host: str, port: int, proxy: str | None) -> Proxy | None:
        given = self._proxy if self._proxy is not None else proxy
        try:
            if given is None:
                return environment_proxy(host, port, True, self._environment)
            return parse_proxy(given) if given else None
        except ValueError as error:
            where = "proxy" if self._proxy is not None else "the proxy of the saved account or of HTTPS_PROXY"
            raise OptionError(f"{where} {error}") from None


class _Call(_Probe):
    """A probe whose last stage is a call, the whole answer of which is wanted."""

    def answer(self, method: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Make the call. Raises :class:`Unreachable`."""
        self._method, self._headers, self._body = method, headers, body
        self._got: Answer | None = None
        try:
            self.run()
        except ProbeError as error:
            self.diagnose(error)
            diagnosis = str(self.row["diagnosis"])
            text = f"{self.host}:{self.port} cannot be reached ({diagnosis}): {self.row['remedy']}"
            raise Unreachable(diagnosis, text) from None
        finally:
            if self.sock:
                self.sock.close()
        if self._got is None:
            raise AssertionError("the last stage sets it")
        return self._got

    def _http(self) -> None:
        usual = self.port == (443 if self.tls else 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"{self._method} {self.path or '/'} HTTP/1.1", f"Host: {host if usual else f'{host}:{self.port}'}"]
        lines += [f"User-Agent: {_AGENT}", "Accept: application/json", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self._headers.items()]
        if self._body is not None:
            lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(self._body)}"]
        sock = self._socket
        sock.settimeout(self.timeout)
        sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii") + (self._body or b""))
        stream: Any = _Stream(sock, time.monotonic() + self.timeout)  # of a socket HTTPResponse takes makefile() only
        response = HTTPResponse(stream, method=self._method)
        try:
            response.begin()
            data = response.read(_LONGEST_BODY)
            if response.length:
                raise IncompleteRead(data, response.length)
        except IncompleteRead:
            raise ProbeError("reset", "the answer was cut off") from None
        except RemoteDisconnected:  # is an OSError as well, and as such becomes a diagnosis
            raise
        except HTTPException:
            raise ProbeError("not_http", "the answer is not HTTP") from None
        finally:
            response.close()
        self.row["status"] = response.status
        self._got = Answer(
            response.status,
            response.reason,
            data.decode("utf-8", "replace"),
            _seconds(response.getheader("Retry-After")),
        )


class _Stream(io.RawIOBase):
    """The reading side of a connection, all of it within a deadline, as http.client wants to have it."""

    def __init__(self, sock: Any, deadline: float) -> None:
        super().__init__()
        self._sock, self._deadline = sock, deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(max(0.01, self._deadline - time.monotonic()))
        try:
            piece = self._sock.recv(len(buffer))
        except ssl.SSLEOFError:  # cut without TLS's farewell: whether all came, Content-Length tells
            return 0
        buffer[: len(piece)] = piece
        return len(piece)


def _seconds(value: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3)."""
    try:
        return max(0.0, float(value or ""))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value or "")
    except (TypeError, ValueError, IndexError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
