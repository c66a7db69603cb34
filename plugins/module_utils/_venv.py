# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A virtual environment with packages of chosen versions. Standard library only: hosts import it.

A record in the environment, written last, says what was asked for and what that came to. While the environment still
has just that, the steady state is a look at some folders: no process is started. Where it differs, the environment's
own Python is asked what is missing and what is no longer needed, by the ``packaging`` that comes with its pip.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import json
import os
import shutil
import time
from typing import Any, Iterator, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import Refused
from ansible_collections.ibm_quantum.platform.plugins.module_utils._pip import PipError, Source, pip, run
from ansible_collections.ibm_quantum.platform.plugins.module_utils._requirements import canonical

RECORD = ".ibm_quantum.json"
#: The oldest Python that IBM's client takes: its ``Requires-Python``.
OLDEST = (3, 10)

_PINS = ".ibm_quantum.requirements.txt"
_QUICK = 120  # seconds for a command that needs no network

_PROBE = """
import json, sys
found = list(sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    print(json.dumps([found, False]))
else:
    print(json.dumps([found, True]))
"""

#: Run by the environment's Python: follows what is wanted through what that needs in turn.
_ASK = """
import json, re, sys
from importlib.metadata import distributions
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement

def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()

there, needed, unmet = {}, set(), []
for one in distributions():
    there.setdefault(canonical(one.metadata["Name"]), one)
try:
    todo = [(Requirement(text), {""}) for text in json.load(sys.stdin)]
except InvalidRequirement as error:
    sys.exit(str(error))
seen = set()
while todo:
    wanted, extras = todo.pop()
    if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
        continue
    name = canonical(wanted.name)
    needed.add(name)
    found = there.get(name)
    if found is None or not wanted.specifier.contains(found.version, prereleases=True):
        unmet.append(wanted.name + str(wanted.specifier))
    if found is None:
        continue
    asked = {""} | wanted.extras | {canonical(extra) for extra in wanted.extras}
    if (name, frozenset(asked)) not in seen:
        seen.add((name, frozenset(asked)))
        todo += [(Requirement(text), asked) for text in found.requires or ()]
print(json.dumps([sorted(needed), sorted(set(unmet))]))
"""


class Wanted(NamedTuple):
    """An environment at ``path`` made with ``python``, a name or a path, in which ``requirements`` hold. ``pins`` is
    the text of a requirements file that pip is to be given instead, with hashes maybe."""

    path: str
    python: str
    requirements: Sequence[str]
    pins: str = ""


class Outcome(NamedTuple):
    """What was done, or in check mode would be, and why; the packages before and after, name -> version.

    In check mode the new ones have the range that was asked for in place of a version.
    """

    reason: str
    before: dict[str, str]
    after: dict[str, str]

    @property
    def changed(self) -> bool:
        return bool(self.reason)


class _Plan(NamedTuple):
    """``build``: from nothing, for this reason. Else what to install and to remove. ``note``: the record differs."""

    build: str = ""
    install: Sequence[str] = ()
    remove: Sequence[str] = ()
    note: bool = False

    @property
    def reason(self) -> str:
        parts = [f"missing, or of another version: {', '.join(self.install)}"] if self.install else []
        parts += [f"no longer wanted: {', '.join(self.remove)}"] if self.remove else []
        return self.build or "; ".join(parts)


def settle(wanted: Wanted, source: Source, check_mode: bool) -> Outcome:
    """Bring the environment to what is wanted; in check mode only say how, without the network.

    Raises OptionError, Refused, PipError, OSError.
    """
    os.umask(0o022)  # who may enter the folder may use it, whatever the umask of this login
    python = _interpreter(wanted.python)
    before, plan = installed(wanted.path), _look(wanted, python)
    if plan.build:
        _suitable(wanted.python, python)
    if check_mode:
        return Outcome(plan.reason, before, _foretold(wanted, plan, before) if plan.reason else before)
    if not plan.reason and not plan.note:
        return Outcome("", before, before)
    made = _make_parents(wanted.path)
    with _lock(wanted.path, source.timeout) as lock:
        recovered = _recover(wanted.path)
        before, plan = installed(wanted.path), _look(wanted, python)  # another run may have been at it
        if plan.build:
            _build(wanted, python, source, made, lock)
        elif plan.install or plan.remove:
            _change(wanted, source, plan, lock)
        elif plan.note:
            _note(wanted, _read(wanted.path) or {})
    return Outcome(plan.reason or recovered, before, installed(wanted.path))


def remove(path: str, check_mode: bool) -> Outcome:
    """Remove the environment, and folders that were made for it and are empty. Raises Refused, OSError."""
    record, before = _read(path), installed(path)
    old = _aside(path)
    if not os.path.lexists(path) and not os.path.lexists(old):
        return Outcome("", {}, {})
    if not check_mode:
        with _lock(path, _QUICK):
            record = {**(_read(old) or {}), **(record or {})}
            _delete(old)
            _delete(path)
        _remove_parents(record or {})
    return Outcome("state=absent", before, {})


def installed(path: str) -> dict[str, str]:
    """The packages of an environment, name -> version, as their folders say."""
    found = {}
    for folder in _site_packages(path):
        for entry in os.listdir(folder):
            name, sep, version = entry[: -len(".dist-info")].rpartition("-")
            # pip writes RECORD last: without it the package was not installed to the end
            if entry.endswith(".dist-info") and sep and os.path.exists(os.path.join(folder, entry, "RECORD")):
                found[canonical(name)] = version
    return dict(sorted(found.items()))


# --- what is there ------------------------------------------------------------------------------------------------


def _site_packages(path: str) -> list[str]:
    lib = os.path.join(path, "lib")
    names = sorted(os.listdir(lib)) if os.path.isdir(lib) else []
    folders = [os.path.join(lib, name, "site-packages") for name in names if name.startswith("python")]
    return [folder for folder in folders if os.path.isdir(folder)]


def _read(path: str) -> dict[str, Any] | None:
    """The record; None where nothing is there, or an empty folder. Raises :class:`Refused` for what is not ours."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    if not os.path.isdir(path) or os.path.islink(path):
        raise Refused(f"path: {path} is no folder: name another path, or remove it")
    if status.st_uid != os.geteuid():
        raise Refused(
            f"path: {path} belongs to uid {status.st_uid}, and this runs as uid {os.geteuid()}: become that user, or "
            "name another path"
        )
    try:
        with open(os.path.join(path, RECORD), encoding="utf-8") as file:
            record = json.load(file)
    except FileNotFoundError:
        if not os.listdir(path):
            return None
        raise Refused(
            f"path: {path} was not made by this collection, which would overwrite what is in it: name another path, or "
            "remove it"
        ) from None
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _look(wanted: Wanted, python: str) -> _Plan:
    """What has to be done. Starts no process while all is as the record says. Raises OptionError, Refused, OSError."""
    record, now = _read(wanted.path), installed(wanted.path)
    if record is None:
        return _Plan("there is no virtual environment yet")
    if not record.get("complete"):
        return _Plan("an earlier run did not come to its end")
    if record.get("python") != python:
        return _Plan(f"it was made with {record.get('python')}, not with {python}")
    damage = _damage(wanted.path, record, now)
    if damage:
        return _Plan(f"it is damaged: {damage} is missing")
    noted = record.get("packages", {})
    drifted = {name for name, version in noted.items() if now.get(name) != version}
    if not drifted and record.get("asked") == _asked(wanted):
        return _Plan(note=os.path.lexists(_aside(wanted.path)))
    needed, unmet = _ask(wanted)
    return _Plan("", unmet, _unneeded(record, needed, now), note=True)


def _damage(path: str, record: dict[str, Any], now: dict[str, str]) -> str:
    """A file that an environment cannot be without and is not there, if any."""
    if "pip" not in now:
        return "pip"
    folder = _site_packages(path)[0]
    python = os.path.join(path, "bin", "python")
    noted = record.get("packages", {})
    owners = {name for name, version in noted.items() if now.get(name) == version}
    paths = [os.path.join(folder, top) for top, owner in record.get("paths", {}).items() if owner in owners]
    return next((one for one in [python, *paths] if not os.path.exists(one)), "")


def _asked(wanted: Wanted) -> list[str]:
    """What is asked for, as the record keeps it."""
    pins = [hashlib.sha256(wanted.pins.encode("utf-8")).hexdigest()] if wanted.pins else []
    return [*sorted(wanted.requirements), *pins]


def _ask(wanted: Wanted) -> tuple[list[str], list[str]]:
    """(packages that are needed, requirements that do not hold), by the environment's own Python."""
    argv = [_python(wanted.path), "-I", "-c", _ASK]
    status, output = run(argv, _QUICK, text=json.dumps(list(wanted.requirements)))
    if status != 0:
        raise OptionError(f"The packages of {wanted.path} cannot be read: {output.strip()[-400:]}")
    needed, unmet = json.loads(output.splitlines()[-1])
    return needed, unmet


def _foretold(wanted: Wanted, plan: _Plan, before: dict[str, str]) -> dict[str, str]:
    """The packages after a change that is not made, as far as they are known without the network."""
    new = wanted.requirements if plan.build else plan.install
    after = {} if plan.build else {name: version for name, version in before.items() if name not in plan.remove}
    for requirement in new:
        bare = requirement.partition(";")[0].strip()
        end = next((at for at, sign in enumerate(bare) if sign in "=<>!~["), len(bare))
        after[canonical(bare[:end].strip())] = bare[end:].strip() or "(newest)"
    return dict(sorted(after.items()))


# --- Python -------------------------------------------------------------------------------------------------------


def _python(path: str) -> str:
    return os.path.join(path, "bin", "python")


def _interpreter(name: str) -> str:
    """The program behind a name, without links. Raises :class:`OptionError`."""
    found = shutil.which(os.path.expanduser(name))
    if found is None:
        raise OptionError(f"python: no {name!r} on this host: install it, or name another one, such as python3.12")
    return os.path.realpath(found)


def _suitable(name: str, python: str) -> None:
    """Raises :class:`OptionError` where an interpreter cannot make an environment for IBM's client."""
    try:
        status, output = run([python, "-I", "-c", _PROBE], _QUICK)
        version, can = json.loads(output.splitlines()[-1]) if status == 0 else (None, False)
    except (OSError, ValueError, IndexError):
        version, can = None, False
    if version is None:
        raise OptionError(f"python: {name} ({python}) is no Python that runs: name another one, such as python3.12")
    text = ".".join(map(str, version))
    if tuple(version) < OLDEST:
        raise OptionError(
            f"python: {name} is Python {text} on this host, and qiskit-ibm-runtime needs "
            f"{'.'.join(map(str, OLDEST))} or newer: install a newer Python beside it and name it with python, such as "
            "/usr/local/bin/python3.12"
        )
    if not can:
        raise OptionError(
            f"python: {name} (Python {text}) cannot make virtual environments: install its venv package first, on "
            f"Debian and Ubuntu python{text}-venv, or name another Python"
        )


# --- doing it -----------------------------------------------------------------------------------------------------


def _build(wanted: Wanted, python: str, source: Source, made: list[str], lock: int) -> None:
    """Make the environment. One that was there is back where that fails."""
    path, old = wanted.path, _aside(wanted.path)
    record = _read(path) or {}
    made = [*record.get("made", []), *made]
    if os.path.lexists(path):
        os.rename(path, old)
    try:
        os.mkdir(path, 0o755)
        _write(path, {"complete": False, "made": made})
        # Environments cannot be moved, so it is made in its final place
        status, output = run([python, "-I", "-m", "venv", path], _QUICK * 2, lock=lock)
        if status != 0:
            raise PipError(f"{python} -m venv failed: {output.strip()[-400:]}")
        _install(wanted, source, lock)
        _note(wanted, {"python": python, "made": made})
    except (PipError, OptionError, OSError):
        _delete(path)
        if os.path.lexists(old):
            os.rename(old, path)
        else:
            _remove_parents({"made": made})
        raise
    if os.path.lexists(old):
        _delete(old)


def _change(wanted: Wanted, source: Source, plan: _Plan, lock: int) -> None:
    """Change packages in place. Where pip failed before it changed anything, all is as before."""
    record, before = _read(wanted.path) or {}, installed(wanted.path)
    _write(wanted.path, {**record, "complete": False})
    try:
        if plan.install:
            _install(wanted, source, lock)
        needed, _unmet = _ask(wanted)
        unneeded = _unneeded(record, needed, installed(wanted.path))
        if unneeded:
            pip(_python(wanted.path), ["uninstall", "--yes", *unneeded], source, lock)
    except (PipError, OptionError, OSError):
        if installed(wanted.path) == before:
            _write(wanted.path, record)
        raise
    _note(wanted, record)


def _unneeded(record: dict[str, Any], needed: Sequence[str], now: dict[str, str]) -> list[str]:
    """What was installed for a wish that is no more. What people installed themselves is in no record."""
    return sorted(name for name in record.get("packages", {}) if name in now and name not in (*needed, "pip"))


def _install(wanted: Wanted, source: Source, lock: int) -> None:
    arguments = ["install", "--no-compile", *([] if source.source_builds else ["--only-binary=:all:"])]
    if wanted.pins:
        file = os.path.join(wanted.path, _PINS)
        with open(file, "w", encoding="utf-8") as out:
            out.write(wanted.pins)
        arguments += ["-r", file]
    else:
        arguments += wanted.requirements
    pip(_python(wanted.path), arguments, source, lock)
    # In place of pip's, which uses one core, and here most of the time; files that are no Python for it do not matter
    run([_python(wanted.path), "-I", "-m", "compileall", "-qq", "-j0", *_site_packages(wanted.path)], source.timeout)
    _needed, unmet = _ask(wanted)
    if unmet:
        raise PipError(f"pip left unmet: {', '.join(unmet)}. What to do: choose versions that go together.")


def _note(wanted: Wanted, record: dict[str, Any]) -> None:
    """Write the record of an environment in which all is as wanted."""
    needed, now = _ask(wanted)[0], installed(wanted.path)
    packages = {name: now[name] for name in needed if name in now}
    _write(
        wanted.path,
        {
            "complete": True,
            "asked": _asked(wanted),
            "python": record["python"],
            "made": record.get("made", []),
            "packages": packages,
            "paths": _paths(wanted.path, packages),
        },
    )
    if os.path.lexists(_aside(wanted.path)):
        _delete(_aside(wanted.path))


def _paths(path: str, packages: dict[str, str]) -> dict[str, str]:
    """The files and folders right below site-packages, and the package that each belongs to."""
    found = {}
    for folder in _site_packages(path):
        for entry in os.listdir(folder):
            name = canonical(entry[: -len(".dist-info")].rpartition("-")[0])
            if entry.endswith(".dist-info") and name in packages:
                with open(os.path.join(folder, entry, "RECORD"), encoding="utf-8", newline="") as file:
                    tops = {row[0].partition("/")[0] for row in csv.reader(file) if row}
                found.update(dict.fromkeys(tops - {"..", "__pycache__", "", entry}, name))
    return dict(sorted(found.items()))


def _write(path: str, record: dict[str, Any]) -> None:
    """Replace the record as a whole; on disk when this returns."""
    part = os.path.join(path, f"{RECORD}.part")
    with open(part, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, os.path.join(path, RECORD))


# --- folders ------------------------------------------------------------------------------------------------------


def _aside(path: str) -> str:
    """Where an environment waits while the one that replaces it is made."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.ibm_quantum-old")


def _recover(path: str) -> str:
    """After a run that was killed while it replaced an environment: the old one back, unless the new one is complete.

    The reason for a change, if there was one.
    """
    old = _aside(path)
    if not os.path.lexists(old) or _read(old) is None or (_read(path) or {}).get("complete"):
        return ""
    _delete(path)
    os.rename(old, path)
    return "an earlier run did not come to its end"


def _delete(path: str) -> None:
    """Remove a folder of ours, the record last: a run that is killed leaves what the next one knows."""
    if not os.path.lexists(path):
        return
    record = _read(path)
    if record is not None:
        with contextlib.suppress(OSError):  # a full disk
            _write(path, {**record, "complete": False})
    for entry in os.listdir(path):
        full = os.path.join(path, entry)
        if os.path.isdir(full) and not os.path.islink(full):
            shutil.rmtree(full)
        elif entry != RECORD:
            os.unlink(full)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(path, RECORD))
    os.rmdir(path)


def _make_parents(path: str) -> list[str]:
    """Make the folders above; those that were not there, the highest first."""
    missing: list[str] = []
    folder = os.path.dirname(path)
    while not os.path.exists(folder):
        missing.insert(0, folder)
        folder = os.path.dirname(folder)
    for one in missing:
        with contextlib.suppress(FileExistsError):
            os.mkdir(one, 0o755)
    return missing


def _remove_parents(record: dict[str, Any]) -> None:
    for folder in sorted(record.get("made", []), key=len, reverse=True):
        with contextlib.suppress(OSError):  # in use, or gone
            os.rmdir(folder)


@contextlib.contextmanager
def _lock(path: str, timeout: float) -> Iterator[int]:
    """One run at a time for environments of one folder; a pip that outlives its module keeps the lock."""
    handle = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        end = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Refused(f"path: another run is at work on {path}: wait until it has ended") from None
                time.sleep(0.2)
        yield handle
    finally:
        os.close(handle)
