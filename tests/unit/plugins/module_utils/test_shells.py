# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every text is read back by the shell that it is for where this machine has it; the lab has all of them."""

from __future__ import annotations

import json
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
    check_value,
    digester,
    masked,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._shells import (
    crontab,
    csh,
    csh_loader,
    drop_in,
    fish,
    fish_loader,
    kernel,
    runner,
)

AWKWARD = [
    "two words",
    " space at both ends ",
    "it's",
    "'",
    "''\\'",
    'say "hi"',
    "$HOME ${HOME} $(id) $$",
    "`id`",
    "back\\slash\\",
    "\\\\n \\n \\$ \\! \\'",
    "!! !$ a!b !",
    "#comment ;also",
    "100% %s",
    "line one\nline two\n",
    "\\\n\\\\\n!\n'\n",
    "tab\there",
    "Grüße 量子 𝄞",
    "~/home:~",
    "*glob? [a] {b,c} ^x^y",
    "a::b:",
]

SHELLS = {
    "tcsh": (csh, csh_loader, ["tcsh", "-f", "-c"]),
    "csh": (csh, csh_loader, ["csh", "-f", "-c"]),
    "fish": (fish, fish_loader, ["fish", "-c"]),
}


def holds(value: str) -> bool:
    try:
        check_value(value)
    except FormatError:
        return False
    return True


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40) | st.text("ab '\"$\\`#%!\n\t{}()é", min_size=1)
values = texts.filter(holds)


def named(found: list[str]) -> list[Variable]:
    return [Variable(f"V{number}{'PATH' if number % 2 else ''}", value) for number, value in enumerate(found)]


def wanted(variables: list[Variable]) -> dict[str, str]:
    return {v.name: v.value for v in variables}


def variables_of(argv: list[str]) -> dict[str, str]:
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/nonexistent"}
    done = subprocess.run(argv, env=env, capture_output=True, timeout=30, check=True)
    assert not done.stderr
    return dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if pair)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    if not shutil.which(request.param):
        pytest.skip(f"no {request.param} on this machine; tests/lab/test_formats.py has one on every host")
    return str(request.param)


def by(shell: str, variables: list[Variable], folder: Path) -> dict[str, str]:
    write, load, argv = SHELLS[shell]
    path = folder / "it's !$here"
    path.write_bytes((HEADER + write(variables)).encode())
    script = load([(str(path), ["V0"]), (str(folder / "missing"), ["V0"])])
    return variables_of([*argv, script + "env -0\n"])


def test_a_shell_reads_awkward_values(shell: str, tmp_path: Path) -> None:
    variables = named(AWKWARD)
    assert by(shell, variables, tmp_path).items() >= wanted(variables).items()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(values, min_size=1, max_size=20))
def test_a_shell_reads_any_value(found: list[str], shell: str, tmp_path: Path) -> None:
    variables = named(found)
    assert by(shell, variables, tmp_path).items() >= wanted(variables).items()


@settings(max_examples=200, deadline=None)
@given(value=values)
def test_csh_quotes_by_three_rules(value: str) -> None:
    """What tcsh's lexer does with one word, for machines without it."""
    word = csh([Variable("A", value)])[len("setenv A ") : -1]
    pieces = re.findall(r"'((?:[^'!\\\n]|\\\n)*)'|\\(['!\\])", word)
    assert "".join(f"'{quoted}'" if not escaped else "\\" + escaped for quoted, escaped in pieces) == word
    assert "".join(escaped or quoted.replace("\\\n", "\n") for quoted, escaped in pieces) == value


@settings(max_examples=200, deadline=None)
@given(value=values)
def test_fish_quotes_by_two_rules(value: str) -> None:
    found = re.fullmatch(r"set -gx A '((?:[^'\\]|\\['\\])*)'\n", fish([Variable("A", value)]))
    assert found and re.sub(r"\\(.)", r"\1", found[1]) == value


def test_simple_values_read_well() -> None:
    assert csh([Variable("A", "two words")]) == "setenv A 'two words'\n"
    assert fish([Variable("A", "two words")]) == "set -gx A 'two words'\n"
    assert csh_loader([("/etc/x", ["A"])]) == "if ( -r '/etc/x' ) source '/etc/x'\n"
    assert fish_loader([("/etc/x", ["A"])]) == "if test -r '/etc/x'\n    source '/etc/x'\nend\n"


@pytest.mark.parametrize(
    ("write", "name", "value", "words"),
    [
        (csh, "A", "x" * 8000, "^A: .*too long"),
        (csh, "A", "'" * 2500, "^A: .*too long"),
        (csh, "A", "é" * 4000, "^A: .*too long"),
        (csh, "LS_COLORS", "secret=1", "^LS_COLORS: .*colours"),
        (fish, "status", "secret", "^status: .*for itself"),
        (fish, "PWD", "secret", "^PWD: .*for itself"),
        (fish, "PATH", "/bin::/secret", "^PATH: .*an empty part"),
        (fish, "CDPATH", "/secret:", "^CDPATH: .*an empty part"),
    ],
)
def test_what_a_shell_cannot_hold_is_refused(write: object, name: str, value: str, words: str) -> None:
    assert callable(write)
    with pytest.raises(FormatError, match=words) as caught:
        write([Variable("OTHER", "x"), Variable(name, value)])
    assert value not in str(caught.value)


def test_what_comes_close_is_not_refused() -> None:
    csh([Variable("A", "x" * 7998), Variable("PATH", "::"), Variable("PWD", "x")])
    fish([Variable("A", "x" * 100_000), Variable("MANPATH", "/man:"), Variable("PATH", "/bin:/usr/bin")])


# --- the runner


RUNNER_SHELLS = [s for s in ("sh", "dash", "bash", "busybox") if shutil.which(s)]


class Run:
    """The script of runner(), with what it reads, started by a shell."""

    def __init__(self, shell: str, folder: Path, variables: list[Variable]) -> None:
        self.path, values = folder / "the runner", folder / "it's here"
        values.write_bytes((HEADER + assignments(variables)).encode())
        names = [v.name for v in variables]
        self.path.write_text(runner([(str(values), names), (str(folder / "missing"), ["MISSING"])]))
        self.path.chmod(0o755)
        self.argv = [*([] if shell == "itself" else [shell]), *(["sh"] if shell == "busybox" else []), str(self.path)]

    def __call__(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], **env}
        return subprocess.run([*self.argv, *args], env=env, capture_output=True, text=True, timeout=30, check=False)

    def variables(self, *args: str, **env: str) -> dict[str, str]:
        done = self(*args, **env)
        assert (done.returncode, done.stderr) == (0, "")
        return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)


@pytest.fixture(params=["itself", *RUNNER_SHELLS])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    return Run(request.param, tmp_path, named(AWKWARD))


def test_the_runner_runs_its_arguments_with_the_variables(run: Run) -> None:
    got = run.variables("env", "-0", KEPT="x", V0="overridden")
    assert got.items() >= {**wanted(named(AWKWARD)), "KEPT": "x"}.items() and "SHELL" not in got
    assert run("printf", "<%s>", "a b", "", "*", "-c", "$V0").stdout == "<a b><><*><-c><$V0>"


def test_the_runner_runs_them_in_its_own_place(tmp_path: Path) -> None:
    run = Run("itself", tmp_path, [])
    with subprocess.Popen([*run.argv, "sh", "-c", "echo $$"], stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate(timeout=30)[0] == f"{process.pid}\n"


def test_the_runner_is_a_shell_to_cron(run: Run) -> None:
    got = run.variables("-c", "env -0", SHELL=str(run.path))
    assert got.items() >= {**wanted(named(AWKWARD)), "SHELL": "/bin/sh"}.items()
    assert run("-c", 'printf "%s" "$0 $1"', "zero", "one").stdout == "zero one"
    assert run("-c", "exit 7").returncode == 7


def test_the_runner_says_how_it_is_used(run: Run) -> None:
    for args in ((), ("",), ("--help",), ("-x", "id")):
        done = run(*args)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"usage: {run.path} COMMAND [ARGUMENT...]\n"


def test_the_runner_ends_as_its_command_does(run: Run, tmp_path: Path) -> None:
    assert run("sh", "-c", "exit 5").returncode == 5
    missing = run("no-such-command-here")
    assert missing.returncode == 127 and "no-such-command-here" in missing.stderr
    (tmp_path / "data").write_text("")
    assert run(str(tmp_path / "data")).returncode == 126


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, who becomes somebody else")
def test_the_runner_goes_without_a_file_that_it_may_not_read(tmp_path: Path) -> None:
    public, secret = tmp_path / "public", tmp_path / "secret"
    public.write_text(assignments([Variable("A", "seen")]))
    secret.write_text(assignments([Variable("B", "hidden")]))
    secret.chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents[:-2]):  # pytest's own are for root only
        folder.chmod(0o755)
    script = runner([(str(public), ["A"]), (str(secret), ["B"])])
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-s", "env"]
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(argv, input=script, env=env, capture_output=True, text=True, timeout=30, check=True)
    assert "A=seen\n" in done.stdout and "hidden" not in done.stdout and not done.stderr


# --- what leads to the files


def test_a_drop_in() -> None:
    text = drop_in(["/etc/ibm_quantum/environment"], [("IQP_API_TOKEN", "/etc/ibm_quantum/credentials/IQP_API_TOKEN")])
    assert text == (
        "[Service]\nEnvironmentFile=/etc/ibm_quantum/environment\n"
        "LoadCredential=IQP_API_TOKEN:/etc/ibm_quantum/credentials/IQP_API_TOKEN\n"
    )
    assert drop_in([], [("A.b-c", "/a'b:c*")], True) == "[Service]\nLoadCredentialEncrypted=A.b-c:/a'b:c*\n"


def test_a_drop_in_escapes_what_systemd_would_expand() -> None:
    assert drop_in(["/100%/a b/*[?]\\x"], [("A", "/100%*")]) == (
        "[Service]\nEnvironmentFile=/100%%/a b/\\*\\[\\?\\]\\\\x\nLoadCredential=A:/100%%*\n"
    )


@pytest.mark.parametrize("path", ["relative", "-/optional", "/a ", "/a\nb", "/a\\", ""])
def test_a_path_that_a_unit_cannot_hold_is_refused(path: str) -> None:
    with pytest.raises(FormatError, match="cannot be in a unit"):
        drop_in([path], [])
    with pytest.raises(FormatError, match="cannot be (in a unit|a credential's file)"):
        drop_in([], [("A", path)])


@pytest.mark.parametrize("path", ["/a b", "/a\\b", "/a\tb"])
def test_a_path_that_is_not_handed_on_right_is_refused_for_a_credential(path: str) -> None:
    with pytest.raises(FormatError, match="cannot be a credential's file"):
        drop_in([], [("A", path)])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a:b", "%n", "a b", "é", "x" * 256])
def test_a_name_that_is_no_credentials_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match="no name of a credential"):
        drop_in([], [(name, "/a")])


def test_a_kernel() -> None:
    spec = json.loads(kernel('Qiskit "é"', "/opt/qiskit/bin/python", "/etc/ibm_quantum/run"))
    assert spec == {
        "argv": [
            *("/etc/ibm_quantum/run", "/opt/qiskit/bin/python"),
            *("-m", "ipykernel_launcher", "-f", "{connection_file}"),
        ],
        "display_name": 'Qiskit "é"',
        "language": "python",
        "metadata": {"debugger": True},
    }


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/etc/ibm_quantum/run", "SHELL=/etc/ibm_quantum/run\n"),
        ("/home/a b/run", "SHELL='/home/a b/run'\n"),
        ("/home/it's", 'SHELL="/home/it\'s"\n'),
        ('/home/a"b', "SHELL='/home/a\"b'\n"),
    ],
)
def test_a_cron_files_line(path: str, line: str) -> None:
    assert crontab(path) == line


@pytest.mark.parametrize("path", ["run", "/a\nb", "/a'\"b", "/" + "x" * 990])
def test_a_path_that_a_cron_file_cannot_hold_is_refused(path: str) -> None:
    with pytest.raises(FormatError, match="cron file"):
        crontab(path)


# --- masks

SECRET = "hidden 'one'\nhidden !two\\\nEnvironmentFile=/hidden\nsetenv B 'hidden'\n"


@pytest.mark.parametrize(
    ("write", "lead", "equals"),
    [(csh, "setenv ", " "), (fish, "set -gx ", " "), (assignments, "", "=")],
)
def test_a_mask_shows_only_what_is_public(write: object, lead: str, equals: str) -> None:
    assert callable(write)
    public = write([Variable("B", "public '!\\\nvalue")])
    text = HEADER + write([Variable("A", SECRET)]) + public + write([Variable("C", "hidden-too")]) + "hidden three\n"
    shown = masked(text, digester("salt"), ["B"])
    digests = re.findall(r"<secret, sha256:[0-9a-f]{8}>", shown)
    assert shown == (
        HEADER + f"{lead}A{equals}{digests[0]}\n" + public + f"{lead}C{equals}{digests[1]}\n" + f"{digests[2]}\n"
    )
    assert digests[1] == f"<secret, {digester('salt')('hidden-too')}>"


@settings(max_examples=200, deadline=None)
@given(found=st.lists(values, min_size=1, max_size=5))
def test_a_mask_takes_any_value_whole(found: list[str]) -> None:
    variables = named(found)
    for write in (csh, fish, assignments):
        text = write(variables)
        assert masked(text, digester(""), wanted(variables)) == text
        lines = masked(text, digester(""), []).splitlines()
        assert len(lines) == len(variables) and all(re.search(r"[ =]<secret, sha256:\w{8}>$", line) for line in lines)


def test_a_mask_shows_what_holds_no_values() -> None:
    files = [("/etc/ibm_quantum/it's", ["A", "B"]), ("/etc/ibm_quantum/secrets.env", ["C"])]
    for text in (
        HEADER + csh_loader(files),
        HEADER + fish_loader(files),
        runner(files).replace("\n", "\n" + HEADER, 1),
        HEADER + drop_in(["/etc/ibm_quantum/a%"], [("A", "/etc/a")]),
        drop_in(["/etc/ibm_quantum/a"], [("A", "/etc/a")], True),
        kernel('Qiskit "é"', "/opt/qiskit/bin/python", "/etc/ibm_quantum/run"),
        crontab("/etc/ibm_quantum/run"),
        crontab("/home/a b/.config/ibm_quantum/cron.run"),
    ):
        assert masked(text, digester("salt"), []) == text


def test_a_mask_hides_what_somebody_wrote_there() -> None:
    spec = json.loads(kernel("Qiskit", "/usr/bin/python3", "/etc/ibm_quantum/run"))
    spec["env"] = {"IQP_API_TOKEN": "hidden"}
    for text in (
        json.dumps(spec, indent=1, sort_keys=True) + "\n",
        drop_in(["/etc/a"], []) + "Environment=IQP_API_TOKEN=hidden\n",
        csh([Variable("A", "hidden\nhidden")]).replace("'", "", 1),
        fish([Variable("A", "hidden\nhidden")])[:-2] + "\n",
        "setenv A hidden\nset -gx A hidden\nset -x A 'hidden'\n",
        "SHELL=/hidden\n",
        "setenv A 'x' ; echo hidden\n",
    ):
        assert "hidden" not in masked(text, digester("salt"), ["A"])
