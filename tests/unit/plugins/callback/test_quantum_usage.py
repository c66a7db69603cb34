# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest
from ansible.plugins.loader import callback_loader

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tally


class Screen:
    """Stands in for Ansible's display."""

    verbosity = 0

    def __init__(self):
        self.lines = []
        self.warnings = []

    def banner(self, text):
        self.lines.append(f"[{text}]")

    def display(self, text):
        self.lines.append(text)

    def warning(self, text):
        self.warnings.append(text)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv(_tally.VARIABLE, raising=False)
    return folder


@pytest.fixture
def callback(temporary):
    plugin = callback_loader.get("ibm_quantum.platform.quantum_usage")
    plugin._display = Screen()
    plugin.set_options()
    yield plugin
    plugin.v2_playbook_on_stats(None)  # also when the test failed


def the_file():
    return Path(os.environ[_tally.VARIABLE])


def use(*seconds, billing="complete"):
    _tally.call("iam_token")
    _tally.call("runtime")
    for number, amount in enumerate(seconds):
        usage = {"qpu_charge_time_seconds": amount, "status": billing}
        _tally.submitted(f"job-{number}")
        _tally.seen({"id": f"job-{number}", "status": "Completed", "usage": usage})


def test_what_it_is():
    plugin = callback_loader.get("ibm_quantum.platform.quantum_usage", class_only=True)
    assert (plugin.CALLBACK_TYPE, plugin.CALLBACK_NEEDS_ENABLED, plugin.CALLBACK_VERSION) == ("aggregate", True, 2.0)


def test_the_file_is_private_and_goes(callback, temporary):
    callback.v2_playbook_on_start(None)
    path = the_file()
    assert path.parent.parent == temporary
    assert (stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o600)
    callback.v2_playbook_on_stats(None)
    assert not list(temporary.iterdir())
    assert _tally.VARIABLE not in os.environ


def test_nothing_used_is_nothing_shown(callback):
    callback.v2_playbook_on_start(None)
    callback.v2_playbook_on_stats(None)
    assert callback._display.lines == callback._display.warnings == []


def test_calls_alone(callback):
    callback.v2_playbook_on_start(None)
    use()
    _tally.call("other")
    callback.v2_playbook_on_stats(None)
    assert callback._display.lines == [
        "[IBM QUANTUM USAGE]",
        "API calls : 3 (IAM exchanges 1, Runtime 1, others 1)",
    ]


def test_jobs(callback):
    callback.v2_playbook_on_start(None)
    use(2, 3.5)
    callback.v2_playbook_on_stats(None)
    assert callback._display.lines[2:] == [
        "jobs      : submitted 2; ended: Completed 2",
        "QPU time  : 5.5 s charged",
    ]


def test_jobs_of_others_and_such_that_go_on(callback):
    callback.v2_playbook_on_start(None)
    use(2, billing="pending")
    _tally.submitted("goes on")
    _tally.seen({"id": "another's", "status": "Failed", "usage": {"qpu_charge_time_seconds": 4, "status": "complete"}})
    callback.v2_playbook_on_stats(None)
    assert callback._display.lines[2:] == [
        "jobs      : submitted 2, 1 of them not seen to end; ended: Completed 1, Failed 1",
        "QPU time  : 6 s charged, 2 s of it to jobs submitted here; billing still pending for 1",
    ]


def test_jobs_submitted_and_not_waited_for(callback):
    callback.v2_playbook_on_start(None)
    _tally.submitted("goes on")
    callback.v2_playbook_on_stats(None)
    assert callback._display.lines[2:] == [
        "jobs      : submitted 1, 1 of them not seen to end; ended: none",
        "QPU time  : 0 s charged",
    ]


def test_several_playbooks_add_up(callback):
    for _turn in range(2):
        callback.v2_playbook_on_start(None)
        use(2)
        callback.v2_playbook_on_stats(None)
    assert [line for line in callback._display.lines if "API" in line][-1].startswith("API calls : 4 ")
    assert callback._display.lines[-1] == "QPU time  : 2 s charged"  # one job, seen twice


def test_sums_for_programs(callback, tmp_path):
    path = tmp_path / "usage.json"
    callback.set_option("file", str(path))
    callback.v2_playbook_on_start(None)
    use(2)
    callback.v2_playbook_on_stats(None)
    assert json.loads(path.read_text()) == {
        "calls": {"iam_token": 1, "runtime": 1, "other": 0, "total": 2},
        "jobs": {"submitted": 1, "open": 0, "ended": {"Completed": 1}},
        "qpu_seconds": {"submitted": 2, "total": 2},
        "billing_pending": 0,
    }
    path.chmod(0o640)
    callback.v2_playbook_on_start(None)
    callback.v2_playbook_on_stats(None)
    assert json.loads(path.read_text())["calls"]["total"] == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir() if "usage" in entry.name] == ["usage.json"]


@pytest.mark.parametrize("name, why", [("none/usage.json", "No such file"), ("link", "is a symbolic link")])
def test_a_file_that_cannot_be_written_is_a_warning(callback, tmp_path, name, why):
    (tmp_path / "link").symlink_to(tmp_path / "aim")
    callback.set_option("file", str(tmp_path / name))
    callback.v2_playbook_on_start(None)
    use()
    callback.v2_playbook_on_stats(None)
    (warning,) = callback._display.warnings
    assert warning.startswith("quantum_usage cannot write its file: ") and why in warning
    assert callback._display.lines[0] == "[IBM QUANTUM USAGE]"


def test_without_a_place_for_the_file(callback, temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "gone"))
    callback.v2_playbook_on_start(None)
    assert _tally.VARIABLE not in os.environ
    use(1)
    callback.v2_playbook_on_stats(None)
    assert callback._display.lines == []
    assert "quantum_usage counts nothing: no temporary file can be made" in callback._display.warnings[0]


def test_a_file_that_somebody_removed(callback):
    callback.v2_playbook_on_start(None)
    the_file().unlink()
    use(1)
    callback.v2_playbook_on_stats(None)
    assert callback._display.lines == []
    assert callback._display.warnings[0].startswith("quantum_usage lost its counts: ")


def test_a_run_within_a_run_gives_the_variable_back(callback, monkeypatch):
    monkeypatch.setenv(_tally.VARIABLE, "/of/the/outer/run")
    callback.v2_playbook_on_start(None)
    assert str(the_file()) != "/of/the/outer/run"
    callback.v2_playbook_on_stats(None)
    assert str(the_file()) == "/of/the/outer/run"


def test_a_worker_that_ends_takes_nothing_away(callback):
    callback.v2_playbook_on_start(None)
    child = os.fork()
    if child == 0:
        callback._end()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    use()
    callback.v2_playbook_on_stats(None)
    assert callback._display.lines[1].startswith("API calls : 2 ")
