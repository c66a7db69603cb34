# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._one_at_a_time import TIMEOUT, one_at_a_time


def test_one_holds_it_and_others_wait():
    naps = []
    with one_at_a_time("the key", "a", "b"):
        with pytest.raises(OptionError, match="another task has been working at the key for 120 s: try later"):
            ExitStack().enter_context(one_at_a_time("the key", "a", "b", sleep=naps.append))
        with one_at_a_time("another key", "a", "c", sleep=naps.append):
            pass
    assert TIMEOUT <= sum(naps) < TIMEOUT + 1
    with one_at_a_time("the key", "a", "b", sleep=naps.append):
        pass


def test_who_waits_gets_it_when_it_is_free():
    first, naps = ExitStack(), []
    first.enter_context(one_at_a_time("the key", "a"))

    def nap(seconds):
        naps.append(seconds)
        first.close()

    with one_at_a_time("the key", "a", sleep=nap):
        assert len(naps) == 1


def test_a_dead_holder_does_not_block():
    child = os.fork()
    if child == 0:
        held = ExitStack()
        held.enter_context(one_at_a_time("the key", "a"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with one_at_a_time("the key", "a", sleep=lambda _seconds: pytest.fail("it waits for the dead")):
        pass


def test_without_a_place_for_it(tmp_path):
    (tmp_path / "run" / "ibm_quantum").write_text("")
    with pytest.raises(OptionError, match="the key must not be made twice, so a lock is needed"):
        ExitStack().enter_context(one_at_a_time("the key", "a"))
