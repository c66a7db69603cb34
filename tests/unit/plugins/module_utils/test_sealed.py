# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is encrypted and when, by a systemd-creds that only turns the text around; the lab has the real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _sealed as sealed
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import Target


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "systemd-creds"
    program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\nprintf "%s:" $$; base64\n')
    program.chmod(0o755)
    monkeypatch.setattr(sealed.os, "defpath", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "credentials").mkdir()
    return tmp_path / "credentials"


def run(folder: Path, secret: str, check: bool = False) -> list[Target]:
    targets = sealed.sealed([Target(str(folder / "A.cred"), secret, 0o600, mark="")], str(folder), check)
    if not check:
        for target in targets:
            Path(target.path).write_text(target.text)
    return targets


def calls(folder: Path) -> list[str]:
    path = folder.parent / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_only_what_has_changed_is_encrypted_again(folder: Path) -> None:
    first = run(folder, "the secret")
    assert first == run(folder, "the secret") and calls(folder) == ["--name=A encrypt - -"]
    assert run(folder, "another one") != first and len(calls(folder)) == 2
    (folder / "A.cred").write_text("drift")
    assert run(folder, "another one") and len(calls(folder)) == 3
    assert not [target for target in first if "the secret" in target.text]


def test_check_mode_encrypts_nothing(folder: Path) -> None:
    assert run(folder, "the secret", check=True)[0].text == "to be encrypted\n" and not calls(folder)
    known = run(folder, "the secret")
    assert run(folder, "the secret", check=True) == known


def test_nothing_to_encrypt_leaves_the_targets_alone(folder: Path) -> None:
    targets = [Target("/x", "text")]
    assert sealed.sealed(targets, str(folder), False) is targets


def test_an_old_host_is_told_what_to_use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed.shutil, "which", lambda name, path: None)
    with pytest.raises(OptionError, match="use secrets=credentials"):
        run(folder, "the secret")


def test_a_failure_is_told_without_the_secret(folder: Path) -> None:
    (folder.parent / "systemd-creds").write_text("#!/bin/sh\necho no key >&2\nexit 1\n")
    os.chmod(folder.parent / "systemd-creds", 0o755)
    with pytest.raises(OptionError, match=r"systemd-creds failed \(no key\)") as error:
        run(folder, "the secret")
    assert "the secret" not in str(error.value)


def test_a_systemd_creds_that_does_not_end_is_one_clear_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "systemd-creds").write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(sealed, "_TIMEOUT", 0.2)
    with pytest.raises(OptionError, match="did not answer: use secrets=credentials") as error:
        run(folder, "the secret")
    assert "the secret" not in str(error.value)
