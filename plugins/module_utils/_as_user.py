# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Do something as a user of this host, as their own process would. Standard library only: hosts import it.

Root that writes into a home follows whatever links the user put there. A process of the user's gets no further than the
user.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import json
import os
import pwd
import select
import signal
import time
from typing import Any, Callable, NoReturn

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import FormatError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import Refused

_KEPT = {kind.__name__: kind for kind in (OptionError, FormatError, Refused)}


def as_user(
    user: str | int, function: Callable[..., Any], *args: Any, option: str = "users", seconds: float = 60
) -> Any:
    """What ``function(*args)`` returns when the user, a name or a uid, runs it: with their uid, groups, ``HOME``,
    ``XDG_RUNTIME_DIR`` and umask 077, in ``/``, for so many seconds at most. Root needs a fork for it; who is the user
    already just calls it, in the environment that is there.

    The result is as JSON has it (a tuple comes back as a list): root takes no pickle from a user's process.
    OptionError, FormatError, Refused and OSError come back as they are, anything else as RuntimeError with its text.
    Raises OptionError, with the name of the ``option``, for a user whom the host does not have, or whom only root can
    be.
    """
    uid = user if isinstance(user, int) else entry_of(user, option).pw_uid
    if uid == os.geteuid():
        return json.loads(json.dumps(function(*args)))
    entry = entry_of(user, option)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _child(writer, entry, function, args)
    os.close(writer)
    try:
        answer = _read(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)  # it has answered, or it never will
        os.waitpid(child, 0)
    try:
        whole = json.loads(answer.decode("ascii"))
    except ValueError:  # nothing, or a part of it: users can kill what runs as they
        text = f"the work as {entry.pw_name} did not end within {seconds:g} seconds, or was killed"
        raise RuntimeError(text) from None
    return _unpacked(whole)


def entry_of(user: str | int, option: str = "users") -> pwd.struct_passwd:
    """The host's entry for a user, by name or uid, as whom this process can work. Raises OptionError."""
    try:
        entry = pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
    except (KeyError, OverflowError, ValueError):  # ValueError: a NUL in the name
        raise OptionError(f"{option}: no user {user!r} on this host: create it (ansible.builtin.user)") from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise OptionError(f"{option}: only root can work as {entry.pw_name}: set become: true")
    return entry


def _child(writer: int, entry: pwd.struct_passwd, function: Callable[..., Any], args: tuple[Any, ...]) -> NoReturn:
    """Become the user, do it, say how it went, end: never run the parent's code."""
    try:
        try:
            _become(entry)
            answer = json.dumps({"result": function(*args)})
        except BaseException as error:
            answer = json.dumps(_packed(error))
        with os.fdopen(writer, "wb") as stream:
            stream.write(answer.encode("ascii"))
    finally:
        os._exit(0)


def _become(entry: pwd.struct_passwd) -> None:
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.umask(0o077)
    os.chdir("/")
    for name in [name for name in os.environ if name.startswith("XDG_")] + ["DBUS_SESSION_BUS_ADDRESS"]:
        os.environ.pop(name, None)
    os.environ.update(HOME=entry.pw_dir, USER=entry.pw_name, LOGNAME=entry.pw_name, SHELL=entry.pw_shell or "/bin/sh")
    runtime = f"/run/user/{entry.pw_uid}"
    if os.path.isdir(runtime) and os.stat(runtime).st_uid == entry.pw_uid:
        os.environ["XDG_RUNTIME_DIR"] = runtime


def _read(fd: int, deadline: float) -> bytes:
    """All that is written until the other end closes; nothing where that does not happen in time."""
    chunks: list[bytes] = []
    while True:
        ready, _writable, _broken = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return b""
        chunk = os.read(fd, 65536)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def _packed(error: BaseException) -> dict[str, Any]:
    for kind in type(error).__mro__:
        if kind.__name__ in _KEPT:
            return {"kind": kind.__name__, "text": str(error)}
    if isinstance(error, OSError) and error.errno is not None:
        name = error.filename if isinstance(error.filename, str) else None
        return {"kind": "OSError", "errno": error.errno, "text": error.strerror or "", "filename": name}
    return {"kind": "RuntimeError", "text": str(error) or type(error).__name__}


def _unpacked(answer: dict[str, Any]) -> Any:
    if "result" in answer:
        return answer["result"]
    if answer["kind"] == "OSError":
        raise OSError(answer["errno"], answer["text"], answer["filename"])
    raise _KEPT.get(answer["kind"], RuntimeError)(answer["text"])
