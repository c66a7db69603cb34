# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _guard


def appears(path: Path, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if path.exists():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def watched():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("pidfd", [True, False])
def test_the_work_is_done_when_the_other_is_killed(tmp_path, watched, monkeypatch, pidfd):
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    done = tmp_path / "done"
    _guard.at_end_of(watched.pid, 60, done.touch)
    assert not done.exists()
    watched.kill()
    watched.wait()
    assert appears(done)


def test_the_work_is_done_in_time_anyway(tmp_path, watched):
    _guard.at_end_of(watched.pid, 0.05, (tmp_path / "done").touch)
    assert appears(tmp_path / "done")
    assert watched.poll() is None


def test_one_that_has_ended_already(tmp_path, watched):
    watched.kill()
    watched.wait()
    _guard.at_end_of(watched.pid, 60, (tmp_path / "done").touch)
    assert appears(tmp_path / "done")


def test_one_that_cannot_be_started(watched, monkeypatch):
    def full():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "setsid", full)  # as good a place as the fork after it
    with pytest.raises(OSError, match="temporarily unavailable"):
        _guard.at_end_of(watched.pid, 60, lambda: None)


SCRIPT = """
import os, pathlib, signal, sys
from ansible_collections.ibm_quantum.platform.plugins.module_utils import _guard
def work():
    signals = [signal.getsignal(n) == signal.SIG_IGN for n in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)]
    text = f"{signals} {os.getpid()} {os.getsid(0) == int(sys.argv[2])}"
    path = pathlib.Path(sys.argv[1])
    path.with_suffix(".part").write_text(text)
    path.with_suffix(".part").rename(path)
    raise RuntimeError("nobody hears this")
_guard.at_end_of(int(sys.argv[2]), 60, work)
print("returned")
"""


def test_it_holds_nothing_open_and_hears_no_signal(tmp_path, watched):
    """Who reads the caller's output sees it end with the caller."""
    done = tmp_path / "done"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    caller = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(done), str(watched.pid)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env=env,
    )
    assert (caller.stdout, caller.stderr) == ("returned\n", "")
    assert not done.exists()
    watched.send_signal(signal.SIGKILL)
    watched.wait()
    assert appears(done)
    signals, _pid, same_session = done.read_text().rsplit(" ", 2)
    assert (signals, same_session) == ("[True, True, True]", "False")
