# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program: options, listeners, TLS, what it writes and prints, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable
from urllib.parse import urlsplit

import pytest
from cryptography import x509

pytest.importorskip("uvicorn", reason="tests/emulator/requirements.txt is not installed")

from tests.emulator import backends, data
from tests.emulator.__main__ import main
from tests.emulator.backends import NoSnapshots
from tests.emulator.testing import EmulatorError, EmulatorProcess
from tests.emulator.tls import certificates
from tests.unit.emulator.client import Client

ROOT = Path(__file__).resolve().parents[3]


def test_https_with_the_private_ca_and_keep_alive(emulator: EmulatorProcess, client: Client) -> None:
    client.verify = emulator.ca_file
    url = f"{emulator.tls_url}/api/v1/versions"
    assert [client.get(url).status_code for _turn in range(3)] == [200] * 3
    rows = emulator.journal()
    assert {row["url"] for row in rows} == {url}
    assert len({row["connection"] for row in rows}) == 1


@pytest.mark.parametrize("name", ["localhost", *data.HOSTS])
def test_the_certificate_is_good_for_every_name(process: EmulatorProcess, name: str) -> None:
    parts = urlsplit(process.tls_url)
    context = ssl.create_default_context(cafile=process.ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as plain, context.wrap_socket(
        plain, server_hostname=name
    ) as channel:
        assert channel.version() in ("TLSv1.2", "TLSv1.3")


def test_nobody_else_trusts_it(process: EmulatorProcess) -> None:
    parts = urlsplit(process.tls_url)
    context = ssl.create_default_context()
    address = (parts.hostname or "", parts.port or 0)
    with socket.create_connection(address, timeout=20) as plain, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_the_ca_is_kept_and_the_keys_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    ca_file, server_file = certificates(folder)
    first = ca_file.read_bytes()
    assert certificates(folder, ["192.0.2.7", "0.0.0.0"]) == (ca_file, server_file)
    assert ca_file.read_bytes() == first
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {
        "ca.pem": "0o644",
        "ca-key.pem": "0o600",
        "server.pem": "0o600",
    }
    certificate = x509.load_pem_x509_certificate(server_file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "::1", "192.0.2.7"}
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(first))


def test_many_listeners_one_memory(tmp_path: Path) -> None:
    arguments = ["--listen", "127.0.0.2:0", "--tls-listen", "127.0.0.3:0"]
    six = _has_ipv6()
    if six:
        arguments += ["--listen", "[::1]:0"]
    with EmulatorProcess(tls=True, ca_dir=tmp_path / "ca", args=arguments) as emulator, Client(emulator) as client:
        client.verify = emulator.ca_file
        listeners = emulator.ready["listeners"]
        assert len(listeners) == 4 + six
        for url in listeners:
            assert client.get(f"{url}/api/v1/versions").status_code == 200
        assert [row["url"] for row in emulator.journal()] == [f"{url}/api/v1/versions" for url in listeners]


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_the_ready_file(process: EmulatorProcess) -> None:
    ready = process.ready
    assert set(ready) >= {"pid", "url", "tls_url", "ca_file", "api_key", "instance", "control_token"}
    assert (ready["api_key"], ready["instance"]) == (data.API_KEY, data.INSTANCE_US)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", ready["url"])
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+", ready["tls_url"])


def test_env(process: EmulatorProcess) -> None:
    assert process.env() == {
        "IQP_API_TOKEN": data.API_KEY,
        "QISKIT_IBM_INSTANCE": data.INSTANCE_US,
        "IAM_URL": process.url,
        "IBM_QUANTUM_RUNTIME_URL": f"{process.url}/api",
    }
    assert process.env(tls=True)["IBM_QUANTUM_RUNTIME_URL"] == f"{process.tls_url}/api"


def test_without_tls_there_is_no_tls_url() -> None:
    with EmulatorProcess() as emulator:
        assert emulator.ready["tls_url"] is None
        with pytest.raises(EmulatorError, match="tls=True"):
            emulator.tls_url  # noqa: B018 - the access is the test


def test_sigterm_ends_it_with_connections_open(tmp_path: Path) -> None:
    emulator = EmulatorProcess().start()
    try:
        with Client(emulator) as client:
            client.get("/api/v1/versions")
            os.kill(emulator.pid, signal.SIGTERM)
            process = emulator._process
            assert process is not None
            assert process.wait(20) == 0
            assert emulator.log == ""
    finally:
        emulator.stop()


def test_it_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "tests.emulator", "--port", "0", "--while-stdin", "--ready-file", str(ready)]
    starter = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, time; subprocess.Popen({command!r}, stdin=-1); time.sleep(60)"],
        cwd=ROOT,
    )
    try:
        assert wait_for(ready.exists)
    finally:
        starter.kill()
        starter.wait(20)
    pid = json.loads(ready.read_text())["pid"]
    assert wait_for(lambda: not Path(f"/proc/{pid}").exists() or state_of(pid) == "Z")


def wait_for(what: Callable[[], bool], timeout: float = 30) -> bool:
    deadline = time.monotonic() + timeout
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)
    return what()


def state_of(pid: int) -> str:
    """R, S or, of one that has ended and that nobody asked for, Z."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.emulator", *arguments]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--port", "x"], "'x' is not a port"),
        (["--port", "65536"], "is not a port"),
        (["--host", "localhost"], "not an IP address"),
        (["--listen", "127.0.0.1"], "is not ADDR:PORT"),
        (["--listen", "host:80"], "is not ADDR:PORT"),
        (["--port", "0", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1 port 0"),
    ],
)
def test_wrong_options_are_explained(arguments: list[str], text: str) -> None:
    result = run(*arguments)
    assert result.returncode != 0
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_a_taken_port_is_explained(process: EmulatorProcess) -> None:
    port = str(urlsplit(process.url).port)
    result = run("--port", port)
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in result.stderr


def test_a_failed_start_shows_the_reason() -> None:
    with pytest.raises(EmulatorError, match="not an IP address"):
        EmulatorProcess(args=["--host", "nowhere"]).start()


def test_it_prints_what_to_export() -> None:
    command = [sys.executable, "-u", "-m", "tests.emulator", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl+C"):
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    text = "".join(lines)
    url = re.search(r"ready at (http://127\.0\.0\.1:\d+)", text)
    assert url
    assert f"export IQP_API_TOKEN={data.API_KEY}" in text
    assert f"export QISKIT_IBM_INSTANCE={data.INSTANCE_US}" in text
    assert f"export IAM_URL={url[1]}" in text
    assert f"export IBM_QUANTUM_RUNTIME_URL={url[1]}/api" in text


def test_missing_snapshots_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(NoSnapshots, match="pip install --no-deps -r tests/emulator/requirements-data.txt"):
        backends.load()
    with pytest.raises(SystemExit, match="pip install --no-deps"):
        main(["--port", "0"])


def test_a_snapshot_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSnapshots, match="no snapshot 'atlantis'"):
        backends.Backend(data.BackendSeed("atlantis", "us-east", "online", 0), tmp_path)


def test_qiskit_is_not_imported() -> None:
    code = "import sys, tests.emulator.backends as b; b.load()[0].facts; print('qiskit' in sys.modules)"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=60, check=True)
    assert result.stdout == "False\n", result.stderr
