# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import (
    LARGEST,
    File,
    Refused,
    read,
    remove,
    rmdir,
    temporary,
    write,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = str(folder / "file")
    assert read(path) is None
    new = File(b"\xff\n", 0o640, os.geteuid(), -1)
    write(path, None, new)
    old = read(path)
    assert old == new._replace(gid=os.stat(path).st_gid)
    inode = os.stat(path).st_ino
    write(path, old, new._replace(mode=0o600))
    assert (os.stat(path).st_ino, os.stat(path).st_mode & 0o777) == (inode, 0o600)
    Path(temporary(path)).touch()
    remove(path)
    assert list(folder.iterdir()) == []


def test_what_is_no_file_of_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="is a symbolic link"):
        read(str(path))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Refused, match="is no regular file"):
        read(str(path))
    path.unlink()
    with path.open("wb") as file:
        file.truncate(LARGEST)
    found = read(str(path))
    assert found and len(found.content) == LARGEST
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(Refused, match="is larger than 16 MiB: move it away"):
        read(str(path))


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = str(folder / "file")
    write(path, None, File(b"old", 0o600, os.geteuid(), -1))

    def fails(*_args: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="no space"):
        write(path, read(path), File(b"new", 0o600, os.geteuid(), -1))
    assert [entry.name for entry in folder.iterdir()] == ["file"] and Path(path).read_bytes() == b"old"


def test_a_folder_with_something_in_it_stays(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    Path(temporary(str(folder / "x"))).touch()
    rmdir(str(folder))
    assert folder.exists()
    os.unlink(temporary(str(folder / "x")))
    rmdir(str(folder))
    rmdir(str(folder))
    assert not folder.exists()
