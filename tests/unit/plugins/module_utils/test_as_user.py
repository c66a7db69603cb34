# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import pwd
import signal
import sys
import threading
from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._as_user import as_user, entry_of
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import FormatError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import Refused

ME = os.geteuid()
NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(ME != 0, reason="only root can be somebody else")


def fails(error: BaseException) -> None:
    raise error


def seen() -> dict[str, object]:
    """What a function sees of who runs it, and where."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("XDG_")}
    environment.update({name: os.environ[name] for name in ("HOME", "USER", "LOGNAME", "SHELL")})
    umask = os.umask(0)
    os.umask(umask)
    ids = [*os.getresuid(), *os.getresgid()] if sys.platform == "linux" else []
    return {"ids": ids, "groups": os.getgroups(), "env": environment, "umask": umask, "cwd": os.getcwd()}


def test_who_is_the_user_already_just_calls() -> None:
    assert as_user(ME, os.getpid) == os.getpid()
    assert as_user(pwd.getpwuid(ME).pw_name, lambda *args: args, 1, "ü") == [1, "ü"]
    with pytest.raises(ZeroDivisionError):
        as_user(ME, lambda: 1 // 0)


@pytest.mark.skipif(ME == 0, reason="root can be anybody")
def test_without_root_nobody_else() -> None:
    with pytest.raises(OptionError, match="services: only root can work as root: set become: true"):
        as_user(0, os.getpid, option="services")


@pytest.mark.parametrize("user", ["no-such-user", "", "a\0b", 2**31 - 5, 2**70])
def test_a_user_whom_the_host_does_not_have(user: str | int) -> None:
    with pytest.raises(OptionError, match="accounts.users: no user .* on this host: create it"):
        as_user(user, os.getpid, option="accounts.users")


def test_an_entry_by_name_or_uid() -> None:
    me = pwd.getpwuid(ME)
    assert entry_of(ME) == entry_of(me.pw_name) == me


@as_root
@pytest.mark.parametrize("user", ["nobody", NOBODY.pw_uid])
def test_root_is_the_user_in_every_way(user: str | int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/root/.config")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    found = as_user(user, seen)
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    assert found["ids"] == [uid] * 3 + [gid] * 3
    assert sorted(found["groups"]) == sorted(os.getgrouplist("nobody", gid))
    assert found["umask"] == 0o077 and found["cwd"] == "/"
    env = {"HOME": NOBODY.pw_dir, "USER": "nobody", "LOGNAME": "nobody", "SHELL": NOBODY.pw_shell}
    assert found["env"] == env
    assert os.geteuid() == 0 and os.environ["XDG_CONFIG_HOME"] == "/root/.config"


@as_root
def test_what_root_may_the_user_may_not(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    tmp_path.chmod(0o755)
    secret.chmod(0o600)
    with pytest.raises(OSError) as caught:
        as_user("nobody", secret.read_text)
    assert caught.value.errno == errno.EACCES
    with pytest.raises(PermissionError):
        as_user("nobody", os.setuid, 0)


@as_root
@pytest.mark.parametrize("kind", [OptionError, FormatError, Refused])
def test_the_collections_errors_come_back_as_they_are(kind: type[Exception]) -> None:
    with pytest.raises(kind, match="^what ü to do$"):
        as_user("nobody", fails, kind("what ü to do"))


@as_root
def test_a_kind_of_one_of_them_comes_back_as_that_one() -> None:
    class Special(Refused):
        pass

    with pytest.raises(Refused, match="^special$"):
        as_user("nobody", fails, Special("special"))


@as_root
def test_other_errors() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        as_user("nobody", os.stat, "/no/such/file")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, "/no/such/file")
    for error in (KeyError("k"), SystemExit("out"), OSError("without a number")):
        with pytest.raises(RuntimeError, match=str(error)):
            as_user("nobody", fails, error)
    with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        as_user("nobody", fails, KeyboardInterrupt())
    with pytest.raises(RuntimeError, match="not JSON serializable"):
        as_user("nobody", object)


@as_root
def test_a_result_larger_than_a_pipe_holds() -> None:
    assert as_user("nobody", lambda: "ü" * 300_000) == "ü" * 300_000


@as_root
def test_the_time_is_bounded_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []
    fork = os.fork

    def recording() -> int:
        children.append(fork())
        return children[-1]

    monkeypatch.setattr(os, "fork", recording)
    with pytest.raises(RuntimeError, match="the work as nobody did not end within 0.2 seconds"):
        as_user("nobody", threading.Event().wait, seconds=0.2)
    with pytest.raises(RuntimeError, match="or was killed"):
        as_user("nobody", lambda: os.kill(os.getpid(), signal.SIGKILL))

    def dies_while_it_answers() -> str:
        def half(fd: int, _mode: str) -> None:
            os.write(fd, b'{"result": "x')
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(os, "fdopen", half)  # of the child alone
        return "x"

    with pytest.raises(RuntimeError, match="or was killed"):
        as_user("nobody", dies_while_it_answers)
    assert len(children) == 3
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


@as_root
def test_the_child_never_runs_the_parents_code(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    try:
        as_user("nobody", lambda: sys.exit(0))
    except RuntimeError:
        with (tmp_path / "went-on").open("a") as file:
            file.write("once\n")
    assert (tmp_path / "went-on").read_text() == "once\n"
