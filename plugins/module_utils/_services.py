# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""systemd units whose environment changes: told to systemd, and restarted where that is asked for. Stdlib only.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import Refused
from ansible_collections.ibm_quantum.platform.plugins.module_utils._scopes import DROP_IN, Service

_NAME = re.compile(r"[A-Za-z0-9:_.@\\-]+\.service\Z")
_TIMEOUT = 90


def unit_name(name: str, place: str) -> str:
    """A service's full name. Raises :class:`OptionError`."""
    full = name if name.endswith(".service") else f"{name}.service"
    if not _NAME.match(full) or full.startswith("."):
        raise OptionError(
            f"{place}.name {name!r} is no name of a systemd service, such as jupyterhub or worker@.service"
        )
    return full


def is_drop_in(path: str) -> bool:
    """Whether a file is one of the collection's drop-ins."""
    return path.endswith(f".service.d/{DROP_IN}")


def concerns_services(path: str, directory: str) -> bool:
    """Whether a service's processes could have something else from a file: a drop-in, or what drop-ins lead to."""
    folder, name = os.path.split(path)
    values = folder == directory and name.endswith(("environment", "secrets.env"))
    return is_drop_in(path) or values or folder == os.path.join(directory, "credentials")


def tell(changed: Sequence[str], services: Sequence[Service], run: str = "/run/systemd/system") -> None:
    """Make systemd see changed files, and restart those services that want it and run. Nothing is to be done where
    systemd does not run. Raises Refused, with what systemctl says; the next run does it again."""
    if not changed or not os.path.isdir(run):
        return
    systemctl = shutil.which("systemctl", path=os.defpath + ":/usr/sbin:/sbin") or "systemctl"
    if any("/systemd/system/" in path for path in changed):
        _call([systemctl, "daemon-reload"])
    for service in services:
        if service.restart:
            # A template has instances; the pattern leads to those that run
            _call([systemctl, "try-restart", service.name.replace("@.service", "@*.service")])


def _call(argv: list[str]) -> None:
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_TIMEOUT, check=False)
        if done.returncode == 0:
            return
        reason = " ".join(done.stdout.decode("utf-8", "replace").split())[-300:] or "no reason given"
    except subprocess.TimeoutExpired:
        reason = f"no end after {_TIMEOUT} s"
    except OSError as error:
        reason = str(error.strerror)
    command = " ".join(["systemctl", *argv[1:]])
    raise Refused(f"The files are written, but {command} failed: {reason}. Mend that, then run this again")
