# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import multiprocessing
import socket
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _http
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._http import Http
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import ABSENT
from ansible_collections.ibm_quantum.platform.tests.unit.wire import RESET, Wire, certificate, closed_port, ok

URL = "https://quantum.cloud.ibm.com/api/v1/jobs"
SECRET = "secret-in-the-url"


def failure(http, method="GET", url=URL, **rest):
    with pytest.raises(ApiError) as caught:
        http.request(method, url, **rest)
    assert SECRET not in str(caught.value) + str(caught.value.as_result())
    return caught.value


# -- what is sent, and what comes back


def test_a_request(ibm):
    ibm.expect(
        "POST",
        URL,
        query={"flag": "true", "tags": ["a", "b"], "limit": "5"},
        headers={"Accept": "application/json", "X-Own": "1", "User-Agent": _http.USER_AGENT, "Authorization": ABSENT},
        json={"a": [1]},
        reply={"id": "1"},
        reply_headers={"X-Trace": "t"},
    )
    reply = Http().request(
        "POST",
        URL,
        headers={"X-Own": "1"},
        query={"flag": True, "tags": ["a", "b"], "limit": 5, "left_out": None},
        json={"a": [1]},
    )
    assert (reply.status, reply.json, reply.text, reply.headers["x-trace"]) == (200, {"id": "1"}, '{"id": "1"}', "t")


@pytest.mark.parametrize(
    "status, body, content_type, decoded",
    [
        (200, '{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
        (200, "[]", "application/json", []),
        (200, "null", "application/json", None),
        (200, "", "application/json", None),
        (204, "", "application/json", None),
        (200, '{"a": 1}', "text/plain", '{"a": 1}'),
        (200, "<html></html>", "text/html", "<html></html>"),
        (200, '{"a": 1}', "application/problem+json", {"a": 1}),
    ],
)
def test_decoding(ibm, status, body, content_type, decoded):
    ibm.expect("GET", URL, status=status, reply=body, reply_headers={"Content-Type": content_type})
    assert Http().request("GET", URL).json == decoded


def test_the_whole_answer_of_an_error_is_kept(ibm):
    ibm.expect("GET", URL, status=404, reply={"errors": [{"code": 1291, "message": "no"}]}, reply_headers={"X": "y"})
    reply = failure(Http()).reply
    assert (reply.status, reply.json["errors"][0]["code"], reply.headers["X"]) == (404, 1291, "y")


# -- what is repeated, and when


@pytest.mark.parametrize("status", sorted(_http.RETRIED_STATUSES))
@pytest.mark.parametrize(
    "method, repeatable, tries_of_5xx",
    [("GET", None, 3), ("PUT", None, 3), ("DELETE", None, 3), ("POST", True, 3)]
    + [("POST", None, 1), ("PATCH", None, 1), ("GET", False, 1)],
)
def test_statuses_that_pass(ibm, naps, method, repeatable, tries_of_5xx, status):
    tries = 3 if status == 429 else tries_of_5xx  # what was refused for its rate was not processed
    for _turn in range(tries):
        ibm.expect(method, URL, status=status)
    error = failure(Http(retries=2), method, repeatable=repeatable)
    assert error.status == status and len(naps) == tries - 1
    assert error.outcome_unknown is (status >= 500)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 409, 422, 501])
def test_statuses_that_stay(ibm, naps, status):
    ibm.expect("GET", URL, status=status)
    assert failure(Http()).status == status
    assert not naps


def test_it_succeeds_when_ibm_does(ibm):
    ibm.expect("GET", URL, status=503)
    ibm.expect("GET", URL, status=429)
    ibm.expect("GET", URL, reply={"ok": True})
    assert Http(retries=2).request("GET", URL).json == {"ok": True}


def test_pauses_grow_up_to_a_bound_and_are_not_all_the_same(ibm, naps):
    for _turn in range(11):
        ibm.expect("GET", URL, status=503)
    failure(Http(retries=10))
    assert all(0.25 * 2**n <= nap <= 0.5 * 2**n for n, nap in enumerate(naps[:6]))
    assert all(15 <= nap <= 30 for nap in naps[6:])
    assert len(set(naps)) == 10


def _in(seconds):
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    "header, least, most",
    [
        (lambda: "7", 7, 7),
        (lambda: "0", 0, 0),
        (lambda: "-3", 0, 0),
        (lambda: "120", 120, 120),
        (lambda: _in(60), 55, 60),
        (lambda: _in(-60), 0, 0),
        (lambda: _in(60).replace("GMT", "-0000"), 55, 60),
        (lambda: "soon", 0.25, 0.5),  # not understood: as if it were not there
        (lambda: "", 0.25, 0.5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(ibm, naps, status, header, least, most):
    ibm.expect("GET", URL, status=status, reply_headers={"Retry-After": header()})
    ibm.expect("GET", URL, reply={})
    Http().request("GET", URL)
    assert len(naps) == 1 and least <= naps[0] <= most


@pytest.mark.parametrize("header", ["121", "86400", "inf", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_retry_after_that_is_too_long_is_an_error(ibm, naps, header):
    ibm.expect("GET", URL, status=429, reply_headers={"Retry-After": header})
    assert failure(Http()).status == 429
    assert not naps


@pytest.mark.parametrize("method, tries", [("GET", 3), ("POST", 1)])
def test_json_that_was_cut_off(ibm, method, tries):
    for _turn in range(tries):
        ibm.expect(method, URL, reply='{"id": "jo')
    error = failure(Http(retries=2), method)
    assert "is not the JSON that it says it is, or was cut off" in str(error)
    assert error.status == 200 and error.outcome_unknown


# -- redirections


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_follows_a_redirection_but_the_token_stays_behind(ibm, method):
    ibm.expect(
        method, URL, headers={"Authorization": "Bearer t"}, status=302, reply_headers={"Location": "https://x.test/y"}
    )
    ibm.expect(method, "https://x.test/y", headers={"Authorization": ABSENT})
    assert Http().request(method, URL, headers={"Authorization": "Bearer t"}).status == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_writing_does_not_follow_and_is_no_success(ibm, method, status):
    ibm.expect(
        method, URL, json={"apikey": SECRET}, status=status, reply_headers={"Location": f"https://x.test/{SECRET}"}
    )
    error = failure(Http(), method, json={"apikey": SECRET})
    assert error.status == status and "redirect" in str(error)
    assert error.reply.status == status and not error.outcome_unknown


@pytest.mark.parametrize("target", ["/elsewhere", "https://other.test/x"])
def test_netrc_has_no_say(ibm, tmp_path, target):
    netrc = tmp_path / "home" / ".netrc"
    netrc.write_text("machine quantum.cloud.ibm.com login l password p\nmachine other.test login l password p\n")
    netrc.chmod(0o600)
    stays = "Bearer t" if target.startswith("/") else ABSENT
    ibm.expect("GET", URL, headers={"Authorization": "Bearer t"}, status=302, reply_headers={"Location": target})
    ibm.expect(
        "GET",
        f"https://quantum.cloud.ibm.com{target}" if target.startswith("/") else target,
        headers={"Authorization": stays},
    )
    Http().request("GET", URL, headers={"Authorization": "Bearer t"})


# -- connections that fail, for real


def drop(_request):
    return None


def reset(_request):
    return RESET


def half(_request):
    return b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{"


def garbage(_request):
    return b"SSH-2.0-OpenSSH_9.2\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("answer", [drop, reset, half, garbage])
@pytest.mark.parametrize("method, tries", [("GET", 3), ("DELETE", 3), ("POST", 1), ("PATCH", 1)])
def test_a_connection_that_breaks(answer, method, tries):
    with Wire(answer) as server:
        error = failure(Http(retries=2), method, f"{server.url}/?apikey={SECRET}")
        assert len(server.requests) == tries
    assert "the connection broke before the answer was complete. Run the task again" in str(error)
    assert error.status is None and error.outcome_unknown


@pytest.mark.parametrize("method, tries", [("GET", 2), ("POST", 1)])
def test_no_answer_in_time(method, tries):
    done = threading.Event()
    with Wire(lambda _request: done.wait(30)) as server:
        error = failure(Http(timeout=0.2, retries=1), method, server.url)
        assert len(server.requests) == tries
        done.set()
    assert "no answer within 0.2 s. Raise 'timeout'" in str(error)
    assert error.outcome_unknown


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("kind", ["refused", "dns", "connect timeout"])
def test_what_never_arrived_is_repeated_whatever_it_is(naps, monkeypatch, kind, method):
    def no_address(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    full, waiting = socket.socket(), [socket.socket() for _turn in range(8)]
    url, text = f"http://127.0.0.1:{closed_port()}/?apikey={SECRET}", "the connection was refused. Check the URL"
    if kind == "dns":
        monkeypatch.setattr(socket, "getaddrinfo", no_address)
        url, text = f"http://user:{SECRET}@nowhere.test/", "the host name has no address. Check DNS on the machine"
    if kind == "connect timeout":
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in waiting:  # fill the queue of those to be accepted: further ones are not answered
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url, text = f"http://127.0.0.1:{full.getsockname()[1]}/", "no connection within 0.2 s. A firewall may drop"
    try:
        error = failure(Http(timeout=0.2, retries=2), method, url)
    finally:
        for one in (full, *waiting):
            one.close()
    assert text in str(error)
    assert len(naps) == 2 and not error.outcome_unknown and error.status is None


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "answer, text, tries",
    [
        (b"407 Proxy Authentication Required", "the proxy wants a user and password (407). Put them into 'proxy'", 1),
        (b"403 Forbidden", "the proxy cannot be reached or refused the connection. Check 'proxy', or HTTPS_PROXY", 2),
    ],
)
def test_a_proxy_that_refuses(naps, method, answer, text, tries):
    with Wire(lambda _request: ok(b"<html>no</html>", b"Connection: close\r\n", answer)) as proxy:
        proxy_url = f"http://user:{SECRET}@127.0.0.1:{proxy.port}"
        error = failure(Http(retries=1, proxy=proxy_url), method, "https://quantum.cloud.ibm.com:40799/407")
        assert all(request.startswith(b"CONNECT quantum.cloud.ibm.com:40799 ") for request in proxy.requests)
        assert len(proxy.requests) == tries
    assert text in str(error) and not error.outcome_unknown


def test_a_proxy_that_is_dead():
    proxy = f"http://user:{SECRET}@127.0.0.1:{closed_port()}"
    error = failure(Http(retries=0, proxy=proxy), url="https://quantum.cloud.ibm.com/api/v1/407")
    assert error.message == "the proxy cannot be reached or refused the connection"


def test_the_proxy_of_the_environment_and_the_option_before_it(monkeypatch):
    with Wire(lambda _request: ok()) as of_environment, Wire(lambda _request: ok()) as of_option:
        monkeypatch.setenv("http_proxy", of_environment.url)
        Http().request("GET", "http://quantum.test/a")
        Http(proxy=of_option.url).request("GET", "http://quantum.test/b")
        assert [r.split(b" ")[1] for r in of_environment.requests] == [b"http://quantum.test/a"]
        assert [r.split(b" ")[1] for r in of_option.requests] == [b"http://quantum.test/b"]


@pytest.mark.parametrize(
    "url, headers, text",
    [
        ("https://[::1", {}, "not a URL that can be called"),
        ("gopher://host/", {}, "not a URL that can be called"),
        ("https://127.0.0.1:1/", {"X-Own": "a\r\nb"}, "a header cannot be sent"),
    ],
)
def test_what_cannot_be_sent(naps, url, headers, text):
    error = failure(Http(), url=url, headers=headers)
    assert text in str(error) and not error.outcome_unknown and not naps


def test_a_header_outside_latin_1(naps):
    with Wire(drop) as server:
        error = failure(Http(), url=server.url, headers={"X-Own": "\u20ac"})
    assert "characters that HTTP cannot carry" in str(error) and not naps


def test_a_body_that_json_cannot_carry(naps):
    error = failure(Http(), "POST", f"http://127.0.0.1:{closed_port()}", json={"a": float("nan")})
    assert "the body is not JSON" in str(error) and not error.outcome_unknown and not naps


# -- TLS


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    context, ca_file = certificate(tmp_path_factory.mktemp("tls"))
    with Wire(lambda _request: ok(), context) as server:
        server.ca_file = str(ca_file)
        yield server


def test_a_certificate_that_is_not_trusted(tls, naps):
    error = failure(Http(), url=tls.url)
    assert "the certificate is not trusted (self" in str(error)
    assert "set 'ca_path' to its CA bundle; the module endpoint_check names the issuer" in str(error)
    assert not naps and not error.outcome_unknown


def test_a_ca_of_ones_own(tls):
    assert Http(verify=tls.ca_file).request("GET", tls.url).status == 200


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environments_bundle_counts_but_does_not_defeat_the_option(tls, monkeypatch, tmp_path, variable):
    monkeypatch.setenv(variable, tls.ca_file)
    assert Http(verify=True).request("GET", tls.url).status == 200
    (tmp_path / "empty.pem").write_text("")
    monkeypatch.setenv(variable, str(tmp_path / "empty.pem"))
    assert Http(verify=False).request("GET", tls.url).status == 200
    assert Http(verify=tls.ca_file).request("GET", tls.url).status == 200


def test_a_bundle_that_is_missing(tls, naps, tmp_path):
    error = failure(Http(verify=str(tmp_path / "missing.pem")), url=tls.url)
    assert "the CA bundle is missing. Check 'ca_path', or REQUESTS_CA_BUNDLE" in str(error) and not naps


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_a_bundle_without_certificates(tls, naps, tmp_path, content):
    (tmp_path / "ca.pem").write_text(content)
    error = failure(Http(verify=str(tmp_path / "ca.pem")), url=tls.url)
    assert "'ca_path'" in str(error) and not naps


def test_no_tls_at_the_other_end(naps):
    with Wire(garbage, greeting=b"SSH-2.0-OpenSSH_9.2\r\n") as server:
        error = failure(Http(timeout=10), url=server.url.replace("http:", "https:"))
    assert "the TLS handshake failed" in str(error) and not naps


# -- connections that are kept


def test_many_requests_share_one_connection():
    with Wire(lambda _request: ok()) as server:
        for _turn in range(10):
            Http().request("GET", server.url)  # each item of a loop makes its own
        assert (len(server.requests), server.connections) == (10, 1)


def test_a_fork_has_its_own_connection():
    with Wire(lambda _request: ok()) as server:
        Http().request("GET", server.url)
        child = multiprocessing.get_context("fork").Process(target=lambda: Http().request("GET", server.url))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        Http().request("GET", server.url)  # the parent's connection was not spoilt
        assert (len(server.requests), server.connections) == (3, 2)
