# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator that IBM's clients talk to."""

from __future__ import annotations

from typing import Iterator

import pytest

pytest.importorskip("starlette", reason="tests/emulator/requirements.txt is not installed")
pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator.testing import EmulatorProcess


@pytest.fixture(scope="module")
def process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as running:
        yield running


@pytest.fixture
def emulator(process: EmulatorProcess) -> EmulatorProcess:
    process.reset()
    return process
