# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Files as the collection reads and writes them on hosts: no link is followed, no half file is ever seen. Stdlib only.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import NamedTuple

#: Bytes. What is larger is no file of the kinds that are kept here, and would only fill the memory.
LARGEST = 1 << 24


class File(NamedTuple):
    """What a regular file is. A gid of -1 stands for whatever a new file gets."""

    content: bytes
    mode: int
    uid: int
    gid: int


class Refused(Exception):
    """The host is in a state in which going on would be unsafe or destroy something. The text names path and remedy."""


def read(path: str) -> File | None:
    """A regular file, or None. A symbolic link or anything else is refused: it could lead anywhere."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refused(f"{path} is a symbolic link: put a regular file there, then run this again") from None
        raise
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        os.close(fd)
        raise Refused(f"{path} is no regular file: move it away, then run this again")
    with os.fdopen(fd, "rb") as stream:
        content = stream.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise Refused(f"{path} is larger than {LARGEST >> 20} MiB: move it away, then run this again")
        return File(content, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)


def temporary(path: str) -> str:
    """One name for each file, so that what a killed run left is overwritten or removed by the next one."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.ibm_quantum.tmp")


def write(path: str, old: File | None, new: File) -> None:
    """Bring a file to a content, owner and mode; at no moment is the content open to more readers than at the end."""
    if old and old.content == new.content:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _own(fd, old, new)
        finally:
            os.close(fd)
        return
    beside = temporary(path)
    unlink(beside)
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(new.content)
            stream.flush()
            _own(fd, None, new)
            if old:
                _copy_label(path, fd)
            os.fsync(fd)
        os.rename(beside, path)
    except BaseException:
        unlink(beside)
        raise
    sync(os.path.dirname(path))


def _own(fd: int, old: File | None, new: File) -> None:
    os.fchmod(fd, new.mode & (old.mode if old else 0o600))  # never wider before the owner is right
    info = os.fstat(fd)
    if info.st_uid != new.uid or new.gid not in (-1, info.st_gid):
        os.fchown(fd, new.uid, new.gid)
    os.fchmod(fd, new.mode)


def _copy_label(path: str, fd: int) -> None:
    """Keep the SELinux context of the file that is replaced; a new file has its directory's."""
    name = "security.selinux"
    with contextlib.suppress(OSError, AttributeError):  # no SELinux here, or no Linux
        os.setxattr(fd, name, os.getxattr(path, name, follow_symlinks=False))


def remove(path: str) -> None:
    """Remove a file and what a killed run may have left beside it."""
    unlink(temporary(path))
    unlink(path)
    sync(os.path.dirname(path))


def unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def mkdir(path: str, mode: int) -> None:
    os.mkdir(path, mode)
    os.chmod(path, mode)  # whatever the umask


def rmdir(path: str) -> None:
    """Remove a directory unless something of somebody else's is in it."""
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def sync(directory: str) -> None:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)
