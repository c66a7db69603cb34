# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session for the emulator's tests."""

from __future__ import annotations

import time
from typing import Any

import requests

from tests.emulator import data
from tests.emulator.testing import EmulatorProcess

GRANT = "urn:ibm:params:oauth:grant-type:apikey"


class Client(requests.Session):
    """A session that no proxy variable touches, with shorthands for this emulator."""

    def __init__(self, emulator: EmulatorProcess) -> None:
        super().__init__()
        self.trust_env = False
        self.emulator = emulator

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", 30)
        full = url if "://" in url else self.emulator.url + url
        return super().request(method, full, *args, **kwargs)

    def exchange(self, key: str = data.API_KEY, **headers: str) -> requests.Response:
        return self.post("/identity/token", data={"grant_type": GRANT, "apikey": key}, headers=headers)

    def token(self, key: str = data.API_KEY) -> str:
        reply = self.exchange(key)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["access_token"])

    def login(self, key: str = data.API_KEY, instance: str = data.INSTANCE_US) -> Client:
        self.headers.update({"Authorization": f"Bearer {self.token(key)}", "Service-CRN": instance})
        return self

    # Jobs, of a client that is logged in

    def submit(self, status: int = 200, **changes: Any) -> dict[str, Any]:
        """Submit a Bell circuit; ``changes`` are fields of the body, and None takes one away."""
        params = {"pubs": [[data.BELL, None, 100]], "version": 2}
        given = {"program_id": "sampler", "backend": "ibm_fez", "params": params, **changes}
        body = {name: value for name, value in given.items() if value is not None}
        reply = self.post("/api/v1/jobs", json=body)
        assert reply.status_code == status, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    def job(self, identifier: str) -> dict[str, Any]:
        reply = self.get(f"/api/v1/jobs/{identifier}?exclude_params=true")
        assert reply.status_code == 200, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    def ended(self, identifier: str) -> dict[str, Any]:
        """The job once it has ended by itself; the built-in simulator needs milliseconds for it."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            job = self.job(identifier)
            if job["state"]["status"] not in ("Queued", "Running"):
                return job
            time.sleep(0.005)
        raise AssertionError(f"job {identifier} does not end")
