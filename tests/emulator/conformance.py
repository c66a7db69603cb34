# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does Runtime traffic fit IBM's OpenAPI document? A checker for one exchange, and for a file of ``--record``.

Needs requirements-conformance.txt. The document is not part of the project: give its path (tests: OPENAPI_SPEC).
``python -m tests.emulator.conformance SPEC RECORD...`` prints the deviations and fails if there are any.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

import yaml
from jsonschema_path import SchemaPath
from openapi_core import V30RequestValidator, V30ResponseValidator
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.emulator.openapi_exceptions import EXCEPTIONS, UNLISTED_STATUSES, corrected

#: The document's own server; the emulator's prefixes stand for it.
_SERVER = "https://quantum.cloud.ibm.com"


class _Request:
    def __init__(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> None:
        self.host_url = _SERVER
        self.path = path
        self.method = method.lower()
        self.body = body or None
        lower = {name.lower(): value for name, value in headers.items()}
        self.content_type = lower.get("content-type", "application/json").split(";")[0]
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(query, keep_blank_values=True)),
            header=Headers(list(headers.items())),
            cookie=ImmutableMultiDict(),
        )


class _Response:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status_code = status
        self.headers = Headers(list(headers.items()))
        self.content_type = self.headers.get("content-type", "").split(";")[0]
        self.data = body


def _flatten(error: BaseException) -> Iterator[str]:
    """The innermost causes of one of openapi-core's errors, each with its place in the data."""
    inner = list(getattr(error, "schema_errors", None) or [])
    if inner:
        for one in inner:
            where = "".join(f"/{part}" for part in one.absolute_path)
            message = one.message if len(one.message) < 200 else f"{one.message[:100]} ... {one.message[-90:]}"
            yield f"{where or '/'}: {message}"
    elif error.__cause__ is not None:
        yield from _flatten(error.__cause__)
    else:
        yield f"{type(error).__name__}: {error}"


class Checker:
    """Checks exchanges with the Runtime API against the document at ``spec_path``."""

    def __init__(self, spec_path: str | Path) -> None:
        document = corrected(yaml.safe_load(Path(spec_path).read_text(encoding="utf-8")))
        spec = SchemaPath.from_dict(document)
        self._requests = V30RequestValidator(spec)
        self._responses = V30ResponseValidator(spec)
        self._documented = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", template)), operations)
            for template, operations in document["paths"].items()
        ]
        self.used: set[str] = set()  # the reasons of the exceptions that were needed so far

    def check(
        self,
        method: str,
        url: str,
        request_headers: Mapping[str, str],
        request_body: bytes | str | None,
        status: int,
        response_headers: Mapping[str, str],
        response_body: bytes | str | None,
    ) -> list[str]:
        """The deviations of one exchange, an empty list when it fits. ``url`` must be one of the Runtime API.

        A request that was refused (4xx) was wrong on purpose; only its response is checked.
        """
        parts = urlsplit(url)
        _before, found, rest = parts.path.partition("/api/v1/")
        if not found:
            return [f"{url}: not a URL of the Runtime API"]
        path = f"/api/v1/{rest}"
        if status in UNLISTED_STATUSES and not self._lists(method, path.removeprefix("/api"), status):
            return [f"{method} {path} {status}: {line}" for line in _error_shape(_bytes(response_body))]
        request = _Request(method, path, parts.query, request_headers, _bytes(request_body))
        response = _Response(status, response_headers, _bytes(response_body))
        errors = [] if status >= 400 else [("request", e) for e in self._requests.iter_errors(request)]
        errors += [("response", e) for e in self._responses.iter_errors(request, response)]
        lines = [f"{part} {line}" for part, error in errors for line in _flatten(error)]
        return [f"{method} {path} {status}: {line}" for line in lines if not self._excused(method, path, status, line)]

    def check_file(self, path: str | Path) -> list[str]:
        """The deviations of all Runtime exchanges in a record, but those that a fault of the emulator replaced."""
        found, seen = [], set()
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            if row["service"] != "runtime" or row["fault"] or row["status"] is None:
                continue
            content_type = row["response_headers"].get("content-type")
            key = (row["method"], row["url"], row["status"], row["request_body"], content_type, row["response_body"])
            if key in seen:
                continue
            seen.add(key)
            found += self.check(
                row["method"],
                row["url"],
                row["request_headers"],
                row["request_body"],
                row["status"],
                row["response_headers"],
                row["response_body"],
            )
        return found

    def _lists(self, method: str, path: str, status: int) -> bool:
        """Whether the document lists this status for this operation."""
        for template, operations in self._documented:
            if template.fullmatch(path):
                return str(status) in operations.get(method.lower(), {}).get("responses", {})
        return False

    def _excused(self, method: str, path: str, status: int, line: str) -> bool:
        for exception in EXCEPTIONS:
            if exception.covers(method, path.removeprefix("/api"), status, line):
                self.used.add(exception.reason)
                return True
        return False


def _error_shape(body: bytes) -> list[str]:
    """What a body lacks that both error schemas of the document have."""
    try:
        content = json.loads(body)
        good = isinstance(content["trace"], str) and all(
            isinstance(error["code"], (str, int)) and isinstance(error["message"], str) for error in content["errors"]
        )
    except (ValueError, KeyError, TypeError):
        good = False
    return [] if good and content["errors"] else ["response has none of the document's error shapes"]


def _bytes(body: bytes | str | None) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else body


def main(argv: list[str]) -> int:
    if len(argv) < 2:
        print("usage: python -m tests.emulator.conformance SPEC RECORD...", file=sys.stderr)
        return 2
    checker = Checker(argv[0])
    found = [line for record in argv[1:] for line in checker.check_file(record)]
    print("\n".join(found) or "all traffic fits the document")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
