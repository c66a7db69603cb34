# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Running pip: where it takes packages from, and what its errors mean. Standard library only: hosts import it.

Passwords of an index or a proxy go to pip by its environment, which only the user who runs it can read.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from typing import Mapping, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError

#: What would make pip install elsewhere, or other things, than it is told to.
_HARMFUL = ("DRY_RUN", "EDITABLE", "PREFIX", "REQUIREMENT", "REQUIRE_VIRTUALENV", "ROOT", "TARGET", "USER")
_PLACES = ("CONFIG_FILE", "EXTRA_INDEX_URL", "FIND_LINKS", "INDEX_URL", "NO_INDEX")
_ALWAYS = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_CACHE_DIR": "1",  # or removal would leave a cache behind
    "PIP_NO_COLOR": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_RETRIES": "2",
    "PIP_ROOT_USER_ACTION": "ignore",
}

#: (what pip says, what to do), the more telling first: after each of them pip also says that it found nothing.
_REMEDIES = (
    (r"No space left on device", "make room on the host, or name a larger TMPDIR in the task's environment"),
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed", "name the CA of the index, or of the proxy, with ca_path"),
    (r"is not a trusted or secure host", "pip takes nothing from plain HTTP: write index_url with https"),
    (r"407 Proxy|Proxy Authentication Required", "the proxy wants a user and a password: give them in proxy"),
    (
        r"\b40[13] (Client )?Error|Credentials not correct",
        "the index wants another user and password: give them in index_url",
    ),
    (r"DO NOT MATCH THE HASHES|require their versions|Hashes are required", "check the hashes in requirements"),
    (
        r"connection broken by|Failed to establish|Name or service not known|name resolution|[Tt]imed out|Max retries",
        "the host does not reach the index: check index_url, proxy and the host's firewall; a host without a way out "
        "takes index_url of an index inside, or find_links with no_index: true",
    ),
    (
        r"No matching distribution found",
        "choose a version that the index has, as a wheel, for the host's Python: see version, runtime_version, "
        "extra_packages, python, source_builds and where packages come from (index_url, find_links)",
    ),
    (r"ResolutionImpossible|conflicting dependencies", "choose versions that go together"),
)
_SHOWN = 6  # lines of pip's own words, each cut to _WIDTH
_WIDTH = 400


class PipError(Exception):
    """pip failed; the text has its reason and the remedy."""


class Source(NamedTuple):
    """Where packages come from, and how long pip may take, in seconds."""

    index_url: str | None = None
    extra_index_urls: Sequence[str] = ()
    find_links: Sequence[str] = ()
    no_index: bool = False
    ca_path: str | None = None
    proxy: str | None = None
    source_builds: bool = False
    timeout: int = 1800

    @property
    def named(self) -> bool:
        """Whether the task says where packages come from. Then the host's own configuration has no say in it."""
        return bool(self.index_url or self.extra_index_urls or self.find_links or self.no_index)


def check(source: Source) -> None:
    """Raises :class:`OptionError` for places that pip would not understand."""
    if source.no_index and (source.index_url or source.extra_index_urls):
        raise OptionError("no_index: true excludes index_url and extra_index_urls: drop one or the other")
    if source.no_index and not source.find_links:
        raise OptionError("no_index: true leaves nowhere to install from: name a folder of the host with find_links")
    for option in ("extra_index_urls", "find_links"):
        for place in getattr(source, option):
            if re.search(r"\s", place) or not place:
                raise OptionError(
                    f"{option}: {hidden(place)!r} is empty or holds a space, which pip cannot take: rename it"
                )
    for option, url in (("index_url", source.index_url), ("proxy", source.proxy)):
        if url and not re.match(r"(https?|file|socks5h?)://\S+$", url):
            raise OptionError(f"{option}: {hidden(url)!r} is no URL: write it as https://...")


def environment(source: Source, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of pip: that of the module, without what would lead it astray."""
    dropped = {f"PIP_{name}" for name in (*_HARMFUL, *(_PLACES if source.named else ()))}
    result = {name: value for name, value in base.items() if name not in dropped}
    result.update(_ALWAYS)
    places = {
        "PIP_INDEX_URL": source.index_url,
        "PIP_EXTRA_INDEX_URL": " ".join(source.extra_index_urls),
        "PIP_FIND_LINKS": " ".join(source.find_links),
        "PIP_NO_INDEX": "1" if source.no_index else "",
        "PIP_CONFIG_FILE": os.devnull if source.named else "",
        "PIP_CERT": source.ca_path,
        "PIP_PROXY": source.proxy,
    }
    result.update({name: value for name, value in places.items() if value})
    return result


def pip(python: str, arguments: Sequence[str], source: Source, lock: int | None = None) -> None:
    """Run the pip of a virtual environment, given by its Python. Raises :class:`PipError`.

    ``lock`` is a file descriptor that it holds open, and with it the lock, even when this process is killed. It is
    verbose, as else it is silent about an index that refuses.
    """
    status, output = run(
        [python, "-I", "-m", "pip", "-vv", *arguments], source.timeout, environment(source, os.environ), lock=lock
    )
    if status is None:
        raise PipError(f"pip did not end within {source.timeout} seconds: raise timeout, or name a nearer index_url")
    if status:
        raise PipError(told(output))


def run(
    argv: Sequence[str],
    timeout: float,
    env: Mapping[str, str] | None = None,
    text: str = "",
    lock: int | None = None,
) -> tuple[int | None, str]:
    """Run a command with this text on its input: exit status and all its output; the status is None where it had to be
    ended, with all that it started. Raises OSError where it cannot be started."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
        env=None if env is None else dict(env),
        cwd="/",
        start_new_session=True,
        pass_fds=() if lock is None else (lock,),
    )
    try:
        output = process.communicate(text, timeout=timeout)[0]
        return process.returncode, output
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate()[0]
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return None, output


def told(output: str) -> str:
    """pip's output as one line: its errors and what to do."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line[len("ERROR:") :].strip() for line in lines if line.startswith("ERROR:")]
    errors = [lines[-1] if error == "Exception:" else error for error in errors]  # pip itself broke: a traceback
    causes = [line for line in lines if re.match(r"The user requested|.* depends on |Expected sha256|Got  ", line)]
    words = list(dict.fromkeys(_cut(line) for line in [*errors, *causes] or lines[-_SHOWN:]))[:_SHOWN]
    remedy = next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, output)), "")
    text = "; ".join(word.rstrip(".:") for word in words) or "pip failed without a word"
    return hidden(f"{text}. What to do: {remedy}." if remedy else f"{text}.")


def _cut(line: str) -> str:
    """A long line without its middle: pip lists all versions there ever were, and the newest come last."""
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH // 2]} ... {line[-_WIDTH // 2 :]}"


def hidden(text: str) -> str:
    """The text without users and passwords in URLs."""
    return re.sub(r"(\w://)[^\s/@]+@", r"\1***@", text)


def passwords(places: Sequence[str | None]) -> set[str]:
    """What is secret in these URLs, as it is written there: passwords, and users without one, which are tokens."""
    found = set()
    for place in places:
        login = re.match(r"\w+://([^\s/]+)@", place or "")
        if login:
            user, _sep, password = login[1].partition(":")
            found.add(password or user)
    return found
