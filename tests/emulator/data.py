# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator's world at its start: accounts, keys, instances, plans, backends. Constants that tests may import.

Standard library only. Plan ids and the service id are IBM's own (guide "Access instances with platform APIs").
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple


def _load_endpoints() -> ModuleType:
    """The collection's catalogue of endpoints, by its path: the emulator runs without Ansible."""
    path = Path(__file__).resolve().parents[2] / "plugins" / "module_utils" / "_endpoints.py"
    spec = importlib.util.spec_from_file_location("_emulator_endpoints", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


#: Every host name that IBM documents: host -> (feature, region or None).
HOSTS: dict[str, tuple[str, Any]] = {e.host: (e.feature, e.region) for e in _load_endpoints().CATALOGUE}

ACCOUNT_ID = "5f2c8a1e9b7d4063ae51c0d4f8e6b927"
OTHER_ACCOUNT_ID = "c41d7e0b6a9f48d2b3758e1f0c6a2d94"

IAM_ID = "IBMid-5500EMUL8R"
OTHER_IAM_ID = "IBMid-5500OTHER1"

#: 44 characters, like every platform API key.
API_KEY = "Emu7Qx-k2VbT9wLr4NsYh0JdZc6PgAf1UeMoKi3Rt5Wq"
#: A key past its expires_at: the token endpoint refuses it.
EXPIRED_API_KEY = "Exp3Hn-w8ZrC5tGy1KuBq6MvXd0SjLa7PfRoTi2Ne9Uk"
#: A good key of another account: its tokens may not read the instances of ACCOUNT_ID.
OTHER_API_KEY = "Oth9Dm-f4YsK7vEw2RxJc5TnQb8GhUz3LaPiMo6Bt1Ve"
#: 44 characters that are nobody's key.
UNKNOWN_API_KEY = "Unk0Wn-a1Bc2De3Fg4Hi5Jk6Lm7No8Pq9Rs0Tu1Vw2Xy"

TRUSTED_PROFILE_ID = "Profile-0c2b3d54-8c1e-4f6e-9a57-6d1f2b7e8a90"
TRUSTED_PROFILE_NAME = "fleet-onboarding"
TRUSTED_PROFILE_CRN = f"crn:v1:bluemix:public:iam-identity::a/{ACCOUNT_ID}::profile:{TRUSTED_PROFILE_ID}"
#: What a compute resource finds in its token file.
CR_TOKEN = (
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImVtdWxhdG9yLWNyIn0."
    "eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6cXVhbnR1bTpmbGVldCJ9."
    "ZW11bGF0b3ItY29tcHV0ZS1yZXNvdXJjZS10b2tlbi1mb3ItdGVzdHM"
)

SERVICE_ID = "b6049020-80f4-11eb-a0f7-e35ec9b4054f"
RESOURCE_GROUP_ID = "7d2f4b8c1a3e45f69b0c8d7e6f5a4b3c"


class Plan(NamedTuple):
    """A service plan; ``pricing`` is Global Catalog's metadata.pricing.type."""

    name: str
    display_name: str
    pricing: str
    regions: tuple[str, ...]
    archived: bool = False  # the catalogue answers 403 for it


PLAN_OPEN = "850b21a7-71de-4e53-9441-1abdd202f35d"
PLAN_PAYG = "5304b575-3cff-4455-90dc-ae4367762093"
PLAN_FLEX = "53bde9d3-cdbb-46f5-a98f-60ebcadf7260"
PLAN_PREMIUM = "7f666d17-7893-47d8-bf9d-2b2389fc4dfc"
PLAN_ARCHIVED = "c8122eb7-fdb1-4746-841d-45bbc7678195"

PLANS = {
    PLAN_OPEN: Plan("open", "Open", "free", ("us-east",)),
    PLAN_PAYG: Plan("pay-as-you-go", "Pay-As-You-Go", "paygo", ("us-east", "eu-de")),
    PLAN_FLEX: Plan("flex", "Flex", "subscription", ("us-east", "eu-de")),
    PLAN_PREMIUM: Plan("premium", "Premium", "subscription", ("us-east", "eu-de")),
    PLAN_ARCHIVED: Plan("dedicated", "Dedicated", "subscription", ("us-east", "eu-de"), archived=True),
}


def crn(region: str, guid: str, account: str = ACCOUNT_ID) -> str:
    """The CRN of a quantum instance."""
    return f"crn:v1:bluemix:public:quantum-computing:{region}:a/{account}:{guid}::"


INSTANCE_US = crn("us-east", "9d0b5a52-6c3e-4f1b-8a7d-2e4c6f8b0a13")
INSTANCE_DE = crn("eu-de", "3e7f1c84-2b9d-4a60-95c8-d17a0e6b4f25")
INSTANCE_OPEN = crn("us-east", "60a8d2f7-1e4b-4c93-b5d6-f09c3a7e1b82")
OTHER_INSTANCE = crn("us-east", "a4c6e8f0-3b5d-4719-8e2a-6c0d4f8b1e37", OTHER_ACCOUNT_ID)
#: Well formed, but nobody's.
UNKNOWN_INSTANCE = crn("us-east", "00000000-0000-4000-8000-000000000000")


class InstanceSeed(NamedTuple):
    """An instance at the start; ``parameters`` as the resource controller takes them."""

    crn: str
    name: str
    plan_id: str
    parameters: dict[str, Any]
    consumed: int  # seconds of QPU time in this period


INSTANCES = (
    InstanceSeed(
        INSTANCE_US,
        "fleet-us",
        PLAN_FLEX,
        {"instance_limit_seconds": "10000", "usage_allocation_seconds": "12000"},
        1834,
    ),
    InstanceSeed(INSTANCE_DE, "fleet-de", PLAN_PREMIUM, {"usage_allocation_seconds": "36000"}, 250),
    InstanceSeed(INSTANCE_OPEN, "playground", PLAN_OPEN, {"backends": ["ibm_fez", "ibm_torino"]}, 600),
    InstanceSeed(OTHER_INSTANCE, "not-yours", PLAN_PAYG, {}, 0),
)


class BackendSeed(NamedTuple):
    """A backend at the start; its data is the snapshot of that name in IBM's qiskit-ibm-runtime package."""

    snapshot: str
    region: str
    status: str  # online, paused or offline
    queue: int
    reason: str = ""


#: The shortest queue of us-east belongs to a paused backend on purpose.
BACKENDS = (
    BackendSeed("fez", "us-east", "online", 4),
    BackendSeed("torino", "us-east", "online", 2),
    BackendSeed("kingston", "us-east", "online", 57),
    BackendSeed("marrakesh", "us-east", "paused", 0, "calibration"),
    BackendSeed("miami", "us-east", "offline", 1, "maintenance"),
    BackendSeed("aachen", "eu-de", "online", 11),
    BackendSeed("brussels", "eu-de", "online", 3),
    BackendSeed("strasbourg", "eu-de", "paused", 0, "calibration"),
)

#: A Bell circuit as IBM's processors take it: transpiled, on the connected qubits 0 and 1.
BELL = """OPENQASM 3.0;
include "stdgates.inc";
bit[2] meas;
rz(pi/2) $0;
sx $0;
rz(pi/2) $0;
rz(pi/2) $1;
sx $1;
rz(pi/2) $1;
cz $0, $1;
rz(pi/2) $1;
sx $1;
rz(pi/2) $1;
barrier $0, $1;
meas[0] = measure $0;
meas[1] = measure $1;
"""

#: GET /v1/versions: version, sunset date, status. Live is what IBM's clients of today send.
VERSIONS = (
    ("2024-01-01", "2027-01-01", "deprecated"),
    ("2025-01-01", "2027-01-01", "deprecated"),
    ("2025-05-01", "2027-01-01", "deprecated"),
    ("2026-02-01", "2027-02-01", "deprecated"),
    ("2026-02-15", "2027-02-15", "deprecated"),
    ("2026-03-15", "2027-03-15", "deprecated"),
    ("2026-04-15", "", "live"),
)
