# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals, and the error shapes of IBM's services that carry them.

Sources: IBM's error code registry (quantum.cloud.ibm.com/docs/errors), the Runtime specification's two error schemas,
the IAM specification's OidcExceptionResponse and ExceptionResponse, the resource controller's error page.
"""

from __future__ import annotations

import json
import uuid
from typing import Any, Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

MORE_INFO = "https://quantum.cloud.ibm.com/docs/errors#{}"

NOT_AUTHORISED = 1200
INVALID_CREDENTIALS = 1201
TOO_MANY_REQUESTS = 1202
TOO_MANY_TAGS = 1204
TAG_TOO_LONG = 1205
TOO_MANY_JOBS = 1012
SESSION_CLOSED = 1217
JOB_NOT_FOUND = 1291
INSTANCE_NOT_FOUND = 1279
BACKEND_NOT_FOUND = 1007
INTERNAL = 1000
#: IBM's registry has no code for a malformed request or an unknown path; these are the emulator's.
BAD_REQUEST = 1300
NO_SUCH_PATH = 1304

#: Runtime paths whose errors the specification types as ErrorContainer, with the code a string.
_STRING_CODES = ("/v1/instance", "/v1/instances/configuration", "/v1/accounts", "/v1/tags", "/v1/jobs", "/v1/sessions")


class Refused(Exception):
    """A request that the service refuses; the service renders it in its own shape."""

    def __init__(
        self, status: int, code: int | str, message: str, details: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers


def json_response(body: Any, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(body, status_code=status, headers=headers)


def as_refusal(error: Exception, codes: dict[int, int | str]) -> Refused:
    """Starlette's 404, 405 and every crash as a refusal, with the service's own codes by status."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, HTTPException):
        text = {404: "The requested path does not exist.", 405: "The method is not allowed for this path."}
        return Refused(error.status_code, codes.get(error.status_code, codes[400]), text.get(error.status_code, ""))
    return Refused(500, codes[500], "Internal error of the emulator.", repr(error))


def _allow(error: Exception) -> dict[str, str]:
    headers = getattr(error, "headers", None)
    return dict(headers) if headers else {}


def runtime_body(code: int, message: str, solution: str = "", path: str = "") -> dict[str, Any]:
    """The Runtime API's error body: ErrorContainer for the paths that the specification says, else GenericErrorDto."""
    trace = str(uuid.uuid4())
    shown: int | str = code
    if any(path == prefix or path.startswith(prefix + "/") for prefix in _STRING_CODES):
        shown = str(code)
    error = {"code": shown, "message": message, "solution": solution, "more_info": MORE_INFO.format(code)}
    return {"errors": [error], "trace": trace}


async def runtime(request: Request, error: Exception) -> Response:
    refused = as_refusal(error, {400: BAD_REQUEST, 404: NO_SUCH_PATH, 405: BAD_REQUEST, 500: INTERNAL})
    body = runtime_body(int(refused.code), refused.message, refused.details, request.url.path)
    return json_response(body, refused.status, _allow(error))


async def iam_token(request: Request, error: Exception) -> Response:
    """OidcExceptionResponse, what /identity/token answers."""
    codes: dict[int, int | str] = {400: "BXNIM0109E", 404: "BXNIM0060E", 405: "BXNIM0060E", 500: "BXNIM0001E"}
    refused = as_refusal(error, codes)
    body: dict[str, Any] = {"errorCode": str(refused.code), "errorMessage": refused.message}
    if refused.details:
        body["errorDetails"] = refused.details
    body["context"] = {
        "requestId": uuid.uuid4().hex,
        "requestType": "incoming.Identity_Token",
        "userAgent": request.headers.get("user-agent", ""),
        "url": f"{request.url.scheme}://{request.url.netloc}{request.url.path}",
        "instanceId": "emulator",
        "host": "emulator",
        "locale": "en_US",
        "clusterName": "emulator",
    }
    return json_response(body, refused.status, _allow(error))


async def iam_identity(request: Request, error: Exception) -> Response:
    """ExceptionResponse, what IAM's /v1 paths answer."""
    codes: dict[int, int | str] = {400: "BXNIM0105E", 404: "BXNIM0404E", 405: "BXNIM0060E", 500: "BXNIM0001E"}
    refused = as_refusal(error, codes)
    trace = uuid.uuid4().hex
    body = {
        "context": {"transaction_id": trace, "operation": request.method, "url": request.url.path},
        "status_code": refused.status,
        "trace": trace,
        "errors": [
            {
                "code": {400: "invalid_parameter", 401: "not_authorized", 403: "forbidden", 404: "not_found"}.get(
                    refused.status, "conflict" if refused.status == 409 else "error"
                ),
                "message_code": str(refused.code),
                "message": refused.message,
                "details": refused.details,
            }
        ],
    }
    return json_response(body, refused.status, _allow(error))


async def resource_controller(request: Request, error: Exception) -> Response:
    codes: dict[int, int | str] = {
        400: "RC-BadRequest",
        404: "RC-NotFound",
        405: "RC-MethodNotAllowed",
        500: "RC-Error",
    }
    refused = as_refusal(error, codes)
    body = {
        "error_code": str(refused.code),
        "message": refused.message,
        "status_code": refused.status,
        "transaction_id": "bss-" + uuid.uuid4().hex[:16],
    }
    return json_response(body, refused.status, _allow(error))


async def platform(request: Request, error: Exception) -> Response:
    """The shape that Global Search and the Global Catalog share."""
    codes: dict[int, int | str] = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 500: "internal"}
    refused = as_refusal(error, codes)
    body = {
        "errors": [{"code": str(refused.code), "message": refused.message}],
        "status_code": refused.status,
        "trace": uuid.uuid4().hex,
    }
    return json_response(body, refused.status, _allow(error))


def service(routes: Sequence[BaseRoute], refuse: Callable[[Request, Exception], Awaitable[Response]]) -> Starlette:
    """A service's ASGI application: its routes, and every error in its own shape. A stray slash is an unknown path."""
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys((Refused, HTTPException, Exception), refuse))
    app.router.redirect_slashes = False
    return app


async def json_body(request: Request, code: int | str) -> dict[str, Any]:
    """The request's JSON object. Raises :class:`Refused` (400) for anything else."""
    try:
        body = json.loads(await request.body())
    except (ValueError, UnicodeDecodeError):
        raise Refused(400, code, "The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise Refused(400, code, "The body must be a JSON object.")
    return body
