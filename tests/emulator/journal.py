# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request journal: what arrived, in order, without any secret in clear; and the record of whole exchanges."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from collections import deque
from typing import Any, Callable, Iterable
from urllib.parse import parse_qsl, urlencode

#: Rows kept; the oldest go first.
CAPACITY = 20000

_SECRET_HEADERS = ("authorization", "proxy-authorization", "iam-apikey", "cookie", "x-emulator-control")
_SECRET_FIELDS = ("apikey", "cr_token", "access_token", "refresh_token", "password", "passcode", "cookie")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")


def sha256(data: bytes | str) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def reduce(value: str) -> str:
    """A secret as ``sha256:`` and twelve digits: enough to tell two of them apart."""
    return "sha256:" + sha256(value)[:12]


def reduce_header(name: str, value: str) -> str:
    if name not in _SECRET_HEADERS:
        return value
    scheme, space, rest = value.partition(" ")
    return f"{scheme} {reduce(rest)}" if space else reduce(value)


def bearer(headers: dict[str, str]) -> str:
    """The bearer token of a request, or an empty string."""
    scheme, _sep, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def form(headers: dict[str, str], body: bytes) -> dict[str, str]:
    """The fields of a form, empty for any other body."""
    if headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


class Journal:
    """A bounded list of rows, each a dict. Safe to use from several threads."""

    def __init__(self) -> None:
        self._rows: deque[dict[str, Any]] = deque(maxlen=CAPACITY)
        self._lock = threading.Lock()

    def add(self, row: dict[str, Any]) -> None:
        with self._lock:
            self._rows.append(row)

    def rows(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._rows)

    def clear(self) -> None:
        with self._lock:
            self._rows.clear()


class Recorder:
    """Writes whole exchanges to a file, a JSON object a line, secrets reduced; conformance.py reads it."""

    def __init__(self, path: str, secrets: Callable[[], Iterable[str]]) -> None:
        self._secrets = secrets
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8")

    def write(self, row: dict[str, Any], request_body: bytes, response_headers: dict[str, str], body: bytes) -> None:
        fields = form(row["headers"], request_body)
        if fields:
            shown = {k: reduce(v) if k in _SECRET_FIELDS else v for k, v in fields.items()}
            request_body = urlencode(shown).encode()
        entry = {
            "method": row["method"],
            "url": row["url"],
            "service": row["service"],
            "region": row["region"],
            "fault": row["fault"],
            "request_headers": row["headers"],
            "request_body": self._text(request_body),
            "status": row["status"],
            "response_headers": {k: reduce_header(k, v) for k, v in response_headers.items()},
            "response_body": self._text(body),
        }
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def _text(self, body: bytes) -> str:
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            return "base64:" + base64.b64encode(body).decode()
        for secret in self._secrets():
            text = text.replace(secret, reduce(secret))
        return _JWT.sub(lambda found: reduce(found.group()), text)
