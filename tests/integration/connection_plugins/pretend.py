# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that is not local as far as Ansible knows, yet stays on this machine, and notes every command."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pretend
short_description: A host elsewhere, for the tests
description:
  - Runs everything here and appends each command to the file that E(PRETEND_FILE) names.
options:
  become_success_timeout:
    description: As in the plugin local.
    type: int
    default: 10
  become_strip_preamble:
    description: As in the plugin local.
    type: bool
    default: true
extends_documentation_fragment:
  - connection_pipelining
"""

import os
from typing import Any

from ansible.plugins.connection.local import Connection as Local


class Connection(Local):
    transport = "pretend"

    def exec_command(self, cmd: str, *args: Any, **kwargs: Any) -> tuple[int, bytes, bytes]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(os.open(os.environ["PRETEND_FILE"], flags, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{cmd}\n")
        found: tuple[int, bytes, bytes] = super().exec_command(cmd, *args, **kwargs)
        return found
