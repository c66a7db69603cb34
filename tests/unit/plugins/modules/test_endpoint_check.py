# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, against real servers on this machine; the catalogue's hosts are never looked up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import yaml

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _endpoints, _expectations
from ansible_collections.ibm_quantum.platform.plugins.module_utils._probe import REMEDIES, probe
from ansible_collections.ibm_quantum.platform.plugins.modules import endpoint_check
from ansible_collections.ibm_quantum.platform.tests.unit.invocation import SHOW_INVOCATION
from ansible_collections.ibm_quantum.platform.tests.unit.plugins.servers import (
    Authority,
    Server,
    closed_port,
    http_answer,
    speak_http,
)

LOCAL = "127.0.0.1"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "Lab CA")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(Server(*args, **kwargs))


class Answer:
    """What the module said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.output = done.stdout + done.stderr
        assert "Traceback" not in self.output, self.output
        self.result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])

    def words(self) -> list[tuple[str, bool]]:
        return [(row["diagnosis"], row["ok"]) for row in self.result["endpoints"]]


def check(env: dict[str, str] | None = None, **params: Any) -> Answer:
    params = {"features": [], "timeout": 5, **params}
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return Answer(
        subprocess.run(
            [sys.executable, "-m", endpoint_check.__name__],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {**params, **SHOW_INVOCATION}}),
            env={**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    )


def plain(port: int, **more: Any) -> dict[str, Any]:
    return {"host": LOCAL, "port": port, "tls": False, **more}


def test_reachable_and_blocked_in_one_run(authority: Authority, serve: Callable[..., Server]) -> None:
    secured = serve(speak_http(http_answer(404)), authority.server_context("localhost"))
    rows = [
        {"host": "localhost", "port": secured.port, "path": "/x"},
        plain(serve(speak_http(http_answer(200))).port),
        plain(closed_port(), expect="blocked"),
    ]
    answer = check(endpoints=rows, ca_path=str(authority.path), _ansible_check_mode=True)
    assert answer.result["changed"] is False and "msg" not in answer.result
    assert answer.words() == [("ok", True), ("ok", True), ("refused", True)]
    assert answer.result["reachable"] == 2 and answer.result["failed_endpoints"] == []
    assert [row["status"] for row in answer.result["endpoints"]] == [404, 200, None]
    assert secured.requests[0].startswith(b"GET /x HTTP/1.1\r\n")


def test_every_mismatch_is_told_with_its_remedy(serve: Callable[..., Server]) -> None:
    port, closed = serve(speak_http(http_answer(200))).port, closed_port()
    broken = serve(speak_http(http_answer(503))).port
    rows = [plain(port, expect="blocked"), plain(closed), plain(port), plain(broken, expect="blocked")]
    result = check(endpoints=rows).result
    assert result["failed"] and result["failed_endpoints"] == [f"{LOCAL}:{p}" for p in (port, closed, broken)]
    head, *lines = result["msg"].splitlines()
    assert head == "3 of 4 endpoints are not as expected:"
    assert lines[0].startswith(f"{LOCAL}:{port} is reachable, but is expected to be blocked: look at")
    assert lines[1].startswith(f"{LOCAL}:{closed} refused: {LOCAL} refuses port {closed}")
    assert lines[2].startswith(f"{LOCAL}:{broken} takes connections (http_error), but is expected to be blocked: ")
    assert len(result["endpoints"]) == 4 and result["reachable"] == 2


def test_a_name_that_does_not_resolve_proves_nothing() -> None:
    too_long = ".".join(["a" * 63] * 5)  # which no resolver is asked
    result = check(endpoints=[{"host": too_long, "expect": "blocked"}]).result
    assert result["failed"] and " not proven to be blocked: " in result["msg"]


def test_expect_is_the_default_of_each_endpoint(serve: Callable[..., Server]) -> None:
    rows = [plain(closed_port()), plain(serve(speak_http(http_answer(200))).port, expect="reachable")]
    assert check(endpoints=rows, expect="blocked").words() == [("refused", True), ("ok", True)]


def test_the_proxy_of_the_option_and_its_password(serve: Callable[..., Server]) -> None:
    proxy = serve(speak_http(http_answer(200)))
    answer = check(endpoints=[plain(80)], proxy=f"http://user:p%40ssw0rd@{LOCAL}:{proxy.port}")
    assert answer.words() == [("ok", True)] and b"Proxy-Authorization: Basic " in proxy.requests[0]
    assert answer.result["endpoints"][0]["proxy"] == f"http://{LOCAL}:{proxy.port}"
    assert "p%40ssw0rd" not in answer.output and "p@ssw0rd" not in answer.output


def test_a_proxy_without_a_password_is_shown(serve: Callable[..., Server]) -> None:
    url = f"http://{LOCAL}:{serve(speak_http(http_answer(200))).port}"
    result = check(endpoints=[plain(80)], proxy=url).result
    assert result["endpoints"][0]["proxy"] == result["invocation"]["module_args"]["proxy"] == url
    assert result["proxies"] == [url]


def test_the_proxy_of_the_environment(serve: Callable[..., Server]) -> None:
    proxy, service = serve(speak_http(http_answer(200))), serve(speak_http(http_answer(204)))
    url = f"http://user:p%40ssw0rd@{LOCAL}:{proxy.port}"
    rows = [{**plain(service.port), "host": "localhost"}]
    through = check({"http_proxy": url}, endpoints=rows)
    assert through.result["endpoints"][0]["status"] == 200 and "p%40ssw0rd" not in through.output
    for env, params in (({"http_proxy": url, "no_proxy": "localhost"}, {}), ({"http_proxy": url}, {"proxy": ""})):
        row = check(env, endpoints=rows, **params).result["endpoints"][0]
        assert (row["status"], row["proxy"]) == (204, None)


def test_the_proxy_that_the_role_environment_wrote(serve: Callable[..., Server], tmp_path: Path) -> None:
    """It counts from the next login on, so before what this process has from the last one."""
    old, new = (serve(speak_http(http_answer(200))) for _number in range(2))
    file = tmp_path / "ibm_quantum/environment"
    file.parent.mkdir()
    file.write_text(f'http_proxy="http://user:p%40ssw0rd@{LOCAL}:{new.port}"\n')
    env = {"XDG_CONFIG_HOME": str(tmp_path), "HTTP_PROXY": f"http://{LOCAL}:{old.port}"}
    answer = check(env, endpoints=[{**plain(80), "host": "x.example"}])
    assert answer.result["proxies"] == [f"http://{LOCAL}:{new.port}"] and "p%40ssw0rd" not in answer.output
    assert new.connections == 1 and old.connections == 0


def test_the_ca_of_the_environment(authority: Authority, serve: Callable[..., Server]) -> None:
    server = serve(speak_http(http_answer(200)), authority.server_context("localhost"))
    rows = [{"host": "localhost", "port": server.port}]
    assert check({"REQUESTS_CA_BUNDLE": str(authority.path)}, endpoints=rows).words() == [("ok", True)]
    assert check(endpoints=rows).words() == [("tls_intercepted", False)]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"endpoints": []}, "nothing to check: give features or endpoints"),
        ({"endpoints": [{}]}, "missing required arguments: host"),
        ({"endpoints": [{"host": "https://x.example"}]}, "endpoints[0].host 'https://x.example' must be a host name"),
        ({"endpoints": [{"host": "x.example:443"}]}, "endpoints[0].host"),
        ({"endpoints": [{"host": ""}]}, "endpoints[0].host"),
        ({"endpoints": [{"host": "-x"}]}, "endpoints[0].host"),
        ({"endpoints": [{"host": "a b"}]}, "endpoints[0].host"),
        ({"endpoints": [{"host": "x\r\nInjected: 1"}]}, "endpoints[0].host"),
        ({"endpoints": [plain(1), {"host": "x", "port": 0}]}, "endpoints[1].port must be 1 to 65535, not 0"),
        ({"endpoints": [{"host": "x", "port": 65536}]}, "endpoints[0].port"),
        ({"endpoints": [{"host": "x", "path": "no-slash"}]}, "endpoints[0].path 'no-slash' must begin with /"),
        ({"endpoints": [{"host": "x", "path": "/a b"}]}, "endpoints[0].path"),
        ({"endpoints": [{"host": "x", "path": "/\r\nInjected: 1"}]}, "endpoints[0].path"),
        ({"endpoints": [{"host": "x", "expect": "maybe"}]}, "value of expect must be one of: reachable, blocked"),
        ({"expect": "maybe"}, "value of expect must be one of"),
        ({"features": ["everything"]}, "value of features must be one or more of"),
        ({"regions": ["mars"]}, "value of regions must be one or more of"),
        ({"endpoints": [plain(1)], "timeout": 0}, "timeout must be 1 to 60 seconds, not 0"),
        ({"endpoints": [plain(1)], "timeout": 61}, "timeout must be 1 to 60 seconds, not 61"),
        ({"endpoints": [plain(1)], "proxy": "ftp://u:hidden@p"}, "proxy must be http://HOST:PORT"),
        ({"endpoints": [plain(1)], "proxy": "u:hidden@p:x"}, "proxy must be http://HOST:PORT"),
        ({"endpoints": [plain(1)], "ca_path": "/nonexistent.pem"}, "ca_path (or REQUESTS_CA_BUNDLE) must name a PEM"),
    ],
)
def test_bad_options(params: dict[str, Any], words: str) -> None:
    answer = check(**params)
    assert answer.result["failed"] and words in answer.result["msg"], answer.result["msg"]
    assert "hidden" not in answer.output


def test_a_bad_proxy_of_the_environment() -> None:
    answer = check({"http_proxy": "socks5://u:hidden@p"}, endpoints=[plain(1)])
    assert answer.result["msg"].startswith("HTTPS_PROXY or HTTP_PROXY of the environment must be http://HOST:PORT")
    assert "hidden" not in answer.output


def test_a_file_that_is_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing\n")
    assert "ca_path" in check(endpoints=[plain(1)], ca_path=str(tmp_path / "x.pem")).result["msg"]


def test_the_catalogue_comes_first_and_by_default_as_ibm_lists_it() -> None:
    defaults = {name: spec.get("default") for name, spec in endpoint_check.ARGUMENT_SPEC.items()}
    defaults["endpoints"] = [{"host": "x.example", "port": 1, "tls": False, "path": "/p", "expect": "blocked"}]
    found = _expectations.wishes(defaults)
    listed = _endpoints.endpoints()
    assert [wish.host for wish in found] == [e.host for e in listed] + ["x.example"]
    assert [(wish.path, wish.tls, wish.expect, wish.purpose) for wish in found[:2]] == [
        (e.probe, True, "reachable", e.purpose) for e in listed[:2]
    ]
    assert found[-1] == _expectations.Wish("x.example", 1, False, "/p", "blocked", "")


def test_the_documented_options_are_those_of_the_spec() -> None:
    options = yaml.safe_load(endpoint_check.DOCUMENTATION)["options"]
    spec = endpoint_check.ARGUMENT_SPEC
    assert {*options, *_endpoints.CATALOGUE_SPEC} == set(spec)
    assert set(options["endpoints"]["suboptions"]) == set(spec["endpoints"]["options"])


def test_every_diagnosis_is_documented() -> None:
    rows = yaml.safe_load(endpoint_check.RETURN)["endpoints"]["contains"]
    text = " ".join(rows["diagnosis"]["description"])
    for word in REMEDIES:
        assert f"V({word})" in text
    assert set(rows) == {"purpose", "expect", "ok", *probe("127.0.0.1", closed_port(), timeout=1)}
