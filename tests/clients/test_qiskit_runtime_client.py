# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IBM's own clients, unmodified, against the emulator: qiskit-ibm-runtime and ibm-platform-services."""

from __future__ import annotations

from pathlib import Path

from tests.clients.client import MARKS, run
from tests.emulator import data
from tests.emulator.testing import EmulatorProcess

pytestmark = MARKS

RUNTIME = """
import json, warnings
warnings.simplefilter("ignore")
from qiskit_ibm_runtime import QiskitRuntimeService
service = QiskitRuntimeService()
backend = service.backend("ibm_fez")
print(json.dumps({
    "instances": service.instances(),
    "active": service.active_instance(),
    "backends": [b.name for b in service.backends()],
    "operational": [b.name for b in service.backends(operational=True, min_num_qubits=150)],
    "least_busy": service.least_busy().name,
    "usage": service.usage(),
    "qubits": backend.configuration().n_qubits,
    "t1": backend.properties().t1(0),
    "status": backend.status().to_dict(),
    "target": backend.target.num_qubits,
}, default=str))
"""


def test_the_runtime_service(emulator: EmulatorProcess, tmp_path: Path) -> None:
    found = run(emulator, tmp_path, RUNTIME)
    plans = {row["name"]: (row["crn"], row["plan"], row["pricing_type"]) for row in found["instances"]}
    assert plans == {
        "fleet-us": (data.INSTANCE_US, "flex", "subscription"),
        "fleet-de": (data.INSTANCE_DE, "premium", "subscription"),
        "playground": (data.INSTANCE_OPEN, "open", "free"),
    }
    assert found["active"] == data.INSTANCE_US
    assert set(found["backends"]) >= {"ibm_fez", "ibm_torino", "ibm_kingston"}
    assert found["operational"] == ["ibm_fez", "ibm_kingston"]
    assert found["least_busy"] == "ibm_torino"
    assert found["usage"]["usage_consumed_seconds"] == 1834
    assert found["usage"]["usage_remaining_seconds"] == 8166
    assert found["qubits"] == found["target"] == 156
    assert found["t1"] > 0
    assert found["status"]["operational"] is True
    rows = emulator.journal()
    assert {row["status"] for row in rows} == {200}
    versions = {row["headers"].get("ibm-api-version") for row in rows if row["service"] == "runtime"}
    assert versions <= {version for version, _sunset, _status in data.VERSIONS}
    assert not any(row["headers"].get("authorization", "").startswith("apikey") for row in rows)


def test_an_instance_by_its_name(emulator: EmulatorProcess, tmp_path: Path) -> None:
    found = run(emulator, tmp_path, RUNTIME, QISKIT_IBM_INSTANCE="fleet-us")
    assert found["active"] == data.INSTANCE_US


def test_the_other_region_by_its_host_name(emulator: EmulatorProcess, tmp_path: Path) -> None:
    """The client computes IBM's host names itself, over plain HTTP and with the emulator as its proxy."""
    script = """
import json
from qiskit_ibm_runtime import QiskitRuntimeService
service = QiskitRuntimeService()
print(json.dumps(sorted(backend.name for backend in service.backends())))
"""
    found = run(
        emulator,
        tmp_path,
        script,
        http_proxy=emulator.url,
        no_proxy="",
        QISKIT_IBM_URL="http://cloud.ibm.com",
        QISKIT_IBM_INSTANCE=data.INSTANCE_DE,
        IAM_URL="http://iam.cloud.ibm.com",
        GLOBAL_SEARCH_URL="",
        GLOBAL_CATALOG_URL="",
    )
    assert found == ["ibm_aachen", "ibm_brussels", "ibm_strasbourg"]
    assert {row["host"] for row in emulator.journal()} == {
        "iam.cloud.ibm.com",
        "api.global-search-tagging.cloud.ibm.com",
        "globalcatalog.cloud.ibm.com",
        "eu-de.quantum.cloud.ibm.com",
    }


def test_a_wrong_key(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = """
import json
from qiskit_ibm_runtime import QiskitRuntimeService
try:
    QiskitRuntimeService()
except Exception as error:
    print(json.dumps(type(error).__name__))
"""
    assert run(emulator, tmp_path, script, QISKIT_IBM_TOKEN=data.UNKNOWN_API_KEY) == "InvalidAccountError"
    assert {row["status"] for row in emulator.exchanges()} == {400}


def test_the_platform_services(emulator: EmulatorProcess, tmp_path: Path) -> None:
    script = f"""
import json, os
from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import IAMAuthenticator
from ibm_platform_services import IamIdentityV1, ResourceControllerV2
from ibm_platform_services.resource_controller_v2 import ResourceInstancesPager
url = os.environ["EMULATOR_URL"]
login = IAMAuthenticator({data.API_KEY!r}, url=url)
iam = IamIdentityV1(authenticator=login); iam.set_service_url(url)
made = iam.create_api_key("sdk", {data.IAM_ID!r}).get_result()
iam.lock_api_key(made["id"]); iam.unlock_api_key(made["id"])
tag = iam.get_api_key(made["id"]).get_result()["entity_tag"]
iam.update_api_key(made["id"], tag, name="new")
details = iam.get_api_keys_details(iam_api_key=made["apikey"]).get_result()
names = [key["name"] for key in iam.list_api_keys(pagesize=100).get_result()["apikeys"]]
iam.delete_api_key(made["id"])
try:
    iam.get_api_key(made["id"])
except ApiException as error:
    gone = [error.status_code, error.message]
resources = ResourceControllerV2(authenticator=login); resources.set_service_url(url)
listed = [row["name"] for row in ResourceInstancesPager(client=resources, limit=2).get_all()]
made_instance = resources.create_resource_instance(
    name="sdk", target="us-east", resource_group={data.RESOURCE_GROUP_ID!r}, resource_plan_id={data.PLAN_PAYG!r},
).get_result()
changed = resources.update_resource_instance(
    id=made_instance["crn"], parameters={{"instance_limit_seconds": "60"}}
).get_result()
resources.delete_resource_instance(id=made_instance["guid"])
print(json.dumps({{"details": details["name"], "names": names, "gone": gone, "listed": listed,
    "limit": changed["extensions"]["instance_limit_seconds"]}}))
"""
    found = run(emulator, tmp_path, script)
    assert found == {
        "details": "new",
        "names": ["fleet", "last-year", "new"],
        "gone": [404, "Provided API key ID could not be found."],
        "listed": ["fleet-de", "playground", "fleet-us"],
        "limit": 60,
    }
