# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import archive

# The archive of the archive: it is built from itself, and tells where its code came from.
REBUILD = """
import sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import archive
assert archive.__file__.startswith(sys.argv[1])
sys.stdout.buffer.write(archive.build())
"""


def test_the_archive_is_complete_and_the_same_from_wherever_it_is_built(tmp_path: Path) -> None:
    path = tmp_path / "egress.pyz"
    path.write_bytes(archive.build())
    again = subprocess.run(
        [sys.executable, "-I", "-c", REBUILD, str(path)], stdout=subprocess.PIPE, timeout=60, check=True
    )
    assert again.stdout == path.read_bytes()


def test_the_archive_runs_alone(tmp_path: Path) -> None:
    path = tmp_path / "egress.pyz"
    path.write_bytes(archive.build())
    wrong = subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert wrong.returncode == 2 and wrong.stdout.startswith("usage:") and wrong.stderr == ""
