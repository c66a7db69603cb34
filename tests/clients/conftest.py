# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator that IBM's clients talk to."""

from __future__ import annotations

import os
from typing import Iterator

import pytest

pytest.importorskip("starlette", reason="tests/emulator/requirements.txt is not installed")
pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator.testing import EmulatorProcess


@pytest.fixture(scope="module")
def process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """The emulator of a module, which may set its ``ARGUMENTS``.

    At the end all traffic is checked against IBM's OpenAPI document, where that is at hand. Lines may deviate that have
    one of the texts which a module sets as ``WRONG_ON_PURPOSE``.
    """
    record = tmp_path_factory.mktemp("traffic") / "record.jsonl"
    with EmulatorProcess(record=record, args=getattr(request.module, "ARGUMENTS", [])) as running:
        yield running
    if os.environ.get("OPENAPI_SPEC"):
        from tests.emulator.conformance import Checker

        wrong = getattr(request.module, "WRONG_ON_PURPOSE", ())
        lines = Checker(os.environ["OPENAPI_SPEC"]).check_file(record)
        deviations = [line for line in lines if not any(text in line for text in wrong)]
        assert not deviations, "traffic of the clients does not fit OPENAPI_SPEC:\n" + "\n".join(deviations)


@pytest.fixture
def emulator(process: EmulatorProcess) -> EmulatorProcess:
    process.reset()
    return process
