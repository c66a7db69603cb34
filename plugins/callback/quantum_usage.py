# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: quantum_usage
type: aggregate
short_description: Show what a playbook used of the IBM Quantum Platform
version_added: "0.1.0"
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
description:
  - At the end of a playbook, also of one that failed, shows how many requests this collection sent to IBM, how many
    jobs it submitted, how the jobs ended that it saw end, the QPU seconds that these were charged, and how many of them
    IBM has not billed to the end. Nothing is shown where nothing was used.
  - The numbers are those of all tasks, loops, lookups and repetitions, whatever their results show. Of several
    playbooks in one run, each block has the sum so far.
  - A job counts once, with what was known of it last. A job that another run submitted, and this one saw end, is among
    those that ended.
notes:
  - Counted is what is sent from Ansible's own processes, and from modules that run on the controller as the same user.
    Not counted is what is sent from other hosts, as with O(ibm_quantum.platform.api#module:run_on=target), what
    inventory plugins send, as Ansible reads the inventory before, and what still runs when the playbook has ended.
  - The processes count in a file, which is below E(TMPDIR), for the own user only, and removed at the end. It has names
    of services, IDs of jobs and numbers in it, no secrets.
requirements:
  - C(ibm_quantum.platform.quantum_usage) in C(callbacks_enabled) of C([defaults]) in C(ansible.cfg), or in
    E(ANSIBLE_CALLBACKS_ENABLED)
options:
  file:
    description:
      - A file to write the sums to as JSON, for programs. It is replaced at the end of each playbook, also where
        nothing was used.
      - It has C(calls) with the numbers of requests C(iam_token), C(runtime), C(other) and C(total); C(jobs) with
        C(submitted), C(open) for those of them that were not seen to end, and C(ended) with a number for each status;
        C(qpu_seconds) with C(submitted), charged to the jobs submitted, and C(total), charged to all that were seen to
        end; and C(billing_pending), the number of the latter that IBM has not billed to the end.
    type: path
    env:
      - name: IBM_QUANTUM_USAGE_FILE
    ini:
      - section: callback_quantum_usage
        key: file
seealso:
  - module: ibm_quantum.platform.usage_info
"""

import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _files, _tally


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "ibm_quantum.platform.quantum_usage"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []  # of the playbooks of this run that have ended
        self._folder: Path | None = None
        self._before: str | None = None  # the variable, when this run is itself part of one that counts
        self._owner = os.getpid()

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Make the file before the first worker starts, and name it in the environment that workers inherit."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="ibm_quantum_tally_"))  # mode 0700
            path = folder / "tally"
            path.touch(mode=0o600, exist_ok=False)
        except OSError as exc:
            self._display.warning(f"quantum_usage counts nothing: no temporary file can be made ({exc})")
            return
        self._folder = folder
        self._before = os.environ.get(_tally.VARIABLE)
        os.environ[_tally.VARIABLE] = str(path)
        atexit.register(self._end)  # Ansible tells nobody of the end of a run that is broken off

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._end()

    def _end(self) -> None:
        """Read the file, remove it, tell. Once a playbook, and in the process that made it."""
        folder, self._folder = self._folder, None
        if folder is None or os.getpid() != self._owner:
            return
        atexit.unregister(self._end)
        os.environ.pop(_tally.VARIABLE, None)
        if self._before is not None:
            os.environ[_tally.VARIABLE] = self._before
        try:
            self._lines += (folder / "tally").read_text("utf-8", "replace").splitlines()
        except OSError as exc:
            self._display.warning(f"quantum_usage lost its counts: {exc}")
        shutil.rmtree(folder, ignore_errors=True)
        sums = _tally.sums(self._lines)
        self._show(sums)
        if self.get_option("file"):
            self._write(self.get_option("file"), sums)

    def _show(self, sums: dict[str, Any]) -> None:
        calls, jobs, seconds = sums["calls"], sums["jobs"], sums["qpu_seconds"]
        if not (calls["total"] or jobs["submitted"] or jobs["ended"]):
            return
        self._display.banner("IBM QUANTUM USAGE")
        self._display.display(
            f"API calls : {calls['total']} (IAM exchanges {calls['iam_token']}, Runtime {calls['runtime']}, "
            f"others {calls['other']})"
        )
        if not (jobs["submitted"] or jobs["ended"]):
            return
        ended = ", ".join(f"{status} {number}" for status, number in jobs["ended"].items()) or "none"
        left = f", {jobs['open']} of them not seen to end" if jobs["open"] else ""
        self._display.display(f"jobs      : submitted {jobs['submitted']}{left}; ended: {ended}")
        mine = (
            f", {seconds['submitted']} s of it to jobs submitted here"
            if seconds["submitted"] != seconds["total"]
            else ""
        )
        late = f"; billing still pending for {sums['billing_pending']}" if sums["billing_pending"] else ""
        self._display.display(f"QPU time  : {seconds['total']} s charged{mine}{late}")

    def _write(self, path: str, sums: dict[str, Any]) -> None:
        content = f"{json.dumps(sums, indent=2)}\n".encode()
        try:
            old = _files.read(path)
            mode = old.mode if old else 0o644
            _files.write(path, old, _files.File(content, mode, os.geteuid(), old.gid if old else -1))
        except (OSError, _files.Refused) as exc:
            self._display.warning(f"quantum_usage cannot write its file: {exc}")
