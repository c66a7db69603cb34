# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _session_names
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._session_names import Entry, Intent, Names
from ansible_collections.ibm_quantum.platform.plugins.module_utils._sessions import Sessions, resolve
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.sessions import (
    CLOSED,
    ID,
    NAME,
    OTHER_ID,
    THIRD_ID,
    read,
    session,
    tagged,
)
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import API_KEY, CRN, CRN_DE, RUNTIME, Module

INTENT = Intent("batch", "ibm_fez", 1.5, [OTHER_ID])


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def client():
    return Client(Module(argument_spec(), api_key=API_KEY, instance=CRN, retries=0))


def names(name=NAME, instance=CRN):
    return Names(RUNTIME, instance, name)


# What the module job asks


def test_resolve_from_the_note(ibm):
    ibm.exchange()
    names().write(Entry(ID))
    read(ibm, session())
    assert resolve(client(), NAME) == ID


def test_resolve_from_the_tag(ibm):
    ibm.exchange()
    tagged(ibm, OTHER_ID)
    read(ibm, session(OTHER_ID, state="inactive"))
    assert resolve(client(), NAME) == OTHER_ID
    assert not names().path.exists()


@pytest.mark.parametrize(
    "found, text",
    [
        (None, "there is none"),
        (session(**CLOSED), f"{ID} is closed"),
        (session(accepting_jobs=False), f"{ID} accepts no jobs"),
    ],
)
def test_resolve_none_that_takes_jobs(ibm, found, text):
    ibm.exchange()
    names().write(Entry(ID))
    read(ibm, found)
    if not found or found["state"] == "closed":
        tagged(ibm)
    with pytest.raises(OptionError, match=f"{text}. The module session with 'state: open' and this 'name' opens one"):
        resolve(client(), NAME)


def test_get(ibm):
    ibm.exchange()
    read(ibm, session())
    assert Sessions(client()).get(ID)["backend_name"] == "ibm_fez"
    ibm.runtime("GET", "/v1/sessions/a%2Fb", reply=session())
    Sessions(client()).get("a/b")
    read(ibm, None)
    with pytest.raises(OptionError, match=f"the instance has no session {ID}"):
        Sessions(client()).get(ID)


def test_only_the_newest_sessions_of_a_tag_are_looked_at(ibm):
    ibm.exchange()
    tagged(ibm, OTHER_ID, THIRD_ID, OTHER_ID, ID, "of-long-ago")
    for one in (OTHER_ID, THIRD_ID, ID):
        read(ibm, session(one, **CLOSED))
    assert Sessions(client()).find(NAME) == session(OTHER_ID, **CLOSED)


def test_the_note_is_the_last_word_on_what_is_closed(ibm):
    ibm.exchange()
    names().write(Entry(ID))
    read(ibm, session(**CLOSED))
    tagged(ibm, OTHER_ID, ID)
    read(ibm, session(OTHER_ID, **CLOSED))
    assert Sessions(client()).find(NAME) == session(**CLOSED)


# The files


def test_written_and_read():
    assert names().read() == Entry()
    for entry in (Entry(intent=INTENT), Entry(ID, 60), Entry(ID, None, INTENT)):
        names().write(entry)
        assert names().read() == entry
    assert names("weekly").read() == Entry() == names(instance=CRN_DE).read()
    assert [path.suffix for path in names().directory.iterdir()] == [".json"]


def test_others():
    assert names().others() == set()
    names().write(Entry(ID))
    names("weekly").write(Entry(OTHER_ID))
    names("new").write(Entry(intent=INTENT))
    (names().directory / "x.json").write_text("{")
    assert names().others() == {OTHER_ID}
    assert names("new").others() == {ID, OTHER_ID}


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_the_default_folder(monkeypatch, value):
    monkeypatch.setenv("XDG_STATE_HOME", value)
    assert names().directory == Path.home() / ".local" / "state" / "ibm_quantum" / "sessions"
    names().write(Entry(ID))
    assert (Path.home() / ".local").stat().st_mode & 0o777 == 0o700


def test_made_by_another_task_at_the_same_time(monkeypatch):
    mkdir = _session_names._files.mkdir

    def raced(path, mode):
        os.mkdir(path)
        mkdir(path, mode)

    monkeypatch.setattr(_session_names._files, "mkdir", raced)
    names().write(Entry(ID))
    assert names().read().id == ID


@pytest.mark.parametrize("content", ["", "[1]", "{}", json.dumps({"id": ID, "max_ttl": 1, "intent": {"x": 1}})])
def test_something_else_is_there(content):
    names().write(Entry(ID))
    names().path.write_text(content)
    with pytest.raises(OptionError, match="does not hold the name of a session: remove it"):
        names().read()


def test_a_folder_that_cannot_be_used(state):
    state.write_text("")
    with pytest.raises(OptionError, match="cannot be used .*: point XDG_STATE_HOME to a folder of your own"):
        names().write(Entry(ID))
    state.unlink()
    names().write(Entry(ID))
    names().path.unlink()
    names().path.symlink_to("elsewhere")
    with pytest.raises(OptionError, match="is a symbolic link"):
        names().read()
