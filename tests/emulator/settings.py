# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test may set while the emulator runs; every wrong name or value is refused with the known ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


class InvalidSetting(ValueError):
    """The text names the setting and what it takes."""


@dataclass
class Settings:
    """The values at the start, and after a reset."""

    token_lifetime: int = 3600  # seconds; IBM's accounts allow 900 to 3600, tests need less
    token_delay: float = 0.0  # seconds before the token endpoint answers
    delay: float = 0.0  # seconds before anything else answers
    page_size: int = 100  # the most rows that a page of a list has, whatever the client asks for
    restrict_create_platform_apikey: bool = False  # the account's setting: nobody but privileged users makes keys
    backends: dict[str, dict[str, Any]] = field(default_factory=dict)  # name -> status, reason, queue_length
    usage: dict[str, int] = field(default_factory=dict)  # CRN -> seconds consumed
    queue_seconds: float = 0.0  # how long a job waits before it may run, by the emulator's clock; asked at submission
    run_seconds: float = 0.0  # how long it then runs, likewise
    hold: bool = False  # no job starts
    qpu_seconds: int | None = None  # what a job is charged; null: reckoned from its shots
    billing_seconds: float = 0.0  # how long after its end a job's usage is still pending
    interactive_ttl: int = 60  # seconds without a job after which a session is inactive
    jobs_per_minute: int = 0  # the rate limit of submissions of a user (IBM: 5); 0 for none
    max_pending: int = 0  # the most jobs of a user that wait or run; 0 for no limit
    native_circuits: bool = True  # a circuit that was not transpiled for its backend fails, as at IBM
    engine: str = "auto"  # builtin: the simulator that needs no Aer, also where a worker is installed

    def update(self, changes: Any) -> None:
        """Take some settings. Raises :class:`InvalidSetting`, and then takes none."""
        known = asdict(self)
        if not isinstance(changes, dict):
            raise InvalidSetting("settings are a JSON object")
        for name, value in changes.items():
            if name not in known:
                raise InvalidSetting(f"unknown setting {name!r}: there are {', '.join(known)}")
            _CHECKS[name](name, value)
        for name, value in changes.items():
            current = getattr(self, name)
            setattr(self, name, {**current, **value} if isinstance(current, dict) else value)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _whole(low: int, high: int) -> Any:
    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidSetting(f"{name} must be a whole number from {low} to {high}, not {value!r}")

    return check


def _seconds(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 600:
        raise InvalidSetting(f"{name} must be a number of seconds from 0 to 600, not {value!r}")


def _duration(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 31536000:
        raise InvalidSetting(f"{name} must be a number of seconds, up to a year, not {value!r}")


def _qpu_seconds(name: str, value: Any) -> None:
    if value is not None:
        _whole(0, 1000000)(name, value)


def _engine(name: str, value: Any) -> None:
    if value not in ("auto", "builtin"):
        raise InvalidSetting(f"{name} is auto or builtin, not {value!r}")


def _switch(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise InvalidSetting(f"{name} must be true or false, not {value!r}")


def _backends(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise InvalidSetting(f"{name} is an object: backend name -> changes")
    for backend, changes in value.items():
        if not isinstance(changes, dict) or not set(changes) <= {"status", "reason", "queue_length"}:
            raise InvalidSetting(f"{name}.{backend} takes status, reason and queue_length")
        if changes.get("status", "online") not in ("online", "paused", "offline"):
            raise InvalidSetting(f"{name}.{backend}.status is online, paused or offline")
        _whole(0, 2147483647)(f"{name}.{backend}.queue_length", changes.get("queue_length", 0))


def _usage(name: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise InvalidSetting(f"{name} is an object: CRN -> seconds consumed")
    for instance, seconds in value.items():
        _whole(0, 2147483647)(f"{name}.{instance}", seconds)


_CHECKS = {
    "token_lifetime": _whole(1, 3600),
    "token_delay": _seconds,
    "delay": _seconds,
    "page_size": _whole(1, 1000),
    "restrict_create_platform_apikey": _switch,
    "backends": _backends,
    "usage": _usage,
    "queue_seconds": _duration,
    "run_seconds": _duration,
    "hold": _switch,
    "qpu_seconds": _qpu_seconds,
    "billing_seconds": _duration,
    "interactive_ttl": _whole(1, 86400),
    "jobs_per_minute": _whole(0, 10000),
    "max_pending": _whole(0, 10000),
    "native_circuits": _switch,
    "engine": _engine,
}
