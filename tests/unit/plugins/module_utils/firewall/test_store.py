# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import store
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import FirewallError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resolve import Answer

DAY = 86400


def test_addresses_stay_for_their_lifetime_after_they_were_last_seen() -> None:
    state = store.State()
    state.learn({"a": Answer(("192.0.2.1",))}, DAY, now=1000)
    state.learn({"a": Answer(("192.0.2.2",))}, DAY, now=2000)
    assert state.addresses["a"] == {"192.0.2.1": 1000, "192.0.2.2": 2000}
    state.learn({"a": Answer(("192.0.2.2",))}, DAY, now=1000 + DAY)
    assert state.addresses["a"] == {"192.0.2.2": 1000 + DAY}


def test_a_name_without_an_answer_keeps_all_it_has_however_old() -> None:
    state = store.State()
    state.learn({"a": Answer(("192.0.2.1",)), "b": Answer((), "no such name")}, DAY, now=0)
    state.learn({"a": Answer((), "no DNS"), "b": Answer((), "no DNS")}, DAY, now=1000 * DAY)
    assert state.addresses == {"a": {"192.0.2.1": 0}, "b": {}}


def test_state_survives_its_file_and_an_unreadable_one_counts_as_none(tmp_path: Path) -> None:
    layout = store.Layout(str(tmp_path))
    state = store.State()
    state.learn({"a": Answer(("192.0.2.1",))}, DAY, now=5)
    state.fingerprint, state.dns_servers, state.activated = "f", ["192.0.2.53"], True
    state.save(layout)
    assert vars(store.State.load(layout)) == vars(state)
    for text in ("", "{", "[]", '{"addresses": 3}', '{"dns_servers": 3}'):
        Path(layout.state).write_text(text)
        assert vars(store.State.load(layout)) == vars(store.State())


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"mode": "enforce"}', '{"destinations": 3}'])
def test_an_unreadable_policy_counts_as_none(tmp_path: Path, text: str) -> None:
    layout = store.Layout(str(tmp_path))
    store.write(layout.policy, text.encode())
    assert store.read_policy(layout) is None


def test_writing_replaces_whatever_is_there(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "er" / "file")
    umask = os.umask(0o077)
    try:
        store.write(path, b"one")
    finally:
        os.umask(umask)
    assert store.read(path) == b"one" and os.stat(path).st_mode & 0o777 == 0o644
    Path(path + ".new").write_text("left by a killed run")
    store.write(path, store.Link("/elsewhere"))
    assert store.read(path) == store.Link("/elsewhere")
    store.write(path, b"two")
    assert store.read(path) == b"two" and os.listdir(os.path.dirname(path)) == ["file"]


def test_a_temporary_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    os.symlink(victim, tmp_path / "file.new")
    store.write(str(tmp_path / "file"), b"ours")
    assert victim.read_text() == "mine"


def test_only_empty_directories_are_removed(tmp_path: Path) -> None:
    paths = [str(tmp_path / "a/b/c/file"), str(tmp_path / "a/x/file")]
    for path in paths:
        store.write(path, b"")
    store.remove(paths[0])
    store.prune(str(tmp_path / name) for name in ("a", "a/b", "a/b/c", "a/x", "never"))
    assert os.listdir(tmp_path / "a") == ["x"]


def test_the_lock_is_held_by_one_and_waited_for(tmp_path: Path) -> None:
    layout = store.Layout(str(tmp_path))
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with store.locked(layout, 1):
            inside.set()
            leave.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(30)
    with pytest.raises(FirewallError, match="another run has held") as caught, store.locked(layout, 0.1):
        raise AssertionError("two held the lock")
    assert caught.value.reason == "locked"
    leave.set()
    with store.locked(layout, 30):
        pass
    holder.join(30)


def test_a_lock_removed_by_its_holder_is_not_taken(tmp_path: Path) -> None:
    layout = store.Layout(str(tmp_path))
    with store.locked(layout, 1):
        store.remove(layout.lock)
        with store.locked(layout, 1):  # another file, so another lock
            assert os.path.exists(layout.lock)
