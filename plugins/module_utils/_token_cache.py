# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The token cache: bearer tokens shared by all of Ansible's workers, and by plays, through files.

Ansible forks a worker for each task and host, so memory would not do. One file a credential, directory 0700, file
0600, replaced atomically; who must fetch holds the lock meanwhile, so that N workers cause one exchange. The kernel
frees the lock of a killed holder; who waits too long for a living one goes on without the cache. API keys are never
written: a file's name is a digest.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from ansible_collections.ibm_quantum.platform.plugins.module_utils._token import Token

LOCK_TIMEOUT = 45.0  # seconds to wait for another worker's exchange


class CacheUnavailable(Exception):
    """The cache's directory cannot be used safely; the text says why and what to do."""


def default_directory() -> Path:
    """Memory-backed and gone at logout where the system has such a place, else the user's cache folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK):
        return Path(runtime, "ibm_quantum", "tokens")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "ibm_quantum", "tokens")


def entry_name(*parts: str) -> str:
    """The name of a credential's entry: a digest of all that makes two tokens different."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class TokenCache:
    """Tokens in files below ``directory``, which is made on first use. ``clock`` gives seconds since the epoch."""

    def __init__(self, directory: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.directory = directory or default_directory()
        self._clock = clock

    def get(self, name: str, fetch: Callable[[Token | None], Token], minimum_life: float = 0.0) -> Token:
        """The cached token while it is fresh and has ``minimum_life`` seconds left, else what ``fetch`` returns, called
        by one process at a time.

        ``fetch`` is given the entry that is due for renewal, where there is one. Raises :class:`CacheUnavailable`,
        and whatever ``fetch`` raises.
        """
        token = self._read(name)
        if token and token.fresh(self._clock(), minimum_life):
            return token
        self._prepare()
        with self._lock(name) as locked:
            token = self._read(name)  # the one who held the lock before us may have renewed it
            if token and token.fresh(self._clock(), minimum_life):
                return token
            renewed = fetch(token if token and token.usable(self._clock()) else None)
            if locked and renewed is not token:
                self._write(name, renewed)
            return renewed

    def peek(self, name: str) -> Token | None:
        """The entry as it is, if it can still be sent."""
        token = self._read(name)
        return token if token and token.usable(self._clock()) else None

    def drop(self, name: str, value: str | None = None) -> bool:
        """Forget an entry; with ``value`` only while it still holds that token. Returns whether there was one."""
        if not self._path(name).exists():
            return False
        self._prepare()
        with self._lock(name):
            token = self._read(name)
            if value is not None and (token is None or token.value != value):
                return False
            try:
                self._path(name).unlink()
            except FileNotFoundError:
                return False
            return True

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def _prepare(self) -> None:
        """Make the directory, or refuse one that others could read or have laid for us."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            info = os.lstat(self.directory)
            if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
                raise CacheUnavailable(f"{self.directory} is not a directory of this user: remove it")
            if stat.S_IMODE(info.st_mode) & 0o077:
                os.chmod(self.directory, 0o700)
        except OSError as exc:
            raise CacheUnavailable(f"{self.directory} cannot be used ({exc.strerror})") from None

    def _read(self, name: str) -> Token | None:
        """An entry; None where there is none, it is torn, or it is not this user's alone."""
        try:
            descriptor = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        with os.fdopen(descriptor) as file:
            info = os.fstat(file.fileno())
            if info.st_uid != os.geteuid() or stat.S_IMODE(info.st_mode) & 0o077:
                return None
            try:
                data = json.load(file)
                return Token(str(data["value"]), float(data["obtained"]), float(data["lifetime"]))
            except (ValueError, KeyError, TypeError):
                return None

    def _write(self, name: str, token: Token) -> None:
        try:
            descriptor, temporary = tempfile.mkstemp(dir=self.directory, prefix=f".{name[:8]}-")  # made with mode 0600
            try:
                with os.fdopen(descriptor, "w") as file:
                    json.dump(token._asdict(), file)
                os.replace(temporary, self._path(name))
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as exc:  # such as a full disk
            raise CacheUnavailable(f"{self.directory} cannot be used ({exc.strerror})") from None

    @contextmanager
    def _lock(self, name: str) -> Iterator[bool]:
        """Hold an entry's lock; yields False where it was not to be had in time."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self.directory / f"{name}.lock", flags, 0o600)
        except OSError as exc:
            raise CacheUnavailable(f"{self.directory} cannot be used ({exc.strerror})") from None
        try:
            yield self._acquire(descriptor)
        finally:
            os.close(descriptor)  # frees the lock

    @staticmethod
    def _acquire(descriptor: int) -> bool:
        deadline = time.monotonic() + LOCK_TIMEOUT
        pause = 0.005
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
            else:
                return True
            time.sleep(pause)
            pause = min(0.1, pause * 1.5)
