# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What can go wrong with IBM's APIs, as one exception whose text says what to do.

IBM has several shapes of error body; sources: the Runtime API's OpenAPI document (``ErrorContainer`` and
``GenericErrorDto``), IAM's token operations (``OidcExceptionResponse``), IAM identity (``ExceptionResponse``), the
Resource Controller (``Error``). The edge in front of them answers HTML.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit


class OptionError(ValueError):
    """A value that cannot be right; the text names the option and the remedy. Nothing was sent."""


class ErrorBody(NamedTuple):
    """What an error answer says, whatever its shape. All fields but ``message`` may be empty."""

    message: str
    code: str = ""
    solution: str = ""
    more_info: str = ""
    trace: str = ""


class ApiError(Exception):
    """A request that failed.

    ``status`` is None where no HTTP answer came. ``outcome_unknown`` tells that IBM may have carried the request out
    all the same: the connection broke after the request had left; ``timed_out``, that IBM may be at it still.
    ``transient`` tells that another try may go well; ``retry_after`` are the seconds that IBM asks to wait before.
    ``reply`` is the whole answer, for who expected it.
    """

    def __init__(
        self,
        message: str,
        *,
        method: str = "",
        url: str = "",
        status: int | None = None,
        body: ErrorBody | None = None,
        remedy: str = "",
        outcome_unknown: bool = False,
        timed_out: bool = False,
        transient: bool = False,
        retry_after: float | None = None,
        reply: Any = None,
    ) -> None:
        self.reply = reply
        self.timed_out = timed_out
        self.transient = transient
        self.retry_after = retry_after
        self.message = message
        self.method = method
        self.url = public_url(url)
        self.status = status
        self.body = body or ErrorBody(message)
        self.remedy = remedy
        self.outcome_unknown = outcome_unknown
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [f"{self.method} {self.url}: {self.message}".strip(": ")]
        if self.body.solution:
            parts.append(f"IBM's advice: {self.body.solution}")
        if self.remedy:
            parts.append(self.remedy)
        if self.body.more_info:
            parts.append(f"More: {self.body.more_info}")
        if self.body.trace:
            parts.append(f"Trace id: {self.body.trace}")
        return " ".join(part if part[-1] in ".!?" else part + "." for part in parts)

    def as_result(self) -> dict[str, Any]:
        """The error as a module's result: ``msg`` for people, ``error`` for playbooks."""
        return {
            "msg": str(self),
            "error": {
                "status": self.status,
                "code": self.body.code,
                "message": self.body.message,
                "solution": self.body.solution,
                "more_info": self.body.more_info,
                "trace": self.body.trace,
                "method": self.method,
                "url": self.url,
                "remedy": self.remedy,
                "outcome_unknown": self.outcome_unknown,
            },
        }


def public_url(url: str) -> str:
    """A URL without what could be secret in it: user, password, query values and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    query = "&".join(f"{pair.partition('=')[0]}=..." for pair in parts.query.split("&") if pair)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def parse_body(status: int, reason: str, text: str) -> ErrorBody:
    """Read an error body of any of IBM's shapes, HTML, plain text, truncated JSON or nothing."""
    fallback = f"HTTP {status} {reason}".strip()
    try:
        data = json.loads(text)
    except ValueError:
        if is_html(text):
            title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
            return ErrorBody(f"{fallback}: an HTML page" + (f' titled "{" ".join(title[1].split())}"' if title else ""))
        # not JSON, not HTML: a proxy's line of text, or JSON cut off; its start is enough to recognise it
        line = " ".join(text.split())[:200]
        return ErrorBody(f"{fallback}: {line}" if line else f"{fallback} without a body")
    if not isinstance(data, dict):
        return ErrorBody(fallback)
    errors = data.get("errors") or data.get("error")
    first = errors[0] if isinstance(errors, list) and errors else errors
    first = first if isinstance(first, dict) else {"message": first} if first else {}
    context: Any = data.get("context")
    context = context if isinstance(context, dict) else {}

    def pick(*names: str) -> str:
        for source in (first, data, context):
            for name in names:
                value = source.get(name)
                if isinstance(value, (str, int)) and str(value):
                    return str(value)
        return ""

    message = pick("message", "errorMessage", "error_description", "description") or fallback
    details = pick("errorDetails", "details")
    if details and details not in message:
        message = f"{message.rstrip('.')}: {details}"
    return ErrorBody(
        message=message,
        code=pick("message_code", "code", "errorCode", "error_code"),
        solution=pick("solution"),
        more_info=pick("more_info"),
        trace=pick("trace", "transaction_id", "requestId"),
    )


def is_html(text: str) -> bool:
    """Whether a body is a page for people, as IBM's edge and proxies answer."""
    return text.lstrip()[:15].lower().startswith(("<!doctype html", "<html"))


# What to do, by IBM's code. Sources: IAM's exceptions, IBM Quantum's error registry, the guides' troubleshooting.
_REMEDY_BY_CODE = {
    "BXNIM0415E": "IAM does not know this API key: check O(api_key) for missing characters (it has 44) or make a new "
    "key on the platform's dashboard",
    "BXNIM0462E": "the API key is disabled: enable it again, see O(disabled) of the module api_key, or use another one",
    "BXNIM0105E": "IBM does not delete or change this as it is now: unlock a locked API key first, see O(locked) of "
    "the module api_key",
    "BXNIM0513E": "the identity behind the credential may not do this: a user manages the own API keys only, and "
    "accounts can restrict who makes keys (restrict_create_platform_apikey in the IAM settings of the account)",
    "BXNIM0400E": "IAM refused the credential: check O(api_key), O(trusted_profile) and O(cr_token_file)",
    "BXNIM0407E": "the token is not valid here: use O(api_key) instead of O(bearer_token), or make a new token",
    "BXNIM0408E": "refresh tokens of this grant cannot be used: exchange O(api_key) again",
    "BXNIM0439E": "the session behind the token has ended: exchange O(api_key) again",
    "BXNIM0308E": "the request reached IAM without a credential: a proxy may have removed the header",
    "1200": "the identity may not do this on this instance: check that O(instance) belongs to the account of "
    "O(api_key) and that its access policies cover the instance",
    "1201": "check O(api_key); a bearer token given where the API key belongs is the usual cause",
    "1202": "too many requests: raise O(retries) or run fewer at once",
    "1279": "the instance is not known on this host: check O(instance), and that O(runtime_url) is the one of the "
    "CRN's region",
    "3445": "a person must log in on the platform once and accept the licence",
    "3446": "the IBMid behind O(api_key) needs to be completed on the platform's login page",
}

_REMEDY_BY_STATUS = {
    400: "check the options against the message",
    401: "check O(api_key), or O(bearer_token) which lives one hour at most",
    403: "the identity behind O(api_key) lacks a permission for this call",
    404: "check O(instance), O(runtime_url) and the name or path in the task",
    407: "the proxy wants a user and password: put them into O(proxy)",
    409: "it contradicts the present state: read it again before another try",
    429: "IBM limits the rate: raise O(retries) or run fewer at once",
}

_EDGE_REMEDY = (
    "this page does not come from the API: IBM's edge blocks some countries and networks, and proxies answer like this "
    "too; try from another network, or set O(proxy)"
)


def answer_error(method: str, url: str, status: int, reason: str, text: str) -> ApiError:
    """The error of an HTTP answer."""
    body = parse_body(status, reason, text)
    if 300 <= status < 400:
        remedy = "the redirection was not followed: check the URL in the task; a proxy's login page does this too"
    elif is_html(text) and status < 500 and status != 407:  # a proxy writes its 407 for people too
        remedy = _EDGE_REMEDY
    elif status >= 500:
        remedy = "IBM's side failed; run the task again later (https://cloud.ibm.com/status)"
    else:
        remedy = _REMEDY_BY_CODE.get(body.code) or _REMEDY_BY_STATUS.get(status, "")
    label = f"{status}, code {body.code}" if body.code else str(status)
    return ApiError(
        f"{body.message.rstrip('.')} ({label})",
        method=method,
        url=url,
        status=status,
        body=body,
        remedy=plain(remedy),
        outcome_unknown=status >= 500,
        timed_out=status in (504, 524),  # a gateway has given up to wait for a server that may be at it still
    )


def plain(text: str) -> str:
    """Turn the documentation's O(name) into a name between quotes, and start with a capital."""
    text = re.sub(r"O\((\w+)\)", r"'\1'", text)
    return text[:1].upper() + text[1:]
