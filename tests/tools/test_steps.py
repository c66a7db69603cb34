# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.tools.steps import Runner, Step, counts_of, summary


def python(name: str, code: str, **options: object) -> Step:
    return Step(name, [sys.executable, "-c", code], **options)  # type: ignore[arg-type]  # passed on as it is


@pytest.mark.parametrize(
    ("text", "passed", "expected"),
    [
        ("", True, (1, 0, 0)),
        ("", False, (0, 1, 0)),
        ("31 failed, 141 passed in 375.31s (0:06:15)", False, (141, 31, 0)),
        ("=== 35 failed, 23 passed, 2 skipped, 21 errors in 38.56s ===\n== 4 passed in 0.1s ==", False, (27, 56, 2)),
        ("3 passed, 1 xfailed, 2 warnings in 1.00s", True, (3, 0, 1)),
        ("3 passed in 1.00s\nand then it crashed", False, (3, 1, 0)),
        ("no tests ran in 0.01s", False, (0, 1, 0)),
    ],
)
def test_totals_are_read_from_closing_lines(text: str, passed: bool, expected: tuple[int, ...]) -> None:
    assert tuple(counts_of(text, passed).values()) == expected


def test_order_outcomes_and_totals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark = tmp_path / "mark"
    steps = [
        python("second", f"open({str(mark)!r}).read()", after=("first",)),
        python("first", f"open({str(mark)!r}, 'w')", setup=True),
        python("bad", "print('the reason'); raise SystemExit(3)"),
        python("after bad", "", after=("bad",)),
        Step("absent", ["/nowhere/at/all"]),
        python("unwanted", "raise SystemExit(1)", skip=lambda: "no such thing here"),
        python("after unwanted", "raise SystemExit(1)", after=("unwanted",)),
        python("after nobody", "", after=("not in this group",)),
    ]
    results = Runner(tmp_path / "logs").run(steps)
    assert [(one.step.name, one.outcome) for one in results] == [
        ("second", "passed"),
        ("first", "passed"),
        ("bad", "failed"),
        ("after bad", "failed"),
        ("absent", "failed"),
        ("unwanted", "skipped"),
        ("after unwanted", "skipped"),
        ("after nobody", "passed"),
    ]
    assert "the reason" in capsys.readouterr().out
    text, good = summary(results, 1.0)
    assert text.splitlines()[-1] == "2 passed, 3 failed, 2 skipped" and not good
    assert "exit status 3" in text and "no such thing here" in text


MEET = """
import os, time
end = time.monotonic() + 30
open(f"met/{os.getpid()}", "w")
while len(os.listdir("met")) < 3:
    assert time.monotonic() < end
    time.sleep(0.01)
"""
ALONE = "import os, time; os.mkdir('lock'); time.sleep(0.2); os.rmdir('lock')"


def test_steps_run_at_once_while_their_weights_fit(tmp_path: Path) -> None:
    (tmp_path / "met").mkdir()
    steps = [
        python("a half", MEET, cwd=tmp_path, weight=0.5),
        python("another", MEET, cwd=tmp_path, weight=0.5),
        python("a whole", MEET, cwd=tmp_path),
        python("more than all", ALONE, cwd=tmp_path, weight=3),
        python("the rest", ALONE, cwd=tmp_path, weight=1.5),
    ]
    assert [one.note for one in Runner(tmp_path / "logs").run(steps)] == [""] * 5


def test_a_step_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    step = Step("hangs", ["sh", "-c", "sleep 60 & echo $!; wait"], timeout=1)
    (result,) = Runner(tmp_path).run([step])
    assert result.outcome == "failed" and result.note == "ended after 1 s"
    child = (tmp_path / "hangs.log").read_text().splitlines()[1]
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_nothing_passed_is_no_success(tmp_path: Path) -> None:
    results = Runner(tmp_path).run([python("only", "", skip=lambda: "not here")])
    assert summary(results, 0.0)[1] is False
    assert summary(Runner(tmp_path).run([python("only", "", setup=True)]), 0.0)[1] is False
