# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is saved is what was asked for, what others saved is kept, and what was there before comes back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _account
from ansible_collections.ibm_quantum.platform.plugins.module_utils._account import (
    CHANNELS,
    account_file,
    declared,
    managed_names,
    secret_values,
    settle,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import Refused
from ansible_collections.ibm_quantum.platform.plugins.modules.account import ARGUMENT_SPEC

KEY = "Kq7w-an-api-key-of-44-characters-Zz0123456789"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123:4567::"
NAME = "default-ibm-quantum-platform"
THEIRS = {"channel": "ibm_quantum_platform", "token": "their-own-key", "url": "https://cloud.ibm.com"}


def row(**given: Any) -> dict[str, Any]:
    """An element of the option ``accounts`` as Ansible hands it over."""
    spec = ARGUMENT_SPEC["accounts"]["options"]
    defaults = {name: option.get("default") for name, option in spec.items()}
    return {**defaults, "token": KEY, **given}


def wanted(*rows: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return declared({"state": "present", "accounts": list(rows)})


class User:
    """A home; the client of this user is imitated by writing what it writes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / ".qiskit"
        self.path = self.folder / "qiskit-ibm.json"
        self.record = self.folder / ".ibm_quantum.json"

    def put(self, *rows: dict[str, Any], overwrite: bool = False, check: bool = False) -> dict[str, Any]:
        return settle(wanted(*rows), overwrite, check)

    def take_off(self, check: bool = False) -> dict[str, Any]:
        return settle({}, False, check)

    def save(self, accounts: dict[str, Any], mode: int = 0o644) -> None:
        """As the client does it, with its modes."""
        self.folder.mkdir(mode=0o755, exist_ok=True)
        with open(self.path, "w", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            json.dump(accounts, file, sort_keys=True, indent=4)

    def accounts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    def tree(self) -> dict[str, Any]:
        return {
            str(path.relative_to(self.home)): (oct(path.lstat().st_mode), path.read_bytes() if path.is_file() else None)
            for path in sorted(self.home.rglob("*"))
        }


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    home = tmp_path / "alice"
    home.mkdir(mode=0o755)
    monkeypatch.setenv("HOME", str(home))
    umask = os.umask(0o022)  # the modes of what is written must not depend on it
    yield User(home)
    os.umask(umask)


# What is asked for


def test_the_shortest_account() -> None:
    assert wanted(row()) == {
        NAME: {
            "channel": "ibm_quantum_platform",
            "private_endpoint": False,
            "token": KEY,
            "url": "https://cloud.ibm.com",
        }
    }


def test_the_longest_account() -> None:
    proxies = {"urls": {"https": "http://u:p@proxy:3128"}, "username_ntlm": "u", "password_ntlm": "p"}
    given = {
        "channel": "ibm_cloud",
        "instance": CRN,
        "plans_preference": ["open", "premium"],
        "private_endpoint": True,
        "proxies": proxies,
        "region": "eu-de",
        "tags": ["services"],
        "url": "https://cloud.example.com",
        "verify": False,
    }
    assert wanted(row(name="work", default=True, **given)) == {
        "work": {**given, "token": KEY, "is_default_account": True}
    }


def test_names_that_the_client_gives() -> None:
    assert list(wanted(row(), row(channel="ibm_cloud"))) == list(CHANNELS.values())


@pytest.mark.parametrize("proxies", [{}, {"urls": None, "username_ntlm": None, "password_ntlm": None}, {"urls": {}}])
def test_no_proxies(proxies: dict[str, Any]) -> None:
    assert wanted(row(proxies=proxies)) == wanted(row())


def test_absent_asks_for_nothing() -> None:
    assert declared({"state": "absent", "accounts": [row(token="")]}) == {}
    with pytest.raises(OptionError, match="accounts is missing: state=present needs it"):
        declared({"state": "present", "accounts": None})


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"token": ""}, "accounts[0].token is empty"),
        ({"token": "7-chars"}, "accounts[0].token has fewer than 8 characters"),
        ({"token": JWT}, "accounts[0].token is a bearer token"),
        ({"token": f"{KEY}\n"}, "accounts[0].token has white space"),
        ({"token": f"{KEY} {KEY}"}, "accounts[0].token has white space"),
        ({"name": " "}, "accounts[0].name is empty"),
        ({"name": "a\x1b"}, "accounts[0].name has a control character"),
        ({"name": "a "}, "accounts[0].name has a control character, or white space at an end"),
        ({"instance": ""}, "accounts[0].instance is empty"),
        ({"instance": CRN[:-2]}, "accounts[0].instance: the CRN"),
        ({"instance": CRN.replace("us-east", "moon")}, "region 'moon' is unknown"),
        ({"url": "http://cloud.ibm.com"}, "'accounts[0].url' must use https"),
        ({"url": "cloud.ibm.com"}, "'accounts[0].url' must be a URL"),
        ({"url": "https://u:secret@cloud.ibm.com"}, "without user"),
        ({"tags": ["a", ""]}, "accounts[0].tags[1] is empty"),
        ({"plans_preference": [" open"]}, "accounts[0].plans_preference[0] has"),
        ({"proxies": {"username_ntlm": "u"}}, "accounts[0].proxies: username_ntlm and password_ntlm"),
        ({"proxies": {"password_ntlm": "the-secret"}}, "accounts[0].proxies: username_ntlm and password_ntlm"),
        ({"proxies": {"urls": {"https": ["http://u:the-secret@p"]}}}, "accounts[0].proxies.urls: the value of 'https'"),
        ({"proxies": {"urls": {"https": "http://u:the-secret@p\n"}}}, "accounts[0].proxies.urls: the value of 'https'"),
    ],
)
def test_bad_accounts(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        wanted(row(**given))
    assert words in str(caught.value)
    assert KEY not in str(caught.value) and "secret" not in str(caught.value) and JWT not in str(caught.value)


@pytest.mark.parametrize("instance", [CRN, "fleet-us", "auto"])
def test_instances(instance: str) -> None:
    assert wanted(row(instance=instance))[NAME]["instance"] == instance


def test_bad_lists() -> None:
    with pytest.raises(OptionError, match=f"accounts.1..name '{NAME}' is on the list twice"):
        wanted(row(), row(name=NAME))
    with pytest.raises(OptionError, match="'a' and 'b' are both the default"):
        wanted(row(name="a", default=True), row(name="b", default=True))


def test_what_is_secret() -> None:
    proxies = {"urls": {"https": "http://user:password@proxy:3128", "http": "http://proxy:3128"}}
    rows = [row(), row(proxies={**proxies, "password_ntlm": "another-one"}), row(token="short")]
    assert secret_values({"accounts": rows}) == {KEY, "password", "another-one"}
    assert secret_values({"accounts": None}) == set()


# A user who had nothing


def test_from_nothing_and_back(user: User) -> None:
    foretold = user.put(row(default=True), check=True)
    assert foretold["changed"] and user.tree() == {}
    done = user.put(row(default=True))
    assert done["changed_files"] == foretold["changed_files"] == [str(user.folder), str(user.path)]
    assert (done["accounts"], done["others"], done["default"]) == ([NAME], [], NAME)
    assert done["path"] == str(user.path) == account_file(str(user.home))
    assert user.path.read_text() == json.dumps(wanted(row(default=True)), sort_keys=True, indent=4)
    assert {path.name: path.stat().st_mode & 0o777 for path in user.home.rglob("*")} == {
        ".qiskit": 0o700,
        "qiskit-ibm.json": 0o600,
        ".ibm_quantum.json": 0o600,
    }
    assert managed_names(str(user.home)) == [NAME]
    again = user.put(row(default=True))
    assert (again["changed"], again["changed_files"], again["diff"]) == (False, [], [])

    assert user.take_off(check=True)["changed"] and user.path.exists()
    assert user.take_off()["changed"]
    assert user.tree() == {} and managed_names(str(user.home)) == []
    assert not user.take_off()["changed"]


def test_an_empty_list_removes_all(user: User) -> None:
    user.put(row())
    assert user.put()["changed"] and user.tree() == {}
    assert not user.put()["changed"]


def test_what_leaves_the_list_is_removed(user: User) -> None:
    user.put(row(name="a"), row(name="b", default=True))
    user.put(row(name="c"))
    assert list(user.accounts()) == ["c"] and "is_default_account" not in user.accounts()["c"]


def test_drift_is_repaired(user: User) -> None:
    user.put(row(), row(name="b"))
    good = user.tree()
    user.save({NAME: {**THEIRS, "is_default_account": True}})
    user.path.chmod(0o644)
    user.folder.chmod(0o755)
    done = user.put(row(), row(name="b"))
    assert done["changed_files"] == [str(user.folder), str(user.path)] and user.tree() == good
    user.path.unlink()
    assert user.put(row(), row(name="b"))["changed"] and user.tree() == good
    user.record.chmod(0o644)
    assert user.put(row(), row(name="b"))["changed"] and user.tree() == good


def test_the_record_holds_no_values(user: User) -> None:
    user.put(row(instance=CRN))
    text = user.record.read_text()
    assert NAME in text and KEY not in text and CRN not in text


# A user who had something


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o640])
def test_what_the_client_saved_comes_back_byte_for_byte(user: User, mode: int) -> None:
    user.save({"mine": {**THEIRS, "is_default_account": True}, "ü": {**THEIRS, "token": "\ud800"}}, mode)
    before = user.tree()
    done = user.put(row(default=True), row(name="b"))
    assert (done["others"], done["default"]) == (["mine", "ü"], NAME)
    assert user.accounts() == {
        "mine": THEIRS,
        "ü": {**THEIRS, "token": "\ud800"},
        **wanted(row(default=True), row(name="b")),
    }
    assert user.path.stat().st_mode & 0o777 == 0o600 and user.folder.stat().st_mode & 0o777 == 0o700
    assert not user.put(row(default=True), row(name="b"))["changed"]
    user.take_off()
    assert user.tree() == before


def test_an_empty_object_stays(user: User) -> None:
    user.save({})  # the client leaves this when it only looks
    before = user.tree()
    user.put(row())
    user.take_off()
    assert user.tree() == before


def test_other_files_in_the_folder_stay(user: User) -> None:
    user.put(row())
    (user.folder / "settings.conf").write_text("[default]\n")
    user.take_off()
    assert list(user.tree()) == [".qiskit", ".qiskit/settings.conf"]
    user.put(row())
    user.save({**user.accounts(), "mine": THEIRS})
    user.take_off()
    assert user.accounts() == {"mine": THEIRS}


def test_a_file_that_is_right_but_formatted_otherwise_is_left_alone(user: User) -> None:
    user.put(row())
    user.path.write_text(json.dumps(user.accounts()))
    assert not user.put(row())["changed"]


def test_the_default_is_borrowed(user: User) -> None:
    user.save({"mine": {**THEIRS, "is_default_account": True}})
    done = user.put(row(default=True))
    assert '"mine": {\n        "is_default_account": true\n    }' in done["diff"][-1]["before"]
    assert '"mine": {}' in done["diff"][-1]["after"]
    back = user.put(row())
    assert back["default"] == "mine" and user.accounts()["mine"]["is_default_account"]
    assert not user.put(row())["changed"]


def test_the_default_is_not_given_back_where_it_would_be_a_second_one(user: User) -> None:
    user.save({"mine": {**THEIRS, "is_default_account": True}, "new": THEIRS})
    user.put(row(default=True))
    accounts = user.accounts()
    accounts[NAME].pop("is_default_account")
    user.save({**accounts, "new": {**THEIRS, "is_default_account": True}})
    assert user.put(row())["default"] == "new"
    user.take_off()
    assert user.accounts() == {"mine": THEIRS, "new": {**THEIRS, "is_default_account": True}}


def test_a_default_that_is_gone_is_not_given_back(user: User) -> None:
    user.save({"mine": {**THEIRS, "is_default_account": True}})
    user.put(row(default=True))
    user.save(wanted(row(default=True)))
    user.take_off()
    assert user.accounts() == {}


def test_an_account_of_somebody_else_by_the_same_name(user: User) -> None:
    user.save({NAME: THEIRS})
    before = user.tree()
    with pytest.raises(Refused, match=f"account '{NAME}' that this collection did not write: .* overwrite: true"):
        user.put(row())
    assert user.tree() == before
    user.put(row(), overwrite=True)
    assert user.accounts() == wanted(row()) and not user.put(row())["changed"]
    user.take_off()
    assert user.accounts() == {}


def test_an_account_that_says_the_same_becomes_ours(user: User) -> None:
    user.save(wanted(row()), 0o600)
    user.folder.chmod(0o700)
    assert user.put(row(), check=True)["changed"] and not user.record.exists()
    assert user.put(row())["changed"] and not user.put(row())["changed"]
    assert managed_names(str(user.home)) == [NAME]


# What is in the way


@pytest.mark.parametrize("content", ["", "[]", '"x"', "{", '{"a": ', "\ufeff{}", "[" * 100_000])
def test_a_broken_file(user: User, content: str) -> None:
    user.save({})
    user.path.write_text(content)
    before = user.tree()
    assert not user.take_off()["changed"]
    with pytest.raises(Refused, match="qiskit-ibm.json is no JSON object.*move it away"):
        user.put(row())
    assert user.tree() == before
    user.path.write_text("{}")
    user.put(row())
    user.path.write_text(content)
    with pytest.raises(Refused, match="is no JSON object"):
        user.take_off()


@pytest.mark.parametrize("theirs", [{"token": "x"}, "text", None, ["list"]])
def test_an_account_that_breaks_the_clients_list_is_kept_and_told(user: User, theirs: Any) -> None:
    user.save({"broken": theirs})
    before = user.tree()
    done = user.put(row(default=True))
    assert len(done["warnings"]) == 1 and "the account 'broken'" in done["warnings"][0]
    assert user.accounts()["broken"] == theirs
    user.take_off()
    assert user.tree() == before


def test_a_record_that_cannot_be_read(user: User) -> None:
    user.put(row())
    user.record.write_text('{"format": 2}')
    with pytest.raises(Refused, match="newer version"):
        user.put(row())
    for text in ("", "[]", '{"accounts": 3}', '{"before": {"file": "rw"}}', '{"before": {"file": 6}}'):
        user.record.write_text(text)
        with pytest.raises(Refused, match="edited by hand: remove it, .* overwrite: true"):
            user.put(row())
    user.record.unlink()
    user.put(row(token=KEY + "2"), overwrite=True)
    assert managed_names(str(user.home)) == [NAME]


def test_links_and_other_things_in_the_way(user: User) -> None:
    elsewhere = user.home / "elsewhere"
    elsewhere.mkdir()
    user.folder.symlink_to(elsewhere)
    with pytest.raises(Refused, match=".qiskit is no directory: move it away"):
        user.put(row())
    assert not user.take_off()["changed"]
    user.folder.unlink()
    user.folder.mkdir()
    user.path.symlink_to(elsewhere / "file")
    with pytest.raises(Refused, match="qiskit-ibm.json is no regular file: move it away"):
        user.put(row())
    user.path.unlink()
    os.mkfifo(user.path)
    with pytest.raises(Refused, match="qiskit-ibm.json is no regular file"):
        user.put(row())
    user.path.unlink()
    user.record.symlink_to(elsewhere / "file")
    with pytest.raises(Refused, match="is a symbolic link"):
        user.put(row())
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["folder", "path"])
def test_what_belongs_to_somebody_else(user: User, name: str) -> None:
    user.save({})
    os.chown(getattr(user, name), 4321, 4321)
    with pytest.raises(Refused, match="belongs to uid 4321, not to uid 0: chown it"):
        user.put(row())


def test_homes(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.home.chmod(0o757)
    with pytest.raises(Refused, match="writable by others, .* chmod o-w"):
        user.put(row())
    for home in ("relative", str(user.home / "nowhere")):
        monkeypatch.setenv("HOME", home)
        with pytest.raises(OptionError, match="users: .* is no home directory of uid .*: make it, or set HOME"):
            user.put(row())
    if os.geteuid() == 0:
        user.home.chmod(0o755)
        os.chown(user.home, 4321, -1)
        monkeypatch.setenv("HOME", str(user.home))
        with pytest.raises(OptionError, match="belongs to uid 4321, not to uid 0"):
            user.put(row())


def test_a_run_killed_at_any_point_is_completed_by_the_next(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call that changes the disk fails in turn, the n-th of n; then something is done again."""
    calls, limit = 0, 0

    class Killed(BaseException):
        pass

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > limit:
                raise Killed
            return real(*args, **kwargs)

        return call

    names = ("mkdir", "rename", "unlink", "rmdir", "chmod", "fchmod")

    def killed_after(number: int, act: Callable[[], Any]) -> bool:
        nonlocal calls, limit
        calls, limit = 0, number
        with monkeypatch.context() as patch:
            for name in names:
                patch.setattr(_account.os, name, counted(getattr(os, name)))
            try:
                act()
                return False
            except Killed:
                return True

    def put() -> Any:
        return user.put(row(default=True), row(name="b"))

    def replace() -> Any:
        return user.put(row(name="c"))

    for theirs in (None, {}, {"mine": {**THEIRS, "is_default_account": True}}):
        if theirs is not None:
            user.save(theirs)
        before = user.tree()
        for prepare, first, second in (
            (None, put, put),
            (None, put, user.take_off),
            (put, replace, replace),
            (put, replace, user.take_off),
            (put, user.take_off, user.take_off),
            (put, user.take_off, put),
        ):
            number = 0
            while True:
                if prepare:
                    prepare()
                killed = killed_after(number, first)
                second()
                assert not second()["changed"], (theirs, number, first, second)
                user.take_off()
                assert user.tree() == before, (theirs, number, first, second)
                if not killed:
                    break
                number += 1
                assert number < 100
            assert number > 4


# Random lives

NAMES = st.sampled_from(["a", "b", "c", "d"])
OURS = st.dictionaries(NAMES, st.sampled_from(["the-first-key", "the-second-key"]), max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("put"), OURS, st.one_of(st.none(), NAMES)),
    st.tuples(st.just("save"), st.sampled_from(["x", "y"]), st.booleans()),
    st.tuples(st.just("delete"), st.sampled_from(["x", "y"]), st.none()),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=8))
def test_whatever_happens(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    """The user saves and deletes between our runs. Nothing of theirs is lost, nothing of ours is left."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        user = User(home)
        theirs: set[str] = set()
        for kind, what, more in steps:
            if kind == "put":
                rows = [row(name=name, token=token, default=name == more) for name, token in what.items()]
                user.put(*rows)
                assert not user.put(*rows)["changed"]
                found = user.accounts() if user.path.exists() else {}
                assert {name: found[name] for name in what} == wanted(*rows)
                assert set(found) == theirs | set(what)
                flagged = [name for name, entry in found.items() if "is_default_account" in entry]
                assert len(flagged) <= 1 and (more not in what or flagged == [more])
                continue
            found = user.accounts() if user.path.exists() else {}
            if kind == "save":
                if more:
                    found = {n: {k: v for k, v in e.items() if k != "is_default_account"} for n, e in found.items()}
                found[what] = {**THEIRS, **({"is_default_account": True} if more else {})}
                theirs.add(what)
            else:
                found.pop(what, None)
                theirs.discard(what)
            user.save(found)
        user.take_off()
        found = user.accounts() if user.path.exists() else {}
        assert set(found) == theirs
        assert all(
            {**entry, "is_default_account": True} == {**THEIRS, "is_default_account": True} for entry in found.values()
        )
        assert not user.record.exists()
