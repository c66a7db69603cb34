# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every format is read back by its real consumer where this machine has it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import (
    HEADER,
    FormatError,
    Variable,
    assignments,
    check_name,
    check_value,
    digester,
    environment_d,
    loader,
    masked,
    pam,
)

GENERATOR = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"
SHELLS = [shell for shell in ("dash", "bash", "zsh", "busybox") if shutil.which(shell)]

AWKWARD = [
    "two words",
    " space at both ends ",
    "it's",
    'say "hi"',
    "both ' and \"",
    "$HOME ${HOME} $(id) $$",
    "`id`",
    "back\\slash\\",
    "\\\\n \\n \\$",
    "#comment ;also",
    "100% %s",
    "line one\nline two\n",
    "tab\there",
    "Grüße 量子 𝄞",
    "~/home:~",
    "!history *glob? [a] {b,c}",
    "a=b=c",
    "=",
]


def holds(value: str) -> bool:
    try:
        check_value(value)
    except FormatError:
        return False
    return True


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40) | st.text("ab '\"$\\`#%\n\t{}()!é", min_size=1)
values = texts.filter(holds)


def named(found: list[str]) -> list[Variable]:
    return [Variable(f"V{number}", value) for number, value in enumerate(found)]


def by_shell(shell: str, variables: list[Variable], folder: Path) -> dict[str, str]:
    path = folder / "it's $here"
    path.write_bytes((HEADER + assignments(variables)).encode())
    script = loader([(str(path), [v.name for v in variables])]) + "env -0\n"
    argv = [shell, *(["sh"] if shell == "busybox" else []), "-c", script]
    done = subprocess.run(argv, env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=30, check=True)
    assert not done.stderr
    return dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if pair)


def by_pam(text: str) -> dict[str, str]:
    """What pam_env's parser does (its source), for a test without root; the lab's test asks pam_env itself."""
    found = {}
    for line in text.splitlines(keepends=True):
        assert len(line.encode()) < 1024
        key, equals, value = line.lstrip(" \t").split("#")[0].rstrip("\n").partition("=")
        if value[:1] in ("'", '"'):
            value = value[1:-1] if value[-1] in ("'", '"') else value[1:]
        if equals and value:
            found[key] = value
    return found


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_reads_awkward_values(shell: str, tmp_path: Path) -> None:
    variables = named(AWKWARD)
    got = by_shell(shell, variables, tmp_path)
    assert {v.name: got.get(v.name) for v in variables} == {v.name: v.value for v in variables}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(values, min_size=1, max_size=20))
def test_a_shell_reads_any_value(found: list[str], tmp_path: Path) -> None:
    variables = named(found)
    got = by_shell("sh", variables, tmp_path)
    assert {v.name: got.get(v.name) for v in variables} == {v.name: v.value for v in variables}


def test_a_loader_passes_over_a_file_that_it_may_not_read() -> None:
    argv = ["sh", "-euc", loader([("/nonexistent/x", ["A"])]) + "echo on"]
    done = subprocess.run(argv, capture_output=True, timeout=30, check=True)
    assert done.stdout == b"on\n" and not done.stderr


def test_a_loader_has_nothing_to_do_for_a_file_without_names() -> None:
    assert loader([("/etc/x", [])]) == ""


def by_generator(text: str, folder: Path) -> dict[str, str]:
    """systemd's own reader of environment.d, whose unquoting is that of EnvironmentFile=."""
    (folder / "environment.d").mkdir(exist_ok=True)
    (folder / "environment.d" / "60-ibm_quantum.conf").write_bytes(text.encode())
    env = {"XDG_CONFIG_HOME": str(folder), "HOME": str(folder), "LANG": "C.UTF-8"}
    done = subprocess.run([GENERATOR], env=env, capture_output=True, timeout=30, check=True)
    found = {}
    for line in done.stdout.decode().splitlines():
        name, _equals, value = line.partition("=")
        if value.startswith('"'):  # it writes C escapes within double quotes
            value = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), value[1:-1])
        found[name] = value
    return found


@pytest.mark.skipif(not os.path.exists(GENERATOR), reason="no systemd here")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(values, min_size=1, max_size=20))
def test_systemd_reads_any_value_of_environment_d(found: list[str], tmp_path: Path) -> None:
    variables = named([value for value in [*AWKWARD, *found] if not set(value) & set("\n\t")])
    got = by_generator(HEADER + environment_d(variables), tmp_path)
    assert {v.name: got.get(v.name) for v in variables} == {v.name: v.value for v in variables}


@pytest.mark.skipif(not os.path.exists(GENERATOR), reason="no systemd here")
def test_systemd_unquotes_assignments_as_a_shell_does(tmp_path: Path) -> None:
    variables = named([value for value in AWKWARD if "$" not in value])  # the generator would expand these
    assert (
        by_generator(HEADER + assignments(variables), tmp_path).items() >= {v.name: v.value for v in variables}.items()
    )


@settings(max_examples=200, deadline=None)
@given(value=values)
def test_pam_reads_what_was_not_refused(value: str) -> None:
    try:
        text = pam([Variable("A", value)])
    except FormatError:
        assert len(value) > 200 or set(value) & set("\n\t#$") or ("'" in value and set(value) & set('"\\`'))
        return
    assert by_pam(text) == {"A": value}


@pytest.mark.skipif(not os.path.exists(GENERATOR), reason="no systemd here")
def test_both_readers_of_etc_environment_agree(tmp_path: Path) -> None:
    fit = [value for value in AWKWARD if not set(value) & set("\n\t#$") and value != "both ' and \""]
    variables, text = named(fit), pam(named(fit))
    assert by_pam(text) == {v.name: v.value for v in variables}
    assert by_generator(text, tmp_path).items() >= {v.name: v.value for v in variables}.items()
    argv, env = ["sh", "-c", "set -a; " + text + "env -0"], {"PATH": os.environ["PATH"]}
    done = subprocess.run(argv, env=env, capture_output=True, timeout=30, check=True)
    got = dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if pair)
    assert got.items() >= {v.name: v.value for v in variables}.items()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a\nb", "newline"),
        ("a\tb", "tab"),
        ("a#b", "begins a comment"),
        ("a$b", "systemd expands"),
        ("'\"", "no escapes"),
        ("'`", "no escapes"),
        ("x" * 1022, "too long"),
        ("é" * 511, "too long"),
    ],
)
def test_pam_refuses_what_it_cannot_hold(value: str, words: str) -> None:
    with pytest.raises(FormatError, match=f"^N: .*{words}") as caught:
        pam([Variable("N", value)])
    assert value not in str(caught.value)


@pytest.mark.parametrize(("value", "words"), [("a\nb", "newline"), ("a\tb", "tab")])
def test_environment_d_refuses_what_the_users_manager_gets_wrong(value: str, words: str) -> None:
    with pytest.raises(FormatError, match=f"^N: .*{words}") as caught:
        environment_d([Variable("N", value)])
    assert value not in str(caught.value)


def test_pam_takes_the_longest_line() -> None:
    assert by_pam(pam([Variable("N", "x" * 1020), Variable("M", "y")])) == {"N": "x" * 1020, "M": "y"}


@pytest.mark.parametrize("name", ["", "1A", "A B", "A=B", "A-B", "Ä", "A\n", "A$"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match="letters, digits and _"):
        check_name(name)


def test_names() -> None:
    for name in ("A", "_", "a1", "IQP_API_TOKEN"):
        check_name(name)


@pytest.mark.parametrize(
    "value", ["", "a\0b", "a\rb", "\x1b[0m", "\x7f", "\x85", "\ud800", "\ufeffa", "a\uffff", "\ufdd0"]
)
def test_a_value_that_no_format_holds_is_refused(value: str) -> None:
    with pytest.raises(FormatError):
        check_value(value)


def test_a_mask_shows_only_what_is_public() -> None:
    for write, newline in ((assignments, "\n"), (environment_d, " ")):
        variables = [
            Variable("A", f'se"cr$et{newline}one', True),
            Variable("B", f"public{newline}value"),
            Variable("C", "secret-two", True),
        ]
        text = masked(HEADER + write(variables) + "odd one\n", digester("salt"), ["B"])
        assert re.fullmatch(
            re.escape(HEADER)
            + r"A=<secret, sha256:[0-9a-f]{8}>\nB=\"public"
            + newline
            + r"value\"\nC=<secret, sha256:[0-9a-f]{8}>\n"
            + r"<secret, sha256:[0-9a-f]{8}>\n",
            text,
        )


def test_a_mask_of_lines_for_pam_and_of_a_loader() -> None:
    text = loader([("/etc/x", ["A", "B"])])
    assert masked(text, digester("salt"), []) == text
    shown = masked(
        pam([Variable("A", "one"), Variable("B", "two words")]) + "export A=three\n", digester("salt"), ["A"]
    )
    assert shown.startswith("A=one\nB=<secret, sha256:") and "two" not in shown and "three" not in shown


def test_a_mask_hides_a_file_that_somebody_broke() -> None:
    text = 'A="no end\nhidden-line\nA="x" trailing-hidden\nB=hidden\n\0hidden\n'
    shown = masked(text, digester("salt"), [])
    assert "hidden" not in shown and "no end" not in shown and shown.count("<secret") == 5


def test_a_digest_tells_a_change_and_depends_on_the_salt() -> None:
    assert digester("a")("x") == digester("a")("x") != digester("a")("y")
    assert digester("a")("x") != digester("b")("x")
