# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Fields of IBM's answers and requests that hold secrets, by name.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any

#: Lower-case, without underscores and dashes. Sources: IAM identity and token operations, Resource Controller keys.
SECRET_FIELDS = frozenset(
    {"apikey", "accesstoken", "refreshtoken", "delegatedrefreshtoken", "crtoken", "password", "secret", "token"}
    | {"clientsecret", "passcode", "secretaccesskey", "iamapikey", "authorization", "cookie"}
)

MASK = "********"


def holds_secret(value: Any) -> bool:
    """Whether a decoded JSON value has a secret anywhere in it."""
    if isinstance(value, dict):
        return any(_is_secret(name, item) or holds_secret(item) for name, item in value.items())
    return isinstance(value, (list, tuple)) and any(map(holds_secret, value))


def mask(value: Any) -> Any:
    """The value with its secrets replaced."""
    if isinstance(value, dict):
        return {name: MASK if _is_secret(name, item) else mask(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask(item) for item in value]
    return value


def _is_secret(name: Any, value: Any) -> bool:
    plain = str(name).lower().replace("_", "").replace("-", "")
    return plain in SECRET_FIELDS and isinstance(value, str) and bool(value)
