# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the emulator: ``python -m tests.emulator``. See README.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import os
import shlex
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, Iterator

from tests.emulator import data

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from tests.emulator.app import Emulator
    from tests.emulator.backends import NoSnapshots, load
    from tests.emulator.engine import Engine, worker_python
    from tests.emulator.state import State
    from tests.emulator.tls import certificates
except ImportError as error:
    sys.exit(f"The emulator needs {error.name}. Run: python -m pip install -r tests/emulator/requirements.txt")


class Protocol(H11Protocol):
    """uvicorn's own, which also tells the application its transport, so that faults can cut the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        # asyncio does it only for sockets made with IPPROTO_TCP by name; without it an answer waits for Nagle, 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Server(uvicorn.Server):
    """One of several servers in this process: the signals are main()'s business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _address(text: str) -> tuple[str, int]:
    """``ADDR:PORT`` or ``[ADDR]:PORT`` with an IP address."""
    host, _sep, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDR:PORT, like 127.0.0.1:8765 or [::1]:8765") from None
    return host, number


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.emulator", description="A local IBM Quantum Platform.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8765, help="plain HTTP port, 0 for any (default: %(default)s)")
    parser.add_argument("--tls-port", type=_port, help="also serve HTTPS on this port, 0 for any")
    parser.add_argument("--ca-dir", type=Path, help="where the private CA is, or will be, kept (ca.pem)")
    parser.add_argument("--listen", type=_address, action="append", default=[], metavar="ADDR:PORT")
    parser.add_argument("--tls-listen", type=_address, action="append", default=[], metavar="ADDR:PORT")
    parser.add_argument("--ready-file", type=Path, help="JSON file to write when the emulator is ready")
    parser.add_argument(
        "--while-stdin", action="store_true", help="stop when standard input ends, so as not to outlive who holds it"
    )
    parser.add_argument(
        "--worker-python",
        metavar="PATH",
        help="Python with requirements-worker.txt, which runs the jobs; none for none",
    )
    parser.add_argument(
        "--backend", action="append", default=[], metavar="SNAPSHOT", help="one more of IBM's snapshots, such as manila"
    )
    parser.add_argument("--record", metavar="FILE", help="append every exchange to FILE as JSON lines, secrets reduced")
    arguments = parser.parse_args(argv)
    try:
        ipaddress.ip_address(arguments.host)
    except ValueError:
        parser.error(f"--host {arguments.host}: not an IP address")
    return arguments


def _listen(addresses: list[tuple[str, int]]) -> list[socket.socket]:
    found = []
    for host, port in addresses:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            found.append(socket.create_server((host, port), family=family, backlog=1024))
        except OSError as error:
            sys.exit(f"cannot listen on {host} port {port}: {error.strerror}")
    return found


def _url(scheme: str, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _write_ready(path: Path, ready: dict[str, Any]) -> None:
    """Atomically, and for the owner only: it has the control token."""
    handle, name = tempfile.mkstemp(dir=path.resolve().parent)
    with os.fdopen(handle, "w") as file:
        json.dump(ready, file)
    os.replace(name, path)


def _exports(ready: dict[str, Any]) -> str:
    lines = [
        f"The emulator is ready at {ready['url']}" + (f" and {ready['tls_url']}" if ready["tls_url"] else ""),
        "In another terminal:",
        f"  export IQP_API_TOKEN={ready['api_key']}",
        f"  export QISKIT_IBM_INSTANCE={shlex.quote(ready['instance'])}",
        f"  export IAM_URL={ready['url']}",
        f"  export IBM_QUANTUM_RUNTIME_URL={ready['url']}/api",
    ]
    if ready["ca_file"]:
        lines.append(f"HTTPS clients must trust {ready['ca_file']} (option ca_path).")
    return "\n".join([*lines, "Ctrl+C stops it."])


async def _serve(emulator: Emulator, arguments: argparse.Namespace, ca_dir: Path | None) -> None:
    plain = _listen([(arguments.host, arguments.port), *arguments.listen])
    tls_addresses = list(arguments.tls_listen)
    if arguments.tls_port is not None:
        tls_addresses.insert(0, (arguments.host, arguments.tls_port))
    secure = _listen(tls_addresses)
    options: dict[str, Any] = {
        "http": Protocol,
        "ws": "none",
        "lifespan": "off",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": 1,
    }
    servers = [(Server(uvicorn.Config(emulator, **options)), plain)]
    ca_file = None
    if secure and ca_dir:
        ca_file, server_file = certificates(ca_dir, [host for host, _port in tls_addresses])
        servers.append((Server(uvicorn.Config(emulator, ssl_certfile=str(server_file), **options)), secure))

    def stop() -> None:
        for server, _sockets in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()

    def at_input() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if arguments.while_stdin:
        loop.add_reader(sys.stdin.fileno(), at_input)
    running = [asyncio.ensure_future(server.serve(sockets)) for server, sockets in servers]
    while not all(server.started for server, _sockets in servers) and not any(task.done() for task in running):
        await asyncio.sleep(0.01)
    ready = {
        "pid": os.getpid(),
        "url": _url("http", plain[0]),
        "tls_url": _url("https", secure[0]) if secure else None,
        "listeners": [_url("http", each) for each in plain] + [_url("https", each) for each in secure],
        "ca_file": str(ca_file) if ca_file else None,
        "api_key": data.API_KEY,
        "instance": data.INSTANCE_US,
        "control_token": emulator.state.control_token,
    }
    if arguments.ready_file:
        _write_ready(arguments.ready_file, ready)
    if sys.stdout.isatty() or not arguments.ready_file:
        print(_exports(ready), flush=True)
    await asyncio.gather(*running)
    await emulator.state.engine.stop()


def main(argv: list[str] | None = None) -> None:
    arguments = _arguments(argv)
    try:
        state = State(load(arguments.backend), Engine(worker_python(arguments.worker_python)))
    except NoSnapshots as error:
        sys.exit(str(error))
    with contextlib.ExitStack() as stack:
        ca_dir = arguments.ca_dir
        if ca_dir is None and (arguments.tls_listen or arguments.tls_port is not None):
            ca_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emulator-ca-")))
        asyncio.run(_serve(Emulator(state, arguments.record), arguments, ca_dir))


if __name__ == "__main__":
    main()
