# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Times as options: any form of ISO 8601, turned into IBM's.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._identity import moment


def ibm_time(option: str, text: str) -> str:
    """A date or time as the Runtime API takes it, ``2026-11-22T10:15:00.000Z``. Raises OptionError.

    Without an offset it is UTC; a date is its first moment.
    """
    try:
        when = moment(text)
    except OptionError:
        raise OptionError(
            f"{option!r} must be a date or time of ISO 8601, such as 2026-11-22 or 2026-11-22T10:15:00Z, not {text!r}"
        ) from None
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ibm_interval(options: Mapping[str, Any], first: str, last: str) -> dict[str, str | None]:
    """Two options that bound a time, None where they are not set. Raises OptionError, also where nothing is between."""
    found = {name: None if options[name] is None else ibm_time(name, options[name]) for name in (first, last)}
    start, end = found[first], found[last]
    if start and end and start >= end:
        raise OptionError(f"{first!r} must be before {last!r}: nothing is between {start} and {end}")
    return found
