# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the machine has the shell, it says itself what is left of a script without the lines that could go."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.ibm_quantum.platform.plugins.module_utils._profiles import Assignment, assignments_in

NAMES = ("IQP_API_TOKEN", "QISKIT_IBM_TOKEN", "IAM_URL")
KEY = "Ab_0-" * 8 + "wxyz"
SHELLS = [shell for shell in ("dash", "bash", "zsh", "busybox") if shutil.which(shell)]


def rows(text: str, grammar: str) -> list[tuple[str, str, int, bool]]:
    return [row[:4] for row in assignments_in(text, grammar, NAMES)]


def alone(line: str, grammar: str) -> tuple[str, str, bool] | None:
    """What one line, with harmless ones around it, is taken for."""
    found = rows(f"# first\n{line}\n# last\n", grammar)
    assert len(found) <= 1
    return (found[0][0], found[0][1], found[0][3]) if found else None


@pytest.mark.parametrize(
    "line, value",
    [
        ("export IQP_API_TOKEN=abc", "abc"),
        ("export IQP_API_TOKEN=abc;", "abc"),
        ("  export IQP_API_TOKEN='a b'  # mine", "a b"),
        ('export IQP_API_TOKEN="a \\"b\\" \\$c"', 'a "b" $c'),
        ("IQP_API_TOKEN=a\\ b'c'\"d\"", "a bcd"),
        ("IQP_API_TOKEN=abc; export IQP_API_TOKEN", "abc"),
        ("declare -x IQP_API_TOKEN=abc", "abc"),
        ("typeset -gx IQP_API_TOKEN=abc", "abc"),
        ("readonly IQP_API_TOKEN=abc", "abc"),
        ("export IQP_API_TOKEN=$(pass show ibm)", ""),
        ("export IQP_API_TOKEN=`pass show ibm`", ""),
        ('export IQP_API_TOKEN="${OTHER:-none}"', ""),
    ],
)
def test_a_statement_that_fills_its_line(line: str, value: str) -> None:
    assert alone(line, "sh") == ("IQP_API_TOKEN", value, True)


@pytest.mark.parametrize(
    "text",
    [
        "export A=1 IQP_API_TOKEN=abc",
        "export IQP_API_TOKEN=abc B=2",
        "export A=1; export IQP_API_TOKEN=abc",
        "IQP_API_TOKEN=abc python job.py",
        "env IQP_API_TOKEN=abc python job.py",
        "export IQP_API_TOKEN=abc > log",
        "export IQP_API_TOKEN=abc &",
        "[ -t 0 ] && export IQP_API_TOKEN=abc",
        "[ -t 0 ] &&\nexport IQP_API_TOKEN=abc",
        "false ||\n\n# still waiting\nexport IQP_API_TOKEN=abc",
        "export IQP_API_TOKEN=abc \\\n  B=2",
        "export \\\nIQP_API_TOKEN=abc",
        "export IQP_API_TOKEN='abc\n'",
        "if true; then\nexport IQP_API_TOKEN=abc\nfi",
        "if true; then export IQP_API_TOKEN=abc; fi",
        "if true; then\n:\nelse\nexport IQP_API_TOKEN=abc\nfi",
        "for x in 1 2; do\nexport IQP_API_TOKEN=abc\ndone",
        "while false\ndo\nexport IQP_API_TOKEN=abc\ndone",
        "case $- in\n*i*)\nexport IQP_API_TOKEN=abc\n;;\nesac",
        "f() {\nexport IQP_API_TOKEN=abc\n}",
        "function f {\nexport IQP_API_TOKEN=abc\n}",
        "(\nexport IQP_API_TOKEN=abc\n)",
        "(export IQP_API_TOKEN=abc; job)",
        "{\nexport IQP_API_TOKEN=abc\n}",
        "cat > file <<EOF\nexport IQP_API_TOKEN=abc\nEOF",
        "cat > file <<-'EOF'\n\texport IQP_API_TOKEN=abc\n\tEOF",
        "X='\nexport IQP_API_TOKEN=abc\n'",
        "X=\"$(echo ')')\nexport IQP_API_TOKEN=abc\n\"",
        "alias q='IQP_API_TOKEN=abc python'",
        'eval "export IQP_API_TOKEN=abc"',
        "x=(\nIQP_API_TOKEN=abc\n)",
        'X="${x:-\'}"\nexport IQP_API_TOKEN=abc',  # not understood, so nothing after it is certain
        "fi\nexport IQP_API_TOKEN=abc",
        "cat <<EOF\nno end\nexport IQP_API_TOKEN=abc",
    ],
)
def test_a_statement_that_is_part_of_something(text: str) -> None:
    assert [(row[0], row[1].strip(), row[3]) for row in rows(text + "\n", "sh")] == [("IQP_API_TOKEN", "abc", False)]


@pytest.mark.parametrize(
    "text",
    [
        "echo $IQP_API_TOKEN",
        'echo "IQP_API_TOKEN=$IQP_API_TOKEN"',
        "[ -n \"$IQP_API_TOKEN\" ] || echo 'set it'",
        ": ${IQP_API_TOKEN:=none}",
        "unset IQP_API_TOKEN",
        "export IQP_API_TOKEN",
        "MY_IQP_API_TOKEN=abc",
        "IQP_API_TOKENS=abc",
        "# export IQP_API_TOKEN=<your API key>",
        "# what IQP_API_TOKEN is for",
        "nothing at all",
    ],
)
def test_what_sets_nothing(text: str) -> None:
    assert not rows(text + "\n", "sh")


def test_the_rest_of_a_real_profile_is_understood() -> None:
    """What distributions and conda put into profiles does not make the lines behind it uncertain."""
    conda = (
        "__conda_setup=\"$('/opt/conda/bin/conda' 'shell.bash' 'hook' 2> /dev/null)\"\n"
        'if [ $? -eq 0 ]; then\n    eval "$__conda_setup"\nelse\n'
        '    if [ -f "/opt/conda/etc/profile.d/conda.sh" ]; then\n        . "/opt/conda/etc/profile.d/conda.sh"\n'
        '    else\n        export PATH="/opt/conda/bin:$PATH"\n    fi\nfi\nunset __conda_setup\n'
    )
    debian = (
        "case $- in\n    *i*) ;;\n      *) return;;\nesac\n"
        '[ -x /usr/bin/lesspipe ] && eval "$(SHELL=/bin/sh lesspipe)"\n'
        'if [ -z "${debian_chroot:-}" ] && [ -r /etc/debian_chroot ]; then\n'
        "    debian_chroot=$(cat /etc/debian_chroot)\nfi\n"
        "PS1='${debian_chroot:+($debian_chroot)}\\u@\\h:\\w\\$ '\n"
        'case "$TERM" in\nxterm*|rxvt*)\n    PS1="\\[\\e]0;${debian_chroot:+($debian_chroot)}\\u@\\h: \\w\\a\\]$PS1"\n'
        "    ;;\n*)\n    ;;\nesac\n"
        'test -r ~/.dircolors && eval "$(dircolors -b ~/.dircolors)" || eval "$(dircolors -b)"\n'
        'alias alert=\'notify-send "$([ $? = 0 ] && echo terminal || echo error)" '
        "\"$(history|tail -n1|sed -e '\\''s/^\\s*[0-9]\\+\\s*//;s/[;&|]\\s*alert$//'\\'')\"'\n"
        'for i in /etc/profile.d/*.sh ; do\n    if [ -r "$i" ]; then\n        if [ "${-#*i}" != "$-" ]; then\n'
        '            . "$i"\n        else\n            . "$i" >/dev/null 2>&1\n        fi\n    fi\ndone\n'
        'pathmunge () {\n    case ":${PATH}:" in\n        *:"$1":*)\n            ;;\n'
        "        *)\n            PATH=$PATH:$1\n    esac\n}\n"
        "if ((1 + 2)); then echo $((16#ff)); fi\nx=(a 'b c' \"$d\")\n"
    )
    text = conda + debian + "export IQP_API_TOKEN=abc"
    assert rows(text, "sh") == [("IQP_API_TOKEN", "abc", text.count("\n") + 1, True)]


def test_an_export_goes_with_its_assignment() -> None:
    text = "IAM_URL=x\nexport IAM_URL\nexport QISKIT_IBM_TOKEN\n"
    assert rows(text, "sh") == [("IAM_URL", "x", 1, True), ("IAM_URL", "", 2, True)]


def test_keys_in_comments() -> None:
    text = f"# export IQP_API_TOKEN={KEY}\nls # IQP_API_TOKEN={KEY}\ncat <<E\n# IQP_API_TOKEN={KEY}\nE\n"
    found = assignments_in(text, "sh", NAMES)
    assert [(row.line, row.alone, row.comment) for row in found] == [
        (1, True, True),
        (2, False, True),
        (4, False, True),
    ]


@pytest.mark.parametrize(
    "line, value, certain",
    [
        ("setenv IQP_API_TOKEN abc", "abc", True),
        ("setenv IQP_API_TOKEN 'a\\!b' # mine", "a!b", True),
        ('setenv IQP_API_TOKEN "a b"', "a b", True),
        ("setenv IQP_API_TOKEN `pass`", "", True),
        ("if ($?prompt) setenv IQP_API_TOKEN abc", "abc", False),
        ("if ($?prompt) then\nsetenv IQP_API_TOKEN abc\nelse if (1) then\nls\nendif", "abc", False),
        ("if (1) then\nls\nelse\nsetenv IQP_API_TOKEN abc\nendif", "abc", False),
        ("foreach x (a b)\nsetenv IQP_API_TOKEN abc\nend", "abc", False),
        ("switch ($x)\ncase a:\nsetenv IQP_API_TOKEN abc\nbreaksw\nendsw", "abc", False),
        ("cat <<EOF\nsetenv IQP_API_TOKEN abc\nEOF", "abc", False),
        ("setenv A b; setenv IQP_API_TOKEN abc", "abc", False),
        ("setenv \\\nIQP_API_TOKEN abc", "abc", False),
        ("setenv \\\nIQP_API_TOKEN `pass`", "", False),
        ("if (1) setenv IQP_API_TOKEN `pass`", "", False),
        ("unsetenv IQP_API_TOKEN", None, False),
    ],
)
def test_csh(line: str, value: str | None, certain: bool) -> None:
    assert alone(line, "csh") == (None if value is None else ("IQP_API_TOKEN", value, certain))


def test_csh_goes_on_behind_its_blocks() -> None:
    text = "if ($?prompt) then\n  set x=(a b)\nelse if (-e x) then\n  ls\nendif\nwhile (0)\nend\nsetenv IAM_URL x\n"
    assert rows(text, "csh") == [("IAM_URL", "x", 8, True)]


@pytest.mark.parametrize(
    "line, value, certain",
    [
        ("set -gx IQP_API_TOKEN abc", "abc", True),
        ("set --global --export IQP_API_TOKEN 'it\\'s'", "it's", True),
        ("set -x IQP_API_TOKEN (pass show ibm)", "", True),
        ("export IQP_API_TOKEN=abc", "abc", True),
        ("set -gx IQP_API_TOKEN a b", "", False),
        ("if status is-login\nset -gx IQP_API_TOKEN abc\nend", "abc", False),
        ("if true; set -gx IQP_API_TOKEN abc; end", "abc", False),
        ("if a\nls\nelse if b\nset -gx IQP_API_TOKEN abc\nend", "abc", False),
        ("function f\nset -gx IQP_API_TOKEN abc\nend", "abc", False),
        ("true; and set -gx IQP_API_TOKEN abc", "abc", False),
        ("true\nand set -gx IQP_API_TOKEN (pass)", "", False),
        ("set -gx \\\n IQP_API_TOKEN (pass)", "", False),
        ("set x '\nset -gx IQP_API_TOKEN abc\n'", "abc", False),
        ("set -e IQP_API_TOKEN", None, False),
        ("set -q IQP_API_TOKEN; or echo none", None, False),
        ("set --erase IQP_API_TOKEN", None, False),
    ],
)
def test_fish(line: str, value: str | None, certain: bool) -> None:
    assert alone(line, "fish") == (None if value is None else ("IQP_API_TOKEN", value, certain))


def test_fish_goes_on_behind_its_blocks() -> None:
    text = "if a\n  ls (b 'c)')\nelse if d\n  for x in 1 2; ls; end\nend\nbegin; ls; end\nset -gx IAM_URL x\n"
    assert rows(text, "fish") == [("IAM_URL", "x", 7, True)]


@pytest.mark.parametrize(
    "grammar, line, value, certain",
    [
        ("fish_variables", "SETUVAR --export IQP_API_TOKEN:a\\x2db", "a-b", True),
        ("pam", "IQP_API_TOKEN=abc", "abc", True),
        ("pam", 'export IQP_API_TOKEN="abc" # x', "abc", True),
        ("pam", "IQP_API_TOKEN=abc\\", "abc\\", False),
        ("pam", "A=b\\\nIQP_API_TOKEN=abc", "abc", False),
        ("pam_env", "IQP_API_TOKEN DEFAULT=abc", "abc", True),
        ("pam_env", 'IQP_API_TOKEN OVERRIDE="a b"', "a b", True),
        ("pam_env", "IQP_API_TOKEN DEFAULT=${HOME}/x", "", True),
        ("environment_d", "IQP_API_TOKEN=abc", "abc", True),
        ("environment_d", "IQP_API_TOKEN='a$b'", "a$b", True),
        ("environment_d", 'IQP_API_TOKEN="a$$b"', "a$b", True),
        ("environment_d", "IQP_API_TOKEN=$OTHER", "", True),
        ("environment_d", 'A="b\nIQP_API_TOKEN=abc"', 'abc"', False),
        ("environment_d", "IQP_API_TOKEN=abc\\", "", False),
        ("unit", "Environment=IQP_API_TOKEN=abc", "abc", True),
        ("unit", 'Environment="IQP_API_TOKEN=a b%%"', "a b%", True),
        ("unit", "Environment=IQP_API_TOKEN=%h", "", True),
        ("unit", "Environment=A=b IQP_API_TOKEN=abc", "abc", False),
        ("unit", "Environment=A=b \\\nIQP_API_TOKEN=abc", "abc", False),
        ("unit", "ExecStart=env IQP_API_TOKEN=abc job", "abc", False),
        ("cron", "IQP_API_TOKEN = 'abc'", "abc", True),
        ("cron", "* * * * * root IQP_API_TOKEN=abc job", "abc", False),
    ],
)
def test_files_of_lines(grammar: str, line: str, value: str, certain: bool) -> None:
    assert alone(line, grammar) == ("IQP_API_TOKEN", value, certain)


@pytest.mark.parametrize("grammar", ["pam", "environment_d", "unit", "cron"])
def test_keys_in_comments_of_lines(grammar: str) -> None:
    found = assignments_in(f"# IQP_API_TOKEN=example\n# IQP_API_TOKEN={KEY}\n", grammar, NAMES)
    assert found == [Assignment("IQP_API_TOKEN", KEY, 2, True, True)]
    assert KEY not in repr(found)


# By the shells themselves

_VALUES = st.sampled_from(["abc", "'a b'", '"a b"', "a\\ b", "$(echo sub)", '"${HOME}/x"', "''", "'#'", '"it\'s"'])
_SETS = st.builds(
    lambda form, name, value: form.format(name=name, value=value),
    st.sampled_from(
        [
            "export {name}={value}",
            "export {name}={value}; ",
            "{name}={value}; export {name}",
            "{name}={value}",
            "export {name}",
            "\texport {name}={value}  # a comment; with 'quotes",
            "export OTHER=1 {name}={value}",
            "false || export {name}={value}",
            "true &&\nexport {name}={value}",
            "export {name}={value} \\\n  MORE=2",
            "{name}={value} env >/dev/null",
            "export {name}={value} || :",
            "! export {name}={value}",
        ]
    ),
    st.sampled_from(NAMES),
    _VALUES,
)
_OTHERS = st.sampled_from(
    [
        "A=1",
        "export B='two\nlines'",
        "# don't",
        'echo "in $(echo "deep \')\' $(echo deeper)") end"',
        "cat <<EOF\nIAM_URL=not\nit's $(echo here)\nEOF",
        "cat <<-'one' <<two\n\texport IAM_URL=1\n\tone\nexport IAM_URL=2\ntwo",
        'echo "a `echo b` ${A:-c} \\" d"',
        "C=$((1 + (2 * 3))); export C",
        "f() { IAM_URL=inside; echo $IAM_URL; }",
        '[ -n "$A" ] && echo set',
        "case $A in 1) export D=4;; *) ;; esac",
        "echo ${A#x} # y",
        "",
        "export LAST=$IQP_API_TOKEN",
        "echo a \\\n  b",
        "if false; then echo no; else :; fi > /dev/null",
    ]
)
_WRAPS = st.sampled_from(
    [
        "if true; then\n{}\nfi",
        "if false\nthen :\nelse\n{}\nfi",
        "for i in 1 2; do\n{}\ndone",
        "while :; do\n{}\nbreak\ndone",
        "case x in\n(y) ;;\nx)\n{}\n;;\nesac",
        "g() {{\n{}\n}}\ng",
        "(\n{}\n)",
        "{{\n{}\n}}",
        "X='\n' # and\n{}",
    ]
)
_STATEMENTS = st.recursive(
    _SETS | _OTHERS,
    lambda inner: st.builds(
        lambda wrap, body: wrap.format(":\n" + "\n".join(body)), _WRAPS, st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)
_SCRIPTS = st.lists(_STATEMENTS, max_size=8).map("\n".join)


def _run(shell: str, script: str, folder: Path) -> tuple[int, list[str], str]:
    """Return code, what it prints with its environment at the end, and complaints of a script."""
    file = folder / "script"
    file.write_text(script + "\nexec env\n")
    program = shutil.which(shell) or shell
    command = [program, "sh", str(file)] if shell == "busybox" else [program, str(file)]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=20, check=False, cwd=folder)
    return done.returncode, done.stdout.splitlines(), re.sub(r"(line )?\d+:", "", done.stderr)


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=60, deadline=None)
@given(script=_SCRIPTS)
def test_without_its_lines_a_script_does_the_rest(
    shell: str, tmp_path_factory: pytest.TempPathFactory, script: str
) -> None:
    folder = tmp_path_factory.mktemp("script")
    gone = {row.line for row in assignments_in(script, "sh", NAMES) if row.alone}
    rest = "\n".join(line for number, line in enumerate(script.split("\n"), 1) if number not in gone)
    before, after = _run(shell, script, folder), _run(shell, rest, folder)
    assert _others(after[1]) == _others(before[1])
    assert (after[0], after[2]) == (before[0], before[2])


def _others(lines: list[str]) -> list[str]:
    """What was printed, but for the variables themselves and what the scripts make of them."""
    return [line for line in lines if not line.startswith((*NAMES, "LAST="))]


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=60, deadline=None)
@given(script=_SCRIPTS)
def test_no_assignment_is_missed(shell: str, tmp_path_factory: pytest.TempPathFactory, script: str) -> None:
    """What the shell exports at the end is something that was found."""
    _code, lines, _errors = _run(shell, script, tmp_path_factory.mktemp("script"))
    exported = {line.partition("=")[0] for line in lines if line.startswith(NAMES) and not line.endswith("=")}
    assert exported <= {row.name for row in assignments_in(script, "sh", NAMES)}


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(st.sampled_from("ab '\"\\$`(){}#;&|<>=\n\t!") | st.characters(), max_size=60),
    grammar=st.sampled_from(["sh", "csh", "fish", "fish_variables", "pam", "pam_env", "environment_d", "unit", "cron"]),
)
def test_any_text_is_read(text: str, grammar: str) -> None:
    for row in assignments_in(f"{text}\nexport IAM_URL=x\nIAM_URL=x{text}", grammar, NAMES):
        assert 1 <= row.line <= text.count("\n") * 2 + 3
