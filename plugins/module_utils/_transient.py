# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Secrets in files that are only in memory, and that the host itself removes when they expire. Stdlib only.

Each file has a transient timer of systemd's, whose name holds the file's name and its expiry. systemd keeps such units
as files below ``/run/systemd/transient`` for as long as they are loaded: what is armed is read there, without a
subprocess, and nothing of it outlives a reboot. The timer is armed before its file is written and the one of before is
disarmed after that, so that at no moment, wherever a run is killed, there is a file that nothing removes.

Source: systemd.timer(5), systemd-run(1), systemd.time(7); proc(5) for mountinfo.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import secrets
import stat
import subprocess
import time
from typing import Callable, Iterable, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _files
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import digester
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import File, Refused

#: File systems that have their content in memory only.
IN_MEMORY = ("tmpfs", "ramfs")
#: Longer than anything that is called transient lives; a time in milliseconds is beyond it, too.
LONGEST_LIFE = 366 * 86400
#: Seconds by which an expiry that is given as a distance from now may differ from that of the file that is there.
TOLERANCE = 60

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_UNIT = "ibm-quantum-secret-{}-{}"
_COMMAND = 60  # seconds for one command of systemd's
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# $0 is the timer. It has two triggers, and the later one would keep it loaded.
_REMOVE = 'rm -f -- "$@"; systemctl {}--no-block stop "$0" 2>/dev/null; :'

_SHORTEST = 8  # Ansible censors every occurrence of a secret in a result: a short one would make it unreadable


class Place(NamedTuple):
    """Where an identity's secrets are. ``units``: where its systemd keeps the transient units it has loaded."""

    directory: str
    mode: int
    units: str
    user: bool


class Secret(NamedTuple):
    """What is asked for: a file of :class:`Place` by its name, with its content, owner and mode."""

    name: str
    file: File


class Change(NamedTuple):
    """One secret that differs. ``expires`` and ``file`` are None for one that goes; the texts are fit for a diff."""

    name: str
    path: str
    old: File | None
    file: File | None
    expires: int | None
    before: str
    after: str


def check_name(name: str) -> None:
    """Raise :class:`OptionError` unless this can be the name of a file here and a part of a unit's name."""
    if not _NAME.match(name):
        raise OptionError(
            f"files: {name!r} cannot be a name: up to 64 letters, digits, '.', '_' and '-', the first a letter or digit"
        )
    if name.startswith("egress"):
        raise OptionError(f"files: {name!r} cannot be a name: the role firewall has files of this name there")


def moment(expires: int | None, expires_in: int | None, now: float) -> tuple[int, int]:
    """When the files expire, in seconds since the epoch by this host's clock, and the tolerance it has.

    Raises :class:`OptionError`.
    """
    if (expires is None) == (expires_in is None):
        raise OptionError("give one of 'expires' and 'expires_in': without an end this would be no place for a secret")
    option, when = ("expires", expires) if expires is not None else ("expires_in", None)
    if when is None:
        when = int(now) + (expires_in or 0)
    if when <= now:
        raise OptionError(f"{option}: this is over: the secret is of no use any more, get a new one")
    if when > now + LONGEST_LIFE:
        raise OptionError(f"{option}: this is more than a year away: seconds are expected")
    return when, 0 if option == "expires" else TOLERANCE


def file_of(name: str, content: str | None, owner: str | None, group: str | None) -> File:
    """A file as it is to be: ``owner`` and ``group`` are names of the host. Raises OptionError."""
    content = content or ""
    if len(content) < _SHORTEST:
        raise OptionError(f"files: {name}: 'content' is missing or has less than {_SHORTEST} characters")
    root, uid, gid = os.geteuid() == 0, os.geteuid(), os.getegid()
    if owner:
        try:
            entry = pwd.getpwnam(owner)
        except KeyError:
            raise OptionError(f"owner: no user {owner!r} on this host: create it first") from None
        if not root and entry.pw_uid != uid:
            raise OptionError("owner: only root can give files to somebody else: set become: true")
        uid, gid = entry.pw_uid, entry.pw_gid
    if group:
        if not root:
            raise OptionError("group: only root can let others read the files: set become: true")
        try:
            gid = grp.getgrnam(group).gr_gid
        except KeyError:
            raise OptionError(f"group: no group {group!r} on this host: create it first") from None
    return File(content.encode("utf-8", "surrogateescape"), 0o640 if group else 0o600, uid, gid)


def host_salt() -> str:
    """So that the hash of a secret is another one on every host."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            return file.read().strip() or secrets.token_hex(8)
    except (OSError, ValueError):
        return secrets.token_hex(8)


def place(present: bool = True) -> Place:
    """Where this process's user has such files.

    Raises :class:`Refused` on hosts that cannot keep the promise, where files are to be ``present``; and everywhere if
    somebody else could swap the files.
    """
    uid = os.geteuid()
    if uid == 0:
        # Not 0755: who may read a file knows its name, and nobody else needs to.
        found = Place("/run/ibm_quantum", 0o711, "/run/systemd/transient", False)
        if present and not os.path.isdir("/run/systemd/system"):
            raise Refused(
                "this host does not run systemd, so nothing would remove the secret at its expiry: "
                "use a one-use key (role ibm_quantum.platform.one_use_key) without one_use_key_on_host"
            )
    else:
        runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
        found = Place(os.path.join(runtime, "ibm_quantum"), 0o700, os.path.join(runtime, "systemd", "transient"), True)
        if present and not os.path.exists(os.path.join(runtime, "systemd", "private")):
            raise Refused(
                f"{runtime} has no systemd of this user, which would remove the secret at its expiry: log in through "
                "PAM, as ssh does (become does not), or use become: true and the option owner"
            )
        check_directory(runtime, uid)
    if present:
        check_memory(os.path.dirname(found.directory))
    check_directory(found.directory, uid)
    return found


def check_memory(path: str, mountinfo: str = "/proc/self/mountinfo") -> None:
    """Raise :class:`Refused` unless a path lies in memory."""
    real, best, kind = os.path.realpath(path), "", "nothing known"
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _dash, more = line.partition(" - ")
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields.split()[4])
            inside = point == "/" or (real + "/").startswith(point + "/")
            if inside and len(point) >= len(best):  # of two at one point the later one covers the other
                best, kind = point, more.partition(" ")[0]
    if kind not in IN_MEMORY:
        raise Refused(
            f"{path} is not in memory ({kind}), so the secret would be written to a disk: mount a tmpfs there, or use "
            "a one-use key (role ibm_quantum.platform.one_use_key) without one_use_key_on_host"
        )


def check_directory(path: str, uid: int) -> None:
    """Raise :class:`Refused` where somebody else could swap the files in a directory."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != uid:
        raise Refused(f"{path} is no directory of uid {uid}: remove it, then run this again")
    if info.st_mode & 0o022:
        raise Refused(f"{path} is writable by others, who could replace what is written there: chmod go-w it")


def _systemd(*command: str, accept: Sequence[int] = (0,)) -> None:
    """Run a tool of systemd's. Raises :class:`Refused` with what it said."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND,
            check=False,
            env={**os.environ, "LC_ALL": "C", "PATH": _PATH},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"{command[0]} could not be run: {error}") from None
    if done.returncode not in accept:
        raise Refused(f"{command[0]} failed, so nothing was written: {(done.stderr or done.stdout).strip()}")


class Store:
    """The secrets of one :class:`Place`: compared, written with their timers, removed."""

    def __init__(
        self,
        where: Place,
        salt: str,
        run: Callable[..., None] = _systemd,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``salt`` is for the hashes in diffs; ``run`` runs a command, with the exit codes that it may have."""
        self.place, self._digest, self._run, self._clock = where, digester(salt), run, clock
        self._manager = ["--user"] if where.user else []
        self._armed = self._timers()

    def path(self, name: str) -> str:
        return os.path.join(self.place.directory, name)

    def expiries(self, name: str) -> list[int]:
        """When the file of this name will be removed: no time, one, or more where a run was killed."""
        return sorted(self._armed.get(name, ()))

    def present(self, wanted: Iterable[Secret], expires: int, tolerance: int) -> list[Change]:
        """What differs from these secrets, removed at that time. Touches nothing. Raises Refused, OSError."""
        changes = []
        for name, file in wanted:
            old, armed = self._read(name), self.expiries(name)
            kept = len(armed) == 1 and abs(armed[0] - expires) <= tolerance
            if old != file or not kept or self._litter(name):
                changes.append(self._change(name, old, file, expires))
        return changes

    def absent(self, names: Iterable[str]) -> list[Change]:
        """What there is to remove of these names. Touches nothing. Raises Refused, OSError."""
        changes = []
        for name in names:
            old = self._read(name)
            if old or self.expiries(name) or self._litter(name):
                changes.append(self._change(name, old, None, None))
        return changes

    def stale(self, present: bool) -> bool:
        """Whether the directory itself differs: in its mode, or by being there, empty, where nothing is to be."""
        try:
            mode = _files.mode_of(self.place.directory)
        except FileNotFoundError:
            return False  # comes with its first file
        return mode != self.place.mode if present else not os.listdir(self.place.directory)

    def apply(self, changes: Sequence[Change], present: bool) -> None:
        """Carry it out. Raises Refused, OSError."""
        stop: list[str] = []
        for change in changes:
            armed = self.expiries(change.name)
            if change.expires is None:
                _files.unlink(_files.temporary(change.path))
                _files.unlink(change.path)
            elif change.expires not in armed:
                self._arm(change)
            stop += [_UNIT.format(change.name, when) for when in armed if when != change.expires]
        if stop:
            units = [unit + kind for unit in stop for kind in (".timer", ".service")]
            # Waits for a removal that is under way. 5: some of them are over by themselves.
            self._run("systemctl", *self._manager, "stop", *units, accept=(0, 5))
        if present:
            self._write([change for change in changes if change.file])
        else:
            _files.rmdir(self.place.directory)

    def _write(self, changes: Sequence[Change]) -> None:
        directory, mode = self.place.directory, self.place.mode
        if not os.path.isdir(directory):
            _files.mkdir(directory, mode)
        elif _files.mode_of(directory) != mode:
            os.chmod(directory, mode)
        for change in changes:
            if change.file is not None and change.expires is not None:
                _files.unlink(_files.temporary(change.path))
                _files.write(change.path, _files.read(change.path), change.file)  # the old one may be gone by now
                if self._clock() >= change.expires:  # the timer may have gone off before the file was there
                    _files.unlink(change.path)
                    raise Refused(f"{change.path}: the secret expired while it was written: get a new one")

    def _arm(self, change: Change) -> None:
        expires = change.expires or 0
        unit = _UNIT.format(change.name, expires)
        # By the calendar, which goes on while the host sleeps, and by the time that passes, whatever is done to the
        # clock: the first of the two counts.
        self._run(
            "systemd-run",
            *self._manager,
            "--quiet",
            "--collect",
            f"--unit={unit}",
            f"--on-calendar={time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(expires))}",
            f"--on-active={max(1, expires - int(self._clock()))}s",
            "--timer-property=AccuracySec=100ms",  # the default is a minute
            f"--description=Removal of the IBM Quantum Platform secret {change.name}",
            "/bin/sh",
            "-c",
            _REMOVE.format("--user " if self.place.user else ""),
            unit + ".timer",
            change.path,
            _files.temporary(change.path),
        )

    def _timers(self) -> dict[str, set[int]]:
        """Name to expiries, of all timers that are loaded."""
        found: dict[str, set[int]] = {}
        try:
            names = os.listdir(self.place.units)
        except FileNotFoundError:
            return found
        for name in names:
            match = re.match(_UNIT.format("(.+)", "([0-9]+)") + r"\.timer\Z", name)
            if match:
                found.setdefault(match.group(1), set()).add(int(match.group(2)))
        return found

    def _read(self, name: str) -> File | None:
        try:
            return _files.read(self.path(name))
        except NotADirectoryError:
            return None

    def _litter(self, name: str) -> bool:
        return os.path.lexists(_files.temporary(self.path(name)))

    def _change(self, name: str, old: File | None, new: File | None, expires: int | None) -> Change:
        armed = self.expiries(name)
        before = self._text(old, armed[0] if armed else None)
        return Change(name, self.path(name), old, new, expires, before, self._text(new, expires))

    def _text(self, file: File | None, expires: int | None) -> str:
        if file is None:
            return ""
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)) if expires else "never"
        secret = self._digest(file.content.decode("utf-8", "replace"))
        return f"<secret, {secret}>\nmode {file.mode:04o}, uid {file.uid}, gid {file.gid}\nexpires {when}\n"
