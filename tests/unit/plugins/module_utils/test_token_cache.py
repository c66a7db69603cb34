# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _token_cache
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token import Token
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token_cache import (
    CacheUnavailable,
    TokenCache,
    default_directory,
    entry_name,
)
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY

NAME = entry_name("https://iam.test", "apikey", API_KEY)
FORK = multiprocessing.get_context("fork")
NOW = 1_800_000_000.0


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class Fetch:
    """An exchange that counts; its tokens are numbered and live an hour."""

    def __init__(self, clock):
        self.clock = clock
        self.olds = []

    def __call__(self, old):
        self.olds.append(old and old.value)
        return Token(f"token-{len(self.olds)}", self.clock(), 3600.0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def fetch(clock):
    return Fetch(clock)


@pytest.fixture
def cache(tokens, clock):
    return TokenCache(tokens, clock)


def forbidden(_old):
    raise AssertionError("an exchange was made")


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


# -- one process


def test_a_token_is_fetched_once_and_read_by_others(cache, tokens, clock, fetch):
    first = cache.get(NAME, fetch)
    assert cache.get(NAME, forbidden) == first
    assert TokenCache(tokens, clock).get(NAME, forbidden) == first
    assert cache.peek(NAME) == first


def test_only_this_user_can_read_it(cache, tokens, fetch):
    old = os.umask(0)
    try:
        cache.get(NAME, fetch)
    finally:
        os.umask(old)
    assert mode(tokens) == 0o700
    assert {mode(path) for path in tokens.iterdir()} == {0o600}


def test_the_api_key_is_nowhere_in_it(cache, tokens, fetch):
    cache.get(NAME, fetch)
    files = sorted(tokens.iterdir())
    assert [path.name for path in files] == [f"{NAME}.json", f"{NAME}.lock"]
    assert b"token-1" in files[0].read_bytes()  # the search below could have found something
    assert not any(API_KEY in path.name or API_KEY.encode() in path.read_bytes() for path in files)


def test_another_credential_has_another_entry(cache, fetch):
    parts = [
        ("https://iam.test", "apikey", "a"),
        ("https://iam.test", "apikey", "b"),
        ("https://iam.two", "apikey", "a"),
    ]
    assert len({entry_name(*part) for part in [*parts, ("https://iam", "apik", "eya")]}) == 4
    assert [cache.get(entry_name(*part), fetch).value for part in parts] == ["token-1", "token-2", "token-3"]


@pytest.mark.parametrize(
    "age, value, old",
    [
        (2879, "token-1", []),
        (2880, "token-2", ["token-1"]),  # 80 % of its life
        (3595, "token-2", [None]),  # too near to its end to go on serving
        (-60, "token-2", [None]),  # the clock was set back
    ],
)
def test_renewal(cache, clock, fetch, age, value, old):
    cache.get(NAME, fetch)
    clock.now += age
    assert cache.get(NAME, fetch).value == value
    assert fetch.olds[1:] == old
    assert cache.get(NAME, forbidden).value == value


def test_an_old_token_that_is_kept_is_not_written_again(cache, tokens, clock, fetch):
    first = cache.get(NAME, fetch)
    before = (tokens / f"{NAME}.json").stat()
    clock.now += 3000
    assert cache.get(NAME, lambda old: old) == first
    after = (tokens / f"{NAME}.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_failed_exchange_writes_nothing_and_frees_the_lock(cache, tokens, fetch):
    def fails(_old):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.get(NAME, fails)
    assert not (tokens / f"{NAME}.json").exists()
    assert cache.get(NAME, fetch).value == "token-1"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"value": "ey',
        b"[]",
        b"7",
        b'{"value": "x"}',
        b'{"value": "x", "obtained": null, "lifetime": 1}',
        b'{"value": "x", "obtained": NaN, "lifetime": 3600}',
        b"\xff\xfe\x00",
    ],
)
def test_a_torn_file_is_ignored_and_replaced(cache, tokens, fetch, content):
    tokens.mkdir(mode=0o700, parents=True)
    path = tokens / f"{NAME}.json"
    path.write_bytes(content)
    path.chmod(0o600)
    assert cache.peek(NAME) is None
    assert cache.get(NAME, fetch) == cache.get(NAME, forbidden)


def _readable_by_group(path, _monkeypatch):
    path.chmod(0o640)


def _a_symlink(path, _monkeypatch):
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def _of_another_user(path, monkeypatch):
    real, inode = os.fstat, path.stat().st_ino

    def fstat(descriptor):
        info = real(descriptor)
        if info.st_ino != inode:
            return info
        return os.stat_result([*info[:4], os.geteuid() + 1, *info[5:10]])

    monkeypatch.setattr(_token_cache.os, "fstat", fstat)


@pytest.mark.parametrize("spoil", [_readable_by_group, _a_symlink, _of_another_user])
def test_a_file_that_is_not_ours_alone_is_ignored_and_replaced(cache, tokens, fetch, monkeypatch, spoil):
    cache.get(NAME, fetch)
    spoil(tokens / f"{NAME}.json", monkeypatch)
    assert cache.peek(NAME) is None
    assert cache.get(NAME, fetch).value == "token-2"
    monkeypatch.undo()
    assert cache.get(NAME, forbidden).value == "token-2"
    assert mode(tokens / f"{NAME}.json") == 0o600


def test_a_directory_that_others_can_read_is_closed(cache, tokens, fetch):
    tokens.mkdir(parents=True)
    tokens.chmod(0o755)
    cache.get(NAME, fetch)
    assert mode(tokens) == 0o700


def _symlink_in_its_place(tokens, _monkeypatch):
    (tokens.parent / "trap").mkdir(parents=True)
    tokens.symlink_to(tokens.parent / "trap")


def _file_in_its_place(tokens, _monkeypatch):
    tokens.parent.mkdir(parents=True)
    tokens.write_text("")


def _directory_of_another(tokens, monkeypatch):
    tokens.mkdir(parents=True)
    monkeypatch.setattr(_token_cache.os, "geteuid", lambda: os.stat(tokens).st_uid + 1)


def _no_room(_tokens, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_token_cache.tempfile, "mkstemp", full)


@pytest.mark.parametrize("spoil", [_symlink_in_its_place, _file_in_its_place, _directory_of_another, _no_room])
def test_a_directory_that_cannot_be_used_is_refused(cache, tokens, fetch, monkeypatch, spoil):
    spoil(tokens, monkeypatch)
    with pytest.raises(CacheUnavailable, match=str(tokens)):
        cache.get(NAME, fetch)
    if (tokens.parent / "trap").exists():
        assert not list((tokens.parent / "trap").iterdir())


def test_drop_only_what_was_refused(cache, fetch):
    cache.get(NAME, fetch)
    assert cache.drop(NAME, "token-0") is False  # another worker has renewed it already
    assert cache.get(NAME, forbidden).value == "token-1"
    assert cache.drop(NAME, "token-1") is True
    assert cache.peek(NAME) is None
    assert cache.drop(NAME, "token-1") is False
    cache.get(NAME, fetch)
    assert cache.drop(NAME) is True and cache.drop(NAME) is False


@pytest.mark.parametrize("writable", [True, False])
def test_where_it_is(tmp_path, monkeypatch, writable):
    monkeypatch.setattr(_token_cache.os, "access", lambda *_: writable)
    cache_home = tmp_path / "home" / ".cache"
    base = tmp_path / "run" if writable else cache_home
    assert default_directory() == base / "ibm_quantum" / "tokens"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert default_directory() == cache_home / "ibm_quantum" / "tokens"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "ibm_quantum" / "tokens"


# -- many processes


def spawn(target, *args):
    process = FORK.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def test_processes_that_start_together_make_one_exchange(tokens, tmp_path):
    together, exchanges, answers = FORK.Barrier(20), tmp_path / "exchanges", FORK.SimpleQueue()

    def fetch(_old):
        with open(exchanges, "a") as file:
            file.write("x")
        return Token(f"token of {os.getpid()}", time.time(), 3600.0)

    def worker():
        together.wait(30)
        answers.put(TokenCache(tokens).get(NAME, fetch).value)

    workers = [spawn(worker) for _turn in range(20)]
    values = {answers.get() for _turn in workers}
    for process in workers:
        process.join(30)
    assert exchanges.read_text() == "x"
    assert len(values) == 1
    assert {path.suffix for path in tokens.iterdir()} == {".json", ".lock"}  # nothing half-written stays


@pytest.fixture
def holder(tokens):
    """A process that holds the lock, in an exchange that never ends."""
    reached = FORK.Event()

    def fetch(_old):
        reached.set()
        signal.pause()

    process = spawn(lambda: TokenCache(tokens).get(NAME, fetch))
    assert reached.wait(30)
    yield process
    process.kill()
    process.join(30)


def test_a_killed_holder_blocks_nobody(holder, cache, fetch, monkeypatch):
    monkeypatch.setattr(_token_cache, "LOCK_TIMEOUT", 30.0)
    holder.kill()
    holder.join(30)
    assert cache.get(NAME, fetch).value == "token-1"
    assert cache.get(NAME, forbidden).value == "token-1"  # written, so the lock was had


def test_a_holder_that_hangs_is_not_waited_for_for_ever(holder, cache, tokens, fetch, monkeypatch):
    monkeypatch.setattr(_token_cache, "LOCK_TIMEOUT", 0.02)
    assert cache.get(NAME, fetch).value == "token-1"
    assert holder.is_alive()
    assert not (tokens / f"{NAME}.json").exists()  # who does not hold the lock does not write


def test_an_entry_locked_by_one_credential_leaves_others_free(holder, cache, fetch):
    assert cache.get(entry_name("another"), fetch).value == "token-1"
    assert holder.is_alive()


def test_the_lock_does_not_follow_a_symlink(cache, tokens, tmp_path, fetch):
    tokens.mkdir(mode=0o700, parents=True)
    target = Path(tmp_path, "target")
    (tokens / f"{NAME}.lock").symlink_to(target)
    with pytest.raises(CacheUnavailable):
        cache.get(NAME, fetch)
    assert not target.exists()
