# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Credentials that only this host's systemd can decrypt: ``LoadCredentialEncrypted=``. Standard library only.

Encrypting the same secret twice gives two texts. So a record beside them says, by salted digests, which secret each
text holds: what has not changed is not encrypted again, and the steady state starts no process.

Source: systemd-creds(1), systemd.exec(5).

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import Target

ENDING = ".cred"
_RECORD = "sealed.json"
_TIMEOUT = 60


def sealed(targets: list[Target], directory: str, check_mode: bool) -> list[Target]:
    """The targets with those that end in :data:`ENDING` encrypted, and the record of them. In check mode a secret that
    would have to be encrypted is foretold by a placeholder. Raises :class:`OptionError` where the host cannot."""
    wanted = [target for target in targets if target.path.endswith(ENDING)]
    if not wanted:
        return targets
    path = os.path.join(directory, _RECORD)
    record = _read_json(path)
    salt, rows = str(record.get("salt") or secrets.token_hex(16)), dict(record.get("sealed") or {})
    new: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for target in wanted:
        name = os.path.basename(target.path)[: -len(ENDING)]
        present = _read(target.path)
        row = [_digest(salt, target.text), _digest(salt, present)]
        if not present or rows.get(name) != row:
            present = "to be encrypted\n" if check_mode else _encrypt(name, target.text)
        texts[target.path], new[name] = present, [row[0], _digest(salt, present)]
    text = json.dumps({"salt": salt, "sealed": new}, indent=1, sort_keys=True) + "\n"
    result = [t._replace(text=texts.get(t.path, t.text)) for t in targets]
    return [*result, Target(path, text, 0o600, 0, mark="")]


def _encrypt(name: str, secret: str) -> str:
    program = shutil.which("systemd-creds", path=os.defpath + ":/usr/sbin:/sbin")
    if program is None:
        raise OptionError(
            "services: secrets=encrypted needs systemd-creds (systemd 250 or later), which this host has not: "
            "use secrets=credentials"
        )
    argv = [program, f"--name={name}", "encrypt", "-", "-"]
    try:
        done = subprocess.run(argv, input=secret.encode(), capture_output=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        text = "services: secrets=encrypted: systemd-creds did not answer: use secrets=credentials"
        raise OptionError(text) from None
    if done.returncode != 0:
        reason = " ".join(done.stderr.decode("utf-8", "replace").split())[-300:]
        raise OptionError(f"services: secrets=encrypted: systemd-creds failed ({reason}): use secrets=credentials")
    return done.stdout.decode("ascii")


def _digest(salt: str, text: str) -> str:
    return hashlib.sha256((salt + text).encode("utf-8", "replace")).hexdigest()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _read_json(path: str) -> dict[str, Any]:
    try:
        data = json.loads(_read(path) or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
