# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The names of sessions, which IBM does not have: a small file of the user for each, on the machine that calls IBM.

It holds the ID of the session, and before a session is made, what there was already: so the next run after one that was
killed can tell the session that nobody knows yet. A name belongs to one instance at one URL.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _files
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token_cache import entry_name


class Intent(NamedTuple):
    """A session is about to be made: of this mode (IBM's word for a workload) and backend, at a time of this machine.

    ``known`` are the IDs that such sessions had before.
    """

    mode: str
    backend: str
    at: float
    known: list[str]


class Entry(NamedTuple):
    """What is known of a name. ``max_ttl`` is what was asked for, of which IBM may have given less."""

    id: str | None = None
    max_ttl: int | None = None
    intent: Intent | None = None


class Names:
    """The file of one name. All methods raise OptionError where it cannot be used."""

    def __init__(self, url: str, instance: str, name: str) -> None:
        self._whole = {"url": url, "instance": instance, "name": name}
        self.directory = default_directory()
        self.path = self.directory / f"{entry_name(url, instance, name)}.json"

    def read(self) -> Entry:
        data = self._read(self.path)
        if data is None:
            return Entry()
        try:
            intent = Intent(**data["intent"]) if data["intent"] else None
            return Entry(data["id"], data["max_ttl"], intent)
        except (KeyError, TypeError):
            raise _broken(self.path) from None

    def write(self, entry: Entry) -> None:
        intent = entry.intent._asdict() if entry.intent else None
        data = {**self._whole, "id": entry.id, "max_ttl": entry.max_ttl, "intent": intent}
        with _usable(self.path):
            _make(self.directory)
            old = _files.read(str(self.path))
            content = json.dumps(data, indent=1).encode()
            _files.write(str(self.path), old, _files.File(content, 0o600, os.geteuid(), -1))

    def others(self) -> set[str]:
        """The IDs of the sessions that have other names here."""
        found = set()
        for path in self.directory.glob("*.json"):
            with contextlib.suppress(OptionError):
                data = self._read(path)
                if path != self.path and data and data.get("id"):
                    found.add(str(data["id"]))
        return found

    def _read(self, path: Path) -> dict[str, Any] | None:
        with _usable(path):
            file = _files.read(str(path))
        if file is None:
            return None
        try:
            data = json.loads(file.content)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise _broken(path)
        return data


def default_directory() -> Path:
    """Below the user's folder for what is to survive a restart (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return Path(base if os.path.isabs(base) else Path.home() / ".local" / "state", "ibm_quantum", "sessions")


def _make(directory: Path) -> None:
    for path in [*reversed(directory.parents), directory]:
        if not path.is_dir():
            with contextlib.suppress(FileExistsError):  # another task was faster
                _files.mkdir(str(path), 0o700)


def _broken(path: Path) -> OptionError:
    return OptionError(f"{path} does not hold the name of a session: remove it")


@contextlib.contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise OptionError(
            f"{path} cannot be used ({exc.strerror}), and the name of a session is kept there: point XDG_STATE_HOME to "
            "a folder of your own"
        ) from None
    except _files.Refused as exc:
        raise OptionError(str(exc)) from None
