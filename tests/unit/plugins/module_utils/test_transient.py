# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and timers, with a systemd that only keeps books; the real one is in tests/lab/test_untrusted.py."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _files, _transient
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import File, Refused
from ansible_collections.ibm_quantum.platform.plugins.module_utils._transient import Place, Secret, Store

NOW = 1_800_000_000
TOKEN = "a-token-of-no-secrecy"


class Killed(BaseException):
    """What SIGKILL is to a process: nothing of it goes on."""


class Host:
    """A folder in memory and a systemd. ``steps`` counts down to a kill."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(str(folder / "secrets"), 0o711, str(folder / "transient"), user=False)
        self.now = float(NOW)
        self.commands: list[list[str]] = []
        self.steps = -1

    def step(self) -> None:
        if self.steps == 0:
            raise Killed
        self.steps -= 1

    def run(self, *command: str, accept=(0,)) -> None:
        self.step()
        self.commands.append(list(command))
        units = Path(self.place.units)
        units.mkdir(exist_ok=True)
        if command[0] == "systemd-run":
            unit = next(word for word in command if word.startswith("--unit=")).partition("=")[2]
            for kind in ("timer", "service"):
                path = units / f"{unit}.{kind}"
                assert not path.exists(), "systemd refuses a unit that is loaded"
                path.touch()
        else:
            assert command[:2] == ("systemctl", "stop")
            for unit in command[2:]:
                (units / unit).unlink(missing_ok=True)

    def store(self) -> Store:
        return Store(self.place, "salt", self.run, lambda: self.now)

    def present(self, *secrets: Secret, expires: int = NOW + 3600, tolerance: int = 0):
        store = self.store()
        changes = store.present(secrets, expires, tolerance)
        if changes or store.stale(True):
            store.apply(changes, True)
        return changes

    def absent(self, *names: str):
        store = self.store()
        changes = store.absent(names)
        if changes or store.stale(False):
            store.apply(changes, False)
        return changes

    def read(self, name: str) -> str:
        return (Path(self.place.directory) / name).read_text()

    def files(self) -> list[str]:
        folder = Path(self.place.directory)
        return sorted(os.listdir(folder)) if folder.exists() else []

    def timers(self) -> list[str]:
        folder = Path(self.place.units)
        return sorted(path.stem for path in folder.glob("*.timer")) if folder.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def secret(name: str = "token", content: str = TOKEN, mode: int = 0o600) -> Secret:
    return Secret(name, File(content.encode(), mode, os.geteuid(), os.getegid()))


def test_a_file_comes_with_its_timer(host):
    (change,) = host.present(secret())
    assert host.read("token") == TOKEN
    path = Path(host.place.directory, "token")
    assert path.stat().st_mode & 0o7777 == 0o600
    assert path.parent.stat().st_mode & 0o7777 == 0o711
    assert host.timers() == [f"ibm-quantum-secret-token-{NOW + 3600}"]
    (command,) = host.commands
    assert "--on-calendar=2027-01-15 09:00:00 UTC" in command and "--on-active=3600s" in command
    assert command[-2:] == [str(path), _files.temporary(str(path))]
    assert TOKEN not in str(host.commands)
    assert change.before == "" and TOKEN not in change.after and "expires 2027-01-15T09:00:00Z" in change.after


def test_the_steady_state_runs_nothing(host):
    host.present(secret(), secret("headers"))
    host.commands.clear()
    assert host.present(secret(), secret("headers")) == []
    assert host.commands == []


def test_a_renewed_secret_moves_its_timer_and_no_other(host):
    host.present(secret(), secret("other"))
    host.commands.clear()
    (change,) = host.present(secret(content="b-token-of-no-secrecy"), expires=NOW + 5400)
    assert host.read("token") == "b-token-of-no-secrecy"
    assert host.timers() == [f"ibm-quantum-secret-other-{NOW + 3600}", f"ibm-quantum-secret-token-{NOW + 5400}"]
    assert [command[0] for command in host.commands] == ["systemd-run", "systemctl"]
    assert change.before != change.after


def test_only_the_expiry_differs(host):
    host.present(secret())
    assert len(host.present(secret(), expires=NOW + 3601)) == 1
    assert host.timers() == [f"ibm-quantum-secret-token-{NOW + 3601}"]
    assert host.present(secret(), expires=NOW + 3661, tolerance=60) == []
    assert len(host.present(secret(), expires=NOW + 3662, tolerance=60)) == 1


@pytest.mark.parametrize("drift", ["chmod 644 {}", "echo more >> {}", "rm {}", "ln -sf /dev/null {}/../x; rm {}"])
def test_drift_is_repaired(host, drift):
    host.present(secret())
    path = Path(host.place.directory, "token")
    os.system(drift.replace("{}", str(path)))
    assert len(host.present(secret())) == 1
    assert (host.read("token"), path.stat().st_mode & 0o7777) == (TOKEN, 0o600)
    assert host.timers() == [f"ibm-quantum-secret-token-{NOW + 3600}"]


def test_a_timer_that_was_stopped_is_armed_again(host):
    host.present(secret())
    shutil.rmtree(host.place.units)
    assert len(host.present(secret())) == 1
    assert host.timers() == [f"ibm-quantum-secret-token-{NOW + 3600}"]


def test_a_folder_of_the_firewalls_is_opened_for_owners(host):
    os.mkdir(host.place.directory, 0o700)
    Path(host.place.directory, "egress.lock").touch()
    host.present(secret())
    assert os.stat(host.place.directory).st_mode & 0o7777 == 0o711
    host.absent("token")
    assert host.files() == ["egress.lock"]


def test_absent(host):
    host.present(secret(), secret("other"))
    (change,) = host.absent("token")
    assert (change.after, host.files(), host.timers()) == ("", ["other"], [f"ibm-quantum-secret-other-{NOW + 3600}"])
    host.absent("other")
    assert not os.path.exists(host.place.directory) and host.timers() == []
    host.commands.clear()
    assert host.absent("token", "other") == [] and host.commands == []


def test_an_empty_folder_goes_too(host):
    os.mkdir(host.place.directory, 0o711)
    assert host.store().stale(False)
    host.absent("token")
    assert not os.path.exists(host.place.directory)


def test_nothing_that_expired_meanwhile_stays(host):
    original = host.run

    def slow(*command, accept=(0,)):
        original(*command, accept=accept)
        host.now = NOW + 3600  # the timer goes off before the file is there

    host.run = slow
    with pytest.raises(Refused, match="expired while it was written"):
        host.present(secret())
    assert host.files() == []


@pytest.mark.parametrize("steps", range(8))
def test_killed_anywhere_there_is_no_file_without_a_timer(host, monkeypatch, steps):
    for name in ("write", "unlink", "mkdir"):
        original = getattr(_files, name)

        def watched(*args, original=original):
            host.step()
            return original(*args)

        monkeypatch.setattr(_files, name, watched)
    host.present(secret())
    host.steps = steps
    killed = False
    try:
        host.present(secret(content="b-token-of-no-secrecy"), expires=NOW + 5400)
    except Killed:
        killed = True
    host.steps = -1
    assert killed == (steps < 5), "the steps of this test are not those of the code any more"
    assert not host.files() or host.timers()
    if host.read("token") != TOKEN:
        assert host.timers() == [f"ibm-quantum-secret-token-{NOW + 5400}"]
    host.present(secret(content="b-token-of-no-secrecy"), expires=NOW + 5400)
    assert (host.read("token"), host.timers()) == ("b-token-of-no-secrecy", [f"ibm-quantum-secret-token-{NOW + 5400}"])


def test_litter_of_a_killed_run_goes(host):
    host.present(secret())
    litter = Path(_files.temporary(str(Path(host.place.directory, "token"))))
    litter.write_text("half a sec")
    host.present(secret())
    assert not litter.exists()
    litter.write_text("half a sec")
    host.absent("token")
    assert not os.path.exists(host.place.directory)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "-x", "x" * 65, "naïve", "x\n", "egress.lock"])
def test_names_that_cannot_be(name):
    with pytest.raises(OptionError, match="cannot be a name"):
        _transient.check_name(name)


@pytest.mark.parametrize("name", ["bearer_token", "a", "A-1.x", "x" * 64])
def test_names_that_can_be(name):
    _transient.check_name(name)


def test_names_with_hyphens_and_digits_are_told_apart(host):
    host.present(secret("a"), secret("a-17"))
    host.absent("a")
    assert host.timers() == [f"ibm-quantum-secret-a-17-{NOW + 3600}"]
    assert host.present(secret("a-17")) == []


def test_moments():
    assert _transient.moment(NOW + 5, None, NOW + 0.5) == (NOW + 5, 0)
    assert _transient.moment(None, 60, NOW + 0.5) == (NOW + 60, 60)
    for expires, within, word in (
        (NOW, None, "over"),
        (None, 0, "over"),
        (None, -5, "over"),
        (NOW * 1000, None, "year"),
    ):
        with pytest.raises(OptionError, match=word):
            _transient.moment(expires, within, NOW + 0.5)


MOUNTS = """\
22 1 0:20 / / rw - ext4 /dev/sda1 rw
30 22 0:25 / /run rw,nosuid shared:12 - tmpfs tmpfs rw,size=10%
31 30 0:26 / /run/disk rw - ext4 /dev/sdb1 rw
32 30 0:27 / /run/with\\040space rw - ramfs ramfs rw
33 22 0:28 / /runner rw - tmpfs tmpfs rw
34 22 0:29 / /cover rw - tmpfs tmpfs rw
35 22 0:30 / /cover rw - xfs /dev/sdc1 rw
"""


@pytest.mark.parametrize(
    "path, memory",
    [
        ("/run", True),
        ("/run/deep/below", True),
        ("/run/disk", False),
        ("/run/disk/x", False),
        ("/run/diskless", True),
        ("/run/with space/x", True),
        ("/runner/x", True),
        ("/runn", False),
        ("/", False),
        ("/home", False),
        ("/cover", False),
    ],
)
def test_what_is_in_memory(tmp_path, path, memory):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    if memory:
        _transient.check_memory(path, str(mounts))
    else:
        with pytest.raises(Refused, match="not in memory.*one_use_key"):
            _transient.check_memory(path, str(mounts))


def test_folders_that_somebody_else_could_swap(tmp_path):
    uid = os.geteuid()
    _transient.check_directory(str(tmp_path / "missing"), uid)
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o755)
    _transient.check_directory(str(folder), uid)
    with pytest.raises(Refused, match="no directory of uid"):
        _transient.check_directory(str(folder), uid + 1)
    folder.chmod(0o777)
    with pytest.raises(Refused, match="writable by others"):
        _transient.check_directory(str(folder), uid)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(Refused, match="no directory"):
        _transient.check_directory(str(tmp_path / "link"), uid)


def test_a_file_that_is_no_file_is_refused(host):
    os.mkdir(host.place.directory)
    os.symlink("/etc/passwd", os.path.join(host.place.directory, "token"))
    with pytest.raises(Refused, match="symbolic link"):
        host.present(secret())
    with pytest.raises(Refused, match="symbolic link"):
        host.absent("token")


def test_a_tool_that_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(_transient, "_PATH", str(tmp_path))
    with pytest.raises(Refused, match="systemd-run could not be run"):
        _transient._systemd("systemd-run", "x")
    tool = tmp_path / "systemd-run"
    tool.write_text("#!/bin/sh\necho no such bus >&2; exit 1\n")
    tool.chmod(0o755)
    with pytest.raises(Refused, match="systemd-run failed.*no such bus"):
        _transient._systemd(str(tool), "x")
    _transient._systemd(str(tool), "x", accept=(0, 1))
