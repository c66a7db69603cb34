# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as fixtures. Where it cannot be, tests are skipped with the reason; with LAB_REQUIRED=1 they fail instead."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

from tests.lab import images, system
from tests.lab.host import Host
from tests.lab.lab import Lab, sweep
from tests.lab.system import LabError

#: Seconds for a test with its fixtures; the first may have to build images.
TIMEOUT = 1800


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.pluginmanager.hasplugin("timeout"):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT))


def _cannot(reason: str) -> None:
    if os.environ.get("LAB_REQUIRED") == "1":
        pytest.fail(f"the lab is required here, but: {reason}", pytrace=False)
    pytest.skip(f"no lab: {reason}")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Three hosts, one of each suite, for all tests of the session. Tests that change hosts take ``fresh_hosts``."""
    reason = system.why_not()
    if reason:
        _cannot(reason)
    one = Lab(f"test-{os.getpid()}")
    try:
        one.prepare(images.SUITES)
    except LabError as exc:
        _cannot(str(exc))
    sweep()
    with one:
        yield one.up(hosts=3, owner=os.getpid())


@pytest.fixture
def fresh_hosts(lab: Lab) -> list[Host]:
    """The lab's hosts as after their first boot, with names and the emulator as at the start."""
    lab.reset()
    return lab.hosts
