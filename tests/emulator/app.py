# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one ASGI application: finds the service by host or path, injects faults, writes the journal."""

from __future__ import annotations

import asyncio
import json
import re
import traceback
from email.utils import formatdate
from typing import Any, Awaitable, Callable, NamedTuple
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from tests.emulator import apikeys, cloud, control, errors, iam, runtime
from tests.emulator.data import HOSTS
from tests.emulator.faults import PRESETS, Fault
from tests.emulator.journal import Recorder, bearer, form, reduce_header, sha256
from tests.emulator.state import State

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ASGI = Callable[[Any, Receive, Send], Awaitable[None]]

#: Where the Runtime API is found when the host is none of IBM's names: prefix of the path -> region.
_RUNTIME_PREFIXES = {"/eu-de/api": "eu-de", "/experimental/api": "us-east", "/api": "us-east"}
#: Long enough for a closed connection to be noticed, whatever the machine does.
_CLOSE_TIMEOUT = 10


class Place(NamedTuple):
    """Which service a request is for; ``prefix`` is what comes off the front of its path."""

    service: str
    region: str | None = None
    prefix: str = ""


def locate(host: str, path: str) -> Place:
    """Find the service: by host where it is one of IBM's names, else by path."""
    if path.startswith("/_emulator/"):
        return Place("control")
    feature, region = HOSTS.get(host, ("", None))
    if host.endswith("iam.cloud.ibm.com") and feature:
        return Place("iam_token" if path.startswith("/identity/") else "iam")
    if feature in ("rest", "private"):
        return Place("runtime", region, "/api") if path.startswith("/api/") else Place("nowhere")
    named = {
        "api.global-search-tagging.cloud.ibm.com": Place("search"),
        "globalcatalog.cloud.ibm.com": Place("catalog", None, "/api/v1" if path.startswith("/api/v1/") else ""),
        "resource-controller.cloud.ibm.com": Place("resource_controller"),
    }
    if host in named:
        return named[host]
    if feature:
        return Place({"cloud": "console", "functions": "functions"}.get(feature, "storage"))
    for prefix, served in _RUNTIME_PREFIXES.items():
        if path.startswith(prefix + "/"):
            return Place("runtime", served, prefix)
    for prefix in ("/globalcatalog/api/v1", "/globalcatalog"):
        if path.startswith(prefix + "/"):
            return Place("catalog", None, prefix)
    for start, service in (
        ("/identity/", "iam_token"),
        ("/v1/apikeys", "iam"),
        ("/v2/resource_instances", "resource_controller"),
        ("/v3/resources/", "search"),
    ):
        if path.startswith(start):
            return Place(service)
    return Place("front" if path == "/" else "nowhere")


async def _front(scope: Any, receive: Receive, send: Send) -> None:
    text = "A local IBM Quantum Platform for tests. Control API: /_emulator/journal, faults, clock, settings, reset.\n"
    await PlainTextResponse(text)(scope, receive, send)


async def _nowhere(scope: Any, receive: Receive, send: Send) -> None:
    body = errors.runtime_body(errors.NO_SUCH_PATH, "The requested path does not exist.")
    await JSONResponse(body, status_code=404)(scope, receive, send)


async def _console(scope: Any, receive: Receive, send: Send) -> None:
    await HTMLResponse("<html><head><title>IBM Cloud</title></head><body>IBM Cloud</body></html>")(scope, receive, send)


async def _functions(scope: Any, receive: Receive, send: Send) -> None:
    body = {"detail": "Authentication credentials were not provided."}
    await JSONResponse(body, status_code=401)(scope, receive, send)


async def _storage(scope: Any, receive: Receive, send: Send) -> None:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
    )
    await Response(body, status_code=403, media_type="application/xml")(scope, receive, send)


class Answer:
    """A response, collected before any of it is sent."""

    def __init__(self, status: int = 0, headers: list[tuple[bytes, bytes]] | None = None, body: bytes = b"") -> None:
        self.status = status
        self.headers = headers or []
        self.body = body

    async def take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    def header_dict(self) -> dict[str, str]:
        return {k.decode("latin-1"): v.decode("latin-1") for k, v in self.headers}

    @classmethod
    def of_fault(cls, fault: Fault) -> Answer:
        body, headers = fault.body, dict(fault.headers)
        if body is None:
            preset = PRESETS.get(str(fault.status), {})
            body = preset.get("body") or errors.runtime_body(errors.INTERNAL, "A fault of the emulator.")
        if not isinstance(body, str):
            body = json.dumps(body)
            headers.setdefault("content-type", "application/json")
        raw = body.encode()
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        if fault.status not in (204, 304):
            headers.setdefault("content-length", str(len(raw)))
        return cls(fault.status or 500, [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()], raw)


class Emulator:
    """The ASGI application."""

    def __init__(self, state: State, record: str | None = None) -> None:
        self.state = state
        self.recorder = Recorder(record, state.all_secrets) if record else None
        self.services: dict[str, ASGI] = {
            "control": control.app(state),
            "iam_token": iam.app(state),
            "iam": apikeys.app(state),
            "runtime": runtime.app(state),
            "resource_controller": cloud.resource_controller(state),
            "search": cloud.search(state),
            "catalog": cloud.catalog(state),
            "console": _console,
            "functions": _functions,
            "storage": _storage,
            "front": _front,
            "nowhere": _nowhere,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await Request(scope, receive).body()
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        path, netloc = scope["path"], headers.get("host", "")
        absolute = re.match(r"https?://([^/]+)(/.*)?\Z", path)
        if absolute:  # asked as an HTTP proxy would be
            netloc, path = absolute[1], absolute[2] or "/"
        host = (urlsplit(f"//{netloc}").hostname or "").lower()
        place = locate(host, path)
        inner = self._inner_scope(scope, place, path, netloc)
        if place.service == "control":
            await self.services["control"](inner, _replay(body), send)
            return

        fault = self.state.faults.take(scope["method"], path, host)
        delay = fault.delay if fault else 0.0
        delay += self.state.settings.delay if place.service != "iam_token" else 0.0
        if delay:
            await asyncio.sleep(delay)
        if fault and fault.drop == "before":
            answer = None
        elif fault and fault.status is not None:
            answer = Answer.of_fault(fault)
        else:
            answer = await self._ask(place, inner, body)

        row = self._row(scope, place, path, netloc, headers, body)
        row["status"] = answer.status if answer else None
        row["fault"] = fault.label if fault else None
        row["job_id"] = inner["emulator"].get("job_id")
        self.state.journal.add(row)
        if self.recorder:
            found = answer or Answer()
            self.recorder.write(row, body, found.header_dict(), found.body)
        if answer is None or (fault and fault.drop == "after"):
            await _hang_up(scope, receive)
            return
        await self._send(answer, scope, receive, send, half=bool(fault and fault.drop == "half"))

    async def _ask(self, place: Place, scope: Scope, body: bytes) -> Answer:
        answer = Answer()
        try:
            await self.services[place.service](scope, _replay(body), answer.take)
        except Exception:  # Starlette answers 500 in the service's shape, then raises for the log
            traceback.print_exc()
        return answer

    async def _send(self, answer: Answer, scope: Scope, receive: Receive, send: Send, half: bool) -> None:
        headers = list(answer.headers)
        if not any(name.lower() == b"date" for name, _value in headers):
            headers.append((b"date", formatdate(self.state.clock.now(), usegmt=True).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if not half:
            await send({"type": "http.response.body", "body": answer.body})
            return
        part = answer.body[: len(answer.body) // 2]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await _hang_up(scope, receive, flush=True)

    @staticmethod
    def _inner_scope(scope: Scope, place: Place, path: str, netloc: str) -> Scope:
        headers = [(k, v) for k, v in scope["headers"] if k != b"host"] + [(b"host", netloc.encode("latin-1"))]
        return {
            **scope,
            "path": path[len(place.prefix) :],
            "headers": headers,
            "emulator": {"region": place.region, "prefix": place.prefix, "service": place.service},
        }

    def _row(
        self, scope: Scope, place: Place, path: str, netloc: str, headers: dict[str, str], body: bytes
    ) -> dict[str, Any]:
        query = scope["query_string"].decode("latin-1")
        token = bearer(headers)
        client = scope["client"] or ("", 0)
        return {
            "time": self.state.clock.now(),
            "method": scope["method"],
            "url": f"{scope['scheme']}://{netloc}{path}" + (f"?{query}" if query else ""),
            "host": netloc,
            "path": path,
            "query": parse_qs(query, keep_blank_values=True),
            "headers": {k: reduce_header(k, v) for k, v in headers.items()},
            "service": place.service,
            "region": place.region,
            "token_sha256": sha256(token) if token else None,
            "body_sha256": sha256(body),
            "grant_type": form(headers, body).get("grant_type"),
            "connection": f"{client[0]}:{client[1]}",
        }


def _replay(body: bytes) -> Receive:
    """A ``receive`` that gives a body that was read already."""

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _hang_up(scope: Scope, receive: Receive, flush: bool = False) -> None:
    """Close the TCP connection under the server's feet, so that the client gets no (further) byte."""
    transport = scope["state"]["transport"]
    transport.close() if flush else transport.abort()

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    await asyncio.wait_for(gone(), _CLOSE_TIMEOUT)
