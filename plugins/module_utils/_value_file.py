# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The file that holds the value of an API key: written before the key exists, so that no kill makes a key unknown.

A new value is first in ``PATH.new``; once IAM has the key, the file gets its name. So ``PATH`` always was a key, and
``PATH.new`` tells a run that was interrupted, where IAM may know the value or not.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import Iterator

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError

#: IBM takes own values of 32 characters and more; its own have 44.
SHORTEST = 32


def new_value() -> str:
    """A value for an API key, of the form of IBM's own: 44 characters, safe in URLs, never like a command's option."""
    while True:
        value = secrets.token_urlsafe(33)
        if value[0].isalnum():
            return value


class ValueFile:
    """One file. All methods raise OptionError where the file cannot be used, or is open to others."""

    def __init__(self, path: str) -> None:
        if not os.path.isabs(path):
            raise OptionError(f"'value_file' must be an absolute path, not {path!r}: it would depend on the directory")
        self.path = path
        self.pending_path = path + ".new"

    def value(self) -> str | None:
        """The value, or None where there is no file."""
        text = _read(self.path)
        if text is None:
            return None
        value = text.strip()
        if len(value) < SHORTEST or not value.isascii() or not value.isprintable() or " " in value:
            raise OptionError(
                f"'value_file': {self.path} holds something else than an API key: give another path, or remove the file"
            )
        return value

    def pending_value(self) -> str | None:
        """The value of an interrupted run, or None. One that was not written to its end has not been sent either."""
        text = _read(self.pending_path)
        return text.strip() if text and text.endswith("\n") and len(text) > SHORTEST else None

    def prepare(self, value: str) -> None:
        """Write a value that is about to be sent."""
        with self._usable():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.pending_path)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(self.pending_path, flags, 0o600), "w", encoding="ascii") as stream:
                stream.write(value + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            self._sync()

    def keep(self) -> None:
        """IAM has the key: the file gets its name."""
        with self._usable():
            os.rename(self.pending_path, self.path)
            self._sync()

    def discard(self) -> None:
        """IAM refused the key: its value is of no use."""
        with self._usable(), contextlib.suppress(FileNotFoundError):
            os.unlink(self.pending_path)

    def remove(self) -> bool:
        """Remove what there is. Returns whether there was anything."""
        found = False
        with self._usable():
            for path in (self.pending_path, self.path):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                    found = True
        return found

    @property
    def exists(self) -> bool:
        """Whether there is anything to remove."""
        return os.path.lexists(self.path) or os.path.lexists(self.pending_path)

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise OptionError(f"'value_file': {self.path} cannot be written ({exc.strerror})") from None

    def _sync(self) -> None:
        """What is in the directory survives a power loss, too."""
        descriptor = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise OptionError(f"'value_file': {path} cannot be read ({exc.strerror})") from None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise OptionError(f"'value_file': {path} is no regular file: give another path")
        if info.st_uid != os.geteuid() or stat.S_IMODE(info.st_mode) & 0o077:
            raise OptionError(
                f"'value_file': {path} is not this user's alone (owner {info.st_uid}, mode "
                f"{stat.S_IMODE(info.st_mode):04o}): others may know the key, so delete the key and the file; or, if "
                "nobody could have read it, give it to this user with mode 0600"
            )
        return os.read(descriptor, 4096).decode("ascii", "replace")
    finally:
        os.close(descriptor)
