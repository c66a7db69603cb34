# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Isolation of all unit tests: an own home, no credentials, no pauses, nothing kept from the test before."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

try:  # the modules' tests may run where only ansible.module_utils is
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig
except ImportError:
    pass
else:
    if AnsibleCollectionConfig.collection_finder is None:  # ansible-test brings its own
        init_plugin_loader([str(Path(__file__).resolve().parents[2] / ".ansible" / "collections")])

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _http, _iam
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import Script

VARIABLES = (
    *("IQP_API_TOKEN", "QISKIT_IBM_TOKEN", "IBMCLOUD_API_KEY", "QISKIT_IBM_INSTANCE", "IBM_QUANTUM_RUNTIME_URL"),
    *("IAM_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("SSL_CERT_FILE", "NETRC", "XDG_CACHE_HOME", "XDG_STATE_HOME", "IBM_QUANTUM_TALLY"),
)


@pytest.fixture(autouse=True)
def isolation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, folder in (("HOME", "home"), ("XDG_RUNTIME_DIR", "run")):
        path = tmp_path / folder
        path.mkdir(mode=0o700)
        monkeypatch.setenv(name, str(path))
    monkeypatch.setattr(_iam, "_MEMORY", {})
    monkeypatch.setattr(_http, "_SESSIONS", {})


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made, in seconds."""
    made: list[float] = []
    defaults = _http.Http.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "sleep", made.append)
    return made


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """The folder of the shared token cache."""
    return tmp_path / "run" / "ibm_quantum" / "tokens"


@pytest.fixture
def ibm() -> Iterator[Script]:
    """IBM, scripted; a test without any expectation asserts that nothing is sent."""
    with Script() as script:
        yield script
