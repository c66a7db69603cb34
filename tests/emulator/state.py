# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that the emulator remembers, and nothing of HTTP: keys, tokens, instances, work. A reset makes it new."""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.emulator import data
from tests.emulator.backends import Backend
from tests.emulator.clock import Clock
from tests.emulator.engine import Engine
from tests.emulator.faults import Faults
from tests.emulator.journal import Journal
from tests.emulator.settings import Settings
from tests.emulator.work import Work

_ISSUER = "https://iam.cloud.ibm.com/identity"


@dataclass
class ApiKey:
    """A platform API key. ``expires`` in seconds since the epoch, 0 for never."""

    id: str
    value: str
    name: str
    iam_id: str
    account_id: str
    description: str = ""
    locked: bool = False
    disabled: bool = False
    expires: float = 0.0
    expires_at: str = ""
    created_at: str = ""
    modified_at: str = ""
    support_sessions: bool = False
    action_when_leaked: str = "none"
    version: int = 1

    @property
    def entity_tag(self) -> str:
        return f"{self.version}-{self.id[-8:]}"


@dataclass
class Instance:
    """A quantum instance. ``parameters`` echo the last change; ``limit``, ``allocation``, ``backends`` are in force."""

    crn: str
    name: str
    plan_id: str
    resource_group_id: str
    created_at: str
    updated_at: str
    consumed: int = 0
    state: str = "active"
    tags: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None
    allocation: int | None = None
    backends: list[str] = field(default_factory=lambda: ["ANY"])

    @property
    def guid(self) -> str:
        return self.crn.split(":")[7]

    @property
    def region(self) -> str:
        return self.crn.split(":")[5]

    @property
    def account_id(self) -> str:
        return self.crn.split(":")[6].partition("/")[2]

    def apply(self, parameters: dict[str, Any]) -> None:
        """Take parameters whole: what they leave out is wiped, as IBM's resource controller does."""
        self.parameters = dict(parameters)
        limit, allocation = parameters.get("instance_limit_seconds"), parameters.get("usage_allocation_seconds")
        self.limit = int(limit) if limit is not None else None
        self.allocation = int(allocation) if allocation is not None else None
        if self.plan_id == data.PLAN_OPEN:
            self.limit = self.limit if "instance_limit_seconds" in parameters else 600
        self.backends = list(parameters.get("backends", ["ANY"]))


class BadToken(Exception):
    """The bearer token is not one that this emulator signed, or is too old."""


class State:
    """The emulator's memory. ``reset`` puts all of it back but the signing key, so that old tokens stay good."""

    def __init__(self, backends: list[Backend], engine: Engine) -> None:
        self.backends = backends
        self.engine = engine
        self.work = Work(self)
        self.control_token = secrets.token_urlsafe(24)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = "emulator-" + secrets.token_hex(4)
        self.reset()

    def reset(self) -> None:
        self.work.close()
        self.work = Work(self)
        self.clock = Clock()
        self.settings = Settings()
        self.journal = Journal()
        self.faults = Faults()
        self.tokens: list[str] = []
        self.revoked: set[str] = set()
        self.keys: dict[str, ApiKey] = {}
        self._all_keys = [data.API_KEY, data.EXPIRED_API_KEY, data.OTHER_API_KEY]
        now = self.clock.iso()
        seeds = (
            (data.API_KEY, "fleet", data.IAM_ID, data.ACCOUNT_ID),
            (data.EXPIRED_API_KEY, "last-year", data.IAM_ID, data.ACCOUNT_ID),
            (data.OTHER_API_KEY, "other", data.OTHER_IAM_ID, data.OTHER_ACCOUNT_ID),
        )
        for value, name, iam_id, account in seeds:
            key = ApiKey(self._key_id(), value, name, iam_id, account, created_at=now, modified_at=now)
            if value == data.EXPIRED_API_KEY:
                key.expires, key.expires_at = self.clock.now() - 86400, self.clock.iso(-86400)[:16] + "+0000"
            self.keys[key.id] = key
        self.instances: dict[str, Instance] = {}
        for seed in data.INSTANCES:
            instance = Instance(
                seed.crn, seed.name, seed.plan_id, data.RESOURCE_GROUP_ID, now, now, seed.consumed, tags=["services"]
            )
            instance.apply(seed.parameters)
            self.instances[seed.crn] = instance
        self.workloads = _workloads(self.clock)

    # Keys

    @staticmethod
    def _key_id() -> str:
        return f"ApiKey-{uuid.uuid4()}"

    def new_key(self, name: str, iam_id: str, account_id: str, value: str = "") -> ApiKey:
        """Make a key and remember its value, also after its deletion, for the leak tests."""
        now = self.clock.iso()
        value = value or secrets.token_urlsafe(33)  # 33 bytes are 44 characters
        key = ApiKey(self._key_id(), value, name, iam_id, account_id, created_at=now, modified_at=now)
        self.keys[key.id] = key
        self._all_keys.append(value)
        return key

    def key_by_value(self, value: str) -> ApiKey | None:
        return next((key for key in self.keys.values() if key.value == value), None)

    def key_expired(self, key: ApiKey) -> bool:
        return bool(key.expires) and key.expires <= self.clock.now()

    # Tokens

    def issue(self, iam_id: str, account_id: str, grant_type: str, extra: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Sign a token. Returns it and its claims, those that readers of IBM's tokens rely on."""
        now = int(self.clock.now())
        claims = {
            "iam_id": iam_id,
            "id": iam_id,
            "realmid": iam_id.partition("-")[0],
            "jti": uuid.uuid4().hex,
            "identifier": iam_id.partition("-")[2],
            "sub": iam_id,
            "account": {"valid": True, "bss": account_id, "frozen": True},
            "iat": now,
            "exp": now + self.settings.token_lifetime,
            "iss": _ISSUER,
            "grant_type": grant_type,
            "scope": "ibm openid",
            "client_id": "default",
            "acr": 1,
            "amr": ["pwd"],
            **extra,
        }
        token = jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.kid})
        self.tokens.append(token)
        return token, claims

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token. Raises :class:`BadToken`: forged, expired by the emulator's clock, or revoked."""
        try:  # PyJWT would compare with the machine's clock
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
            )
        except jwt.PyJWTError as error:
            raise BadToken(str(error)) from None
        if claims.get("exp", 0) <= self.clock.now():
            raise BadToken("expired")
        if claims.get("jti") in self.revoked:
            raise BadToken("revoked")
        return claims

    def revoke_all(self) -> int:
        """Every token issued so far is refused from now on. Returns how many there are."""
        for token in self.tokens:
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            self.revoked.add(claims["jti"])
        return len(self.tokens)

    def jwks(self) -> dict[str, Any]:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        key.pop("key_ops", None)
        return {"keys": [{**key, "alg": "RS256", "kid": self.kid, "use": "sig"}]}

    def secrets(self) -> dict[str, list[str]]:
        """Everything that must appear nowhere, in clear."""
        return {"tokens": list(self.tokens), "api_keys": list(self._all_keys), "cr_tokens": [data.CR_TOKEN]}

    def all_secrets(self) -> list[str]:
        return [value for values in self.secrets().values() for value in values]

    # Instances and backends

    def consumed(self, instance: Instance) -> int:
        """Seconds of QPU time in this period: a test's setting or the seed, and what jobs used since."""
        return self.settings.usage.get(instance.crn, instance.consumed) + self.work.charged(instance.crn)

    def devices(self, instance: Instance) -> list[Backend]:
        """The backends that an instance may use."""
        here = [backend for backend in self.backends if backend.seed.region == instance.region]
        return here if "ANY" in instance.backends else [b for b in here if b.name in instance.backends]

    def backend(self, name: str) -> Backend | None:
        return next((backend for backend in self.backends if backend.name == name), None)


def _workloads(clock: Clock) -> list[dict[str, Any]]:
    """A small history of INSTANCE_US, the newest first, an hour between two of them."""
    kinds = (("job", "completed"), ("session", "completed"), ("job", "failed"), ("batch", "canceled"))
    rows = []
    for number in range(23):
        mode, status = ("job", "pending") if number == 0 else kinds[number % len(kinds)]
        row: dict[str, Any] = {
            "id": f"d{number:03d}emulator{number:08x}",
            "created": clock.iso(-3600.0 * (number + 1)),
            "backend": ("ibm_fez", "ibm_torino")[number % 2],
            "instance": data.INSTANCE_US,
            "user_id": data.IAM_ID,
            "mode": mode,
            "status": status,
            "tags": ["nightly", f"run-{number:02d}"] if number % 3 == 0 else [],
        }
        if mode != "job":
            row["accepting_jobs"] = False
        if status != "pending":
            row["ended"] = clock.iso(-3600.0 * (number + 1) + 120)
            row["usage"] = {"qpu_charge_time_seconds": 3 + number}
            if mode == "job":
                row["usage"]["status"] = "complete"
        if status == "failed":
            row["status_reason"] = "The circuit is too deep for the backend."
        rows.append(row)
    return rows
