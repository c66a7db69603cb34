# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _files
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._result_file import ResultFile

TEXT = '{"results": "größer"}\r\nand\nmore'


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    return folder / "bell.json"


@pytest.fixture
def no_rights(path):
    """The folder may not be written to; root is nobody then, who may not even look into pytest's folders."""
    os.chmod(path.parent, 0o500)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)
    os.chmod(path.parent, 0o700)


def mode(path):
    return os.stat(path).st_mode & 0o777


def refused(method, *arguments):
    with pytest.raises(OptionError) as caught:
        method(*arguments)
    return str(caught.value)


def test_a_life(path):
    file = ResultFile(str(path))
    assert file.read() is None
    file.prepare()
    assert not [*path.parent.iterdir()], "it leaves nothing behind"
    assert file.save(TEXT) is True
    assert path.read_bytes() == TEXT.encode()
    assert file.read() == TEXT
    assert file.save(TEXT) is False
    assert file.save(TEXT[:-1]) is True
    assert file.read() == TEXT[:-1]
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_nobody_else_reads_it(path, umask):
    before = os.umask(umask)
    try:
        ResultFile(str(path)).prepare()
        ResultFile(str(path)).save(TEXT)
    finally:
        os.umask(before)
    assert mode(path) == 0o600


def test_one_that_is_open_to_others_is_replaced(path):
    path.write_text("of another job")
    os.chmod(path, 0o644)
    inode = os.stat(path).st_ino
    assert ResultFile(str(path)).save(TEXT) is True
    assert (mode(path), path.read_bytes()) == (0o600, TEXT.encode())
    assert os.stat(path).st_ino != inode, "who reads it meanwhile reads the old one to its end"


def test_what_is_unchanged_is_left_alone(path):
    ResultFile(str(path)).save(TEXT)
    os.chmod(path, 0o640)  # as the user wanted it
    before = os.stat(path)
    assert ResultFile(str(path)).save(TEXT) is False
    assert os.stat(path) == before


def test_all_or_nothing(path, monkeypatch):
    path.write_text("of another job")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files.os, "rename", full)
    assert refused(ResultFile(str(path)).save, TEXT) == (
        f"'result_file': {path} cannot be written (No space left on device): give another path"
    )
    assert path.read_text() == "of another job"
    assert [*path.parent.iterdir()] == [path]


def test_a_path_is_taken_from_the_current_folder(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    file = ResultFile("bell.json")
    monkeypatch.chdir("/")
    file.save(TEXT)
    assert file.path == str(path) and path.exists()


def test_what_a_killed_run_left_is_no_hindrance(path):
    for name in (_files.temporary(str(path)), f"{path}.{os.getpid()}.tmp"):  # a number may come again
        with open(name, "w", encoding="utf-8") as stream:
            stream.write("half of")
    file = ResultFile(str(path))
    file.prepare()
    assert file.save(TEXT) is True


@pytest.mark.parametrize("option", ["result_file", "result_dir"])
@pytest.mark.parametrize(
    "below, why", [("nowhere/bell.json", "No such file or directory"), ("file/bell.json", "Not a directory")]
)
def test_a_folder_that_is_none(path, option, below, why):
    (path.parent / "file").touch()
    bad = path.parent / below
    file = ResultFile(str(bad), option)
    text = f"'{option}': {bad} cannot be written ({why}): give another path"
    assert refused(file.prepare) == text
    if why == "Not a directory":
        text = text.replace("written", "read")
    assert refused(file.save, TEXT) == text


def test_a_folder_instead_of_a_file(path):
    path.mkdir()
    file = ResultFile(str(path))
    assert refused(file.prepare) == f"'result_file': {path} cannot be written (it is a folder): give another path"
    assert refused(file.read) == f"'result_file': {path} cannot be read (Is a directory): give another path"


def test_something_else_is_not_replaced(path):
    """Such as /dev/null, over which root would rename a file."""
    os.mkfifo(path)
    assert f"'result_file': {path} cannot be written" in refused(ResultFile(str(path)).prepare)


@pytest.mark.usefixtures("no_rights")
def test_a_folder_of_others(path):
    file = ResultFile(str(path))
    for call in (file.prepare, lambda: file.save(TEXT)):
        text = refused(call)
        assert text.startswith(f"'result_file': {path} cannot be ")
        assert text.endswith(" (Permission denied): give another path")


def test_something_that_is_no_text(path):
    path.write_bytes(b"\xff\xfe\x00")
    file = ResultFile(str(path))
    assert file.save(TEXT) is True
    assert file.read() == TEXT
