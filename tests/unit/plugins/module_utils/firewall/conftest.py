# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Iterator

import pytest


@pytest.fixture
def nft_command() -> Iterator[list[str]]:
    """How to run the real command in a network namespace of its own."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "nft"))):
        pytest.skip("needs root, util-linux and nftables")
    holder = subprocess.Popen(
        ["unshare", "--net", sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(300)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            pytest.skip("no network namespaces here")
        yield ["nsenter", "--net", f"--target={holder.pid}", shutil.which("nft") or "nft"]
    finally:
        holder.kill()
        holder.wait(10)
