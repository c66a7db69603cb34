# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Bearer tokens and what can be read from them.

Sources: IAM's ``TokenResponse`` (fields), RFC 7519 (claims), IBM's REST guide (an hour at most; accounts can set less).

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, NamedTuple

#: A token is renewed when this part of its life is over, as IBM's SDK does.
REFRESH_AT = 0.8
#: Seconds before its end at which a token is no longer sent, so that it does not expire on its way.
MARGIN = 10.0

_JWT = re.compile(r"[\w-]{2,}\.[\w-]{2,}\.[\w-]*")


class Token(NamedTuple):
    """A bearer token; times are seconds since the epoch by this machine's clock, whatever IBM's clock says."""

    value: str
    obtained: float
    lifetime: float

    @property
    def expires(self) -> float:
        return self.obtained + self.lifetime

    def usable(self, now: float) -> bool:
        """Whether it can still be sent. A token from the future tells that the clock was set back: it is not used."""
        return self.obtained - MARGIN <= now < self.expires - MARGIN

    def fresh(self, now: float, minimum_life: float = 0.0) -> bool:
        """Whether it need not be renewed yet; with ``minimum_life``, whether so many seconds are left, too.

        No more than :data:`REFRESH_AT` of its whole life is asked for: where tokens are shorter than the minimum, every
        one would be old from the start, and each of a fleet's workers would exchange again.
        """
        enough = self.expires - now >= min(minimum_life, REFRESH_AT * self.lifetime)
        return self.usable(now) and now < self.obtained + REFRESH_AT * self.lifetime and enough


def is_jwt(text: str) -> bool:
    """Whether a text has the form of a bearer token: three base64url parts, the first of which is a JSON header."""
    return bool(_JWT.fullmatch(text)) and text.startswith("eyJ")


def claims(token: str) -> dict[str, Any]:
    """The claims of a JWT, its signature unchecked (that is IBM's part); empty where it cannot be read."""
    try:
        part = token.split(".")[1]
        data = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return data if isinstance(data, dict) else {}


def from_reply(reply: dict[str, Any], now: float) -> Token:
    """A token from IAM's answer. The life is the shortest that the answer and the JWT speak of.

    Raises ValueError where the answer holds no token or no lifetime.
    """
    value = reply.get("access_token")
    if not isinstance(value, str) or not value:
        raise ValueError("no access_token")
    body = claims(value)
    lifetimes: list[Any] = [reply.get("expires_in")]
    if _number(body.get("exp")) and _number(body.get("iat")):
        lifetimes.append(body["exp"] - body["iat"])
    known = [float(life) for life in lifetimes if _number(life) and life > 0]
    if not known:
        raise ValueError("no lifetime: neither expires_in nor the claims exp and iat")
    return Token(value, now, min(known))


def from_value(value: str, now: float) -> Token:
    """A token that somebody else obtained. Its life is known only from its claims; without them an hour is assumed."""
    body = claims(value)
    if _number(body.get("exp")):
        # obtained now as far as this machine knows: what is left of its life is what counts
        return Token(value, now, float(body["exp"]) - now)
    return Token(value, now, 3600.0)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
