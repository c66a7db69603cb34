# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._value_file import ValueFile, new_value

VALUE = "Val-0123456789012345678901234567890123456789"


@pytest.fixture
def file(tmp_path):
    return ValueFile(str(tmp_path / "key"))


def test_values_are_like_ibms():
    values = {new_value() for _turn in range(500)}
    assert len(values) == 500
    assert {len(value) for value in values} == {44}
    assert all(value[0].isalnum() and value.replace("-", "").replace("_", "").isalnum() for value in values)


@pytest.fixture
def _no_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_no_umask")
def test_a_life(file):
    assert (file.value(), file.pending_value(), file.exists) == (None, None, False)
    file.prepare(VALUE)
    assert (file.value(), file.pending_value(), file.exists) == (None, VALUE, True)
    assert os.stat(file.pending_path).st_mode & 0o777 == 0o600
    file.prepare(VALUE[::-1])
    assert file.pending_value() == VALUE[::-1]
    file.keep()
    assert (file.value(), file.pending_value()) == (VALUE[::-1], None)
    assert file.remove() is True
    assert file.remove() is False
    assert not file.exists


def test_a_refused_value(file):
    file.prepare(VALUE)
    file.discard()
    file.discard()
    assert not file.exists


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_is_open_to_others(file, mode):
    file.prepare(VALUE)
    os.chmod(file.pending_path, mode)
    with pytest.raises(OptionError, match=f"mode {mode:04o}.*others may know the key"):
        file.pending_value()


@pytest.mark.parametrize("text", ["", "short", "a" * 31, "two words that are 32 characters", "é" * 40, "a\tb" * 20])
def test_a_file_with_something_else(file, text):
    with open(os.open(file.path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    with pytest.raises(OptionError, match="holds something else than an API key"):
        file.value()


@pytest.mark.parametrize("length", [0, 10, 43, 44])
def test_a_torn_file(file, length):
    with open(os.open(file.pending_path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as stream:
        stream.write(VALUE[:length])
    assert file.pending_value() is None


def test_a_symbolic_link(file, tmp_path):
    os.symlink(tmp_path / "elsewhere", file.path)
    with pytest.raises(OptionError, match="cannot be read"):
        file.value()
    assert file.exists


def test_a_folder(file):
    os.mkdir(file.path, 0o700)
    with pytest.raises(OptionError, match="is no regular file"):
        file.value()


def test_a_folder_that_is_not_there(tmp_path):
    file = ValueFile(str(tmp_path / "missing" / "key"))
    assert file.value() is None
    with pytest.raises(OptionError, match="cannot be written .No such file or directory."):
        file.prepare(VALUE)


def test_a_relative_path():
    with pytest.raises(OptionError, match="must be an absolute path"):
        ValueFile("key")
