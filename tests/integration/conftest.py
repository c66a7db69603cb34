# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One emulator a session (and a worker of xdist), one user's machine a test."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from tests.emulator.testing import EmulatorProcess
from tests.integration.playbook import Controller


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with all traffic of the session."""
    return tmp_path_factory.mktemp("traffic") / "record.jsonl"


@pytest.fixture(scope="session")
def session_emulator(record: Path) -> Iterator[EmulatorProcess]:
    """The emulator, over HTTP and TLS. At the end all its traffic is checked, where the document is at hand."""
    with EmulatorProcess(tls=True, record=record) as process:
        yield process
    if os.environ.get("OPENAPI_SPEC"):
        from tests.emulator.conformance import Checker

        deviations = Checker(os.environ["OPENAPI_SPEC"]).check_file(record)
        assert not deviations, "traffic of the tests does not fit OPENAPI_SPEC:\n" + "\n".join(deviations)


@pytest.fixture
def emulator(session_emulator: EmulatorProcess) -> EmulatorProcess:
    """The emulator as at its start."""
    session_emulator.reset()
    return session_emulator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: Ansible puts sockets below it, whose paths may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="iqp-") as name:
        yield Path(name)


@pytest.fixture
def controller(folder: Path, emulator: EmulatorProcess) -> Iterator[Controller]:
    """A user's machine. No test may end with a call of ssh."""
    machine = Controller(folder, emulator)
    yield machine
    assert not machine.ssh_was_called


@pytest.fixture
def tls_controller(folder: Path, emulator: EmulatorProcess) -> Iterator[Controller]:
    """A user's machine that speaks TLS with the emulator, whose CA it does not know by itself."""
    machine = Controller(folder, emulator, tls=True)
    yield machine
    assert not machine.ssh_was_called
