# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip is told, what its errors come to, and what users may ask it for."""

from __future__ import annotations

import os

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _pip, _requirements
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._pip import Source

INDEX = "https://reader:word@pypi.example.com/simple/"
NONE = "\nERROR: No matching distribution found for q"


def test_the_hosts_own_configuration_counts_until_a_place_is_named():
    base = {"PIP_INDEX_URL": "https://own/", "PIP_TARGET": "/elsewhere", "PIP_USER": "1", "PIP_TIMEOUT": "5"}
    own = _pip.environment(Source(), base)
    assert own["PIP_INDEX_URL"] == "https://own/" and own["PIP_TIMEOUT"] == "5"
    assert not {"PIP_TARGET", "PIP_USER", "PIP_CONFIG_FILE", "PIP_CERT", "PIP_PROXY"} & set(own)
    named = _pip.environment(Source(find_links=["/a", "/b"], no_index=True, ca_path="/ca", proxy="http://p"), base)
    assert "PIP_INDEX_URL" not in named and named["PIP_CONFIG_FILE"] == os.devnull
    assert (named["PIP_FIND_LINKS"], named["PIP_NO_INDEX"]) == ("/a /b", "1")
    assert (named["PIP_CERT"], named["PIP_PROXY"]) == ("/ca", "http://p")
    assert _pip.environment(Source(index_url=INDEX, extra_index_urls=["https://x/"]), base)["PIP_INDEX_URL"] == INDEX


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "make room"),
        (f"x: certificate verify failed: self-signed{NONE}", "ca_path"),
        (f"Skipping link: 401 Client Error: Unauthorized{NONE}", "index_url"),
        (f"WARNING: connection broken by 'X'{NONE}", "does not reach the index"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n Expected sha256 a\n Got  b", "hashes in requirements"),
        (f"{NONE}\nResolutionImpossible", "choose a version that the index has"),
        ("ERROR: Cannot install a and b because these have conflicting dependencies.", "that go together"),
        (f"WARNING: The repository x is not a trusted or secure host{NONE}", "with https"),
        (f"ProxyError: 407 Proxy Authentication Required{NONE}", "give them in proxy"),
    ],
)
def test_the_remedy_is_that_of_the_cause(said, words):
    assert words in _pip.told(said).partition("What to do: ")[2]


def test_errors_are_short_and_without_passwords():
    text = _pip.told(f"Looking in {INDEX}\n" * 50 + f"ERROR: {INDEX} has " + "1.0, " * 500 + "2.0\n" * 3)
    assert len(text) < 600 and "word" not in text and text.startswith("https://***@pypi.example.com/simple/ has")
    assert _pip.told("ERROR: Exception:\nTraceback (most recent call last):\nValueError: why") == "ValueError: why."
    assert _pip.told("one\ntwo") == "one; two." and _pip.told("") == "pip failed without a word."


def test_what_is_secret_in_a_url():
    urls = [INDEX, None, "https://token@x/", "/srv/wheels", "http://u:a:b@x"]
    assert _pip.passwords(urls) == {"word", "token", "a:b"}
    assert _pip.hidden(f"see {INDEX} and http://x/a@b") == "see https://***@pypi.example.com/simple/ and http://x/a@b"


def test_a_command_that_does_not_end_is_ended_with_its_children():
    # Without the end of the child, which holds the output, this would wait for it
    assert _pip.run(["sh", "-c", "echo begun; sleep 300; echo ended"], 2) == (None, "begun\n")


def test_versions_and_ranges():
    for nothing in (None, "", " "):
        assert _requirements.versioned("version", "qiskit", nothing) == "qiskit"
    assert _requirements.versioned("version", "qiskit", "2.1.0rc1") == "qiskit==2.1.0rc1"
    assert _requirements.versioned("version", "qiskit", ">= 2, < 3, != 2.1.*") == "qiskit>=2,<3,!=2.1.*"
    for wrong in ("two", "2 3", ">=", "==2;x", "2 --pre", ">=2 <3"):
        with pytest.raises(OptionError, match="^version: "):
            _requirements.versioned("version", "qiskit", wrong)


def test_packages():
    assert _requirements.package(" qiskit-aer >= 0.17 ") == "qiskit-aer>=0.17"
    assert _requirements.package("qiskit-ibm-runtime[visualization]") == "qiskit-ibm-runtime[visualization]"
    for wrong in ("", "-r x", "a b", "./own", "own@https://x", "own;python_version>'3'"):
        with pytest.raises(OptionError, match="^extra_packages: "):
            _requirements.package(wrong)


def test_pins():
    text = "# head\r\nqiskit[x]==2.0 \\\r\n    --hash=sha256:aa \\\r\n    --hash=sha256:bb  # via -r in\r\n\r\n"
    text += "a==1 ; python_version < '4'\n"
    assert _requirements.pinned(text) == ["qiskit[x]==2.0", "a==1 ; python_version < '4'"]
    for wrong in ("-r other.txt", "--index-url https://x", "a", "a>=1", "a==1,<2", "a==1.*"):
        with pytest.raises(OptionError, match="^requirements: "):
            _requirements.pinned(f"b==1\n{wrong}\n")
