# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One emulator for all tests of this folder (one for each xdist worker), reset before each test."""

from __future__ import annotations

from typing import Iterator

import pytest

from tests.emulator.testing import EmulatorProcess
from tests.unit.emulator.client import Client


@pytest.fixture(scope="session")
def process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tls=True, args=["--worker-python", "none"]) as running:
        yield running


@pytest.fixture
def emulator(process: EmulatorProcess) -> EmulatorProcess:
    process.reset()
    return process


@pytest.fixture
def client(emulator: EmulatorProcess) -> Iterator[Client]:
    """A client without credentials."""
    with Client(emulator) as session:
        yield session


@pytest.fixture
def user(client: Client) -> Client:
    """A client with a good token and CRN."""
    return client.login()
