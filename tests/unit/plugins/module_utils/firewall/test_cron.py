# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.cron import RESIDENT, Cron, every
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.scheduler import Resident
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


@pytest.fixture
def cron(layout: Layout) -> Iterator[Cron]:
    cron = Cron(layout)
    yield cron
    cron.deactivate()
    cron.cancel("later")


def text(cron: Cron, interval: int = 300, command: str | None = "/usr/sbin/nft --file /x", **more: Any) -> str:
    policy: Any = SimpleNamespace(refresh_interval=interval)
    provider: Any = SimpleNamespace(boot_command=lambda path: command)
    ((path, content),) = cron.files(policy, provider, more.get("resident")).items()
    assert [path] == cron.paths() and "." not in os.path.basename(path)
    assert isinstance(content, bytes) and content.endswith(b"\n")
    return content.decode()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.02)


def stat(pid: int) -> list[str]:
    """State, parent, process group, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["Z", "0", "0"]


def alive(pid: int) -> bool:
    return stat(pid)[0] != "Z"


def members(group: int) -> list[int]:
    return [
        pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if alive(pid) and int(stat(pid)[2]) == group
    ]


@pytest.mark.parametrize(
    ("seconds", "when"),
    [
        (1, "*/1 * * * *"),
        (60, "*/1 * * * *"),
        (61, "*/2 * * * *"),
        (300, "*/5 * * * *"),
        (59 * 60, "*/59 * * * *"),
        (3600, "0 */1 * * *"),
        (5400, "0 */1 * * *"),
        (86399, "0 0 * * *"),
        (86400, "0 0 * * *"),
        (10**6, "0 0 * * *"),
    ],
)
def test_every_interval_has_times(seconds: int, when: str) -> None:
    assert every(seconds) == when


@pytest.mark.parametrize("seconds", range(1, 90000, 777))
def test_the_times_are_never_rarer_than_asked_for(seconds: int) -> None:
    minute, hour, *rest = every(seconds).split()
    minutes = list(range(0, 60, int(minute[2:]))) if "/" in minute else [0]
    hours = list(range(0, 24, int(hour[2:]))) if "/" in hour else [0] if hour == "0" else list(range(24))
    runs = [h * 60 + m for h in hours for m in minutes]
    assert rest == ["*", "*", "*"]
    assert max(b - a for a, b in zip(runs, [*runs[1:], runs[0] + 1440])) <= max(1, min(1440, -(-seconds // 60)))


def test_the_file(cron: Cron) -> None:
    lines = text(cron).splitlines()
    jobs = [line for line in lines if " root " in line]
    assert [job.split(" root ")[0] for job in jobs] == ["@reboot", "*/5 * * * *"]
    assert jobs[0].startswith("@reboot root /usr/sbin/nft --file /x 2>&1 | { logger ")
    assert "egress.pyz refresh" in jobs[0] and "egress.pyz refresh" in jobs[1]
    assert 'MAILTO=""' in lines
    assert "nft" not in text(cron, command=None)


def test_a_program_is_kept_running_and_ended(cron: Cron, tmp_path: Path) -> None:
    # As dnsmasq does, it closes what it inherited. A quote and a % are what shells and cron stumble over.
    script = f"echo $$ >>{tmp_path}/started; exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec sleep 300 # it's 100 %"
    resident = Resident("dns", "DNS", ["sh", "-c", script])

    def started() -> list[int]:
        path = tmp_path / "started"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    cron.activate([], None)
    cron.activate([], resident)
    until(lambda: len(started()) == 1)
    jobs = [line for line in text(cron, resident=resident).splitlines() if "setsid" in line]
    assert [job.split(" root ")[0] for job in jobs] == ["@reboot", "* * * * *"]
    job = jobs[1].split(" root ")[1]
    assert r"100 \%" in job
    for _turn in range(2):
        subprocess.run(["sh", "-c", job.replace(r"\%", "%")], check=True, timeout=30)
    cron.activate([], resident)
    cron.activate([], resident._replace(stale=True))
    first = started()[0]
    until(lambda: not alive(first) and started()[-1] != first and alive(started()[-1]))
    second = started()[-1]
    cron.retire(["/elsewhere"])
    assert alive(second)
    cron.deactivate()
    assert not alive(second)
    cron.forget()
    assert not list(tmp_path.glob("run/*"))


def test_later_is_later_and_outlives_its_session(cron: Cron, tmp_path: Path, layout: Layout) -> None:
    done = tmp_path / "done"
    cron.run_later(1, "later", ["sh", "-c", f"echo it\\'s {shlex.quote('$0')} >{done}; ps -o sid= -p $$ >>{done}"])
    assert not done.exists() and os.listdir(layout.runtime) == ["later.pid"]
    assert os.getsid(0) != int((Path(layout.runtime) / "later.pid").read_text()[1:])
    until(lambda: done.exists() and len(done.read_text().splitlines()) == 2)
    assert int(done.read_text().split()[-1]) != os.getsid(0)
    assert os.listdir(layout.runtime) == []
    cron.cancel("later")


def test_later_can_be_cancelled(cron: Cron, tmp_path: Path, layout: Layout) -> None:
    done = tmp_path / "done"
    cron.cancel("later")
    cron.run_later(300, "later", ["touch", str(done)])
    group = int((Path(layout.runtime) / "later.pid").read_text()[1:])
    assert members(group)
    cron.run_later(300, "later", ["touch", str(done)])  # takes the place of the former
    cron.cancel("later")
    assert not members(group)
    assert not done.exists() and os.listdir(layout.runtime) == []


def test_nobody_elses_process_is_ended(cron: Cron, layout: Layout) -> None:
    other = subprocess.Popen(["sleep", "300"])
    try:
        os.makedirs(layout.runtime)
        for name in ("later.pid", f"{RESIDENT}.pid", f"{RESIDENT}.lock"):
            (Path(layout.runtime) / name).write_text(f"{other.pid}\n")
        cron.cancel("later")
        cron.deactivate()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait(10)
