# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the manifest puts on a host it takes off again exactly, and it is not led astray by what it finds there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _manifest
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import HEADER
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import (
    BEGIN,
    END,
    Manifest,
    Plan,
    Refused,
    Target,
)


class Host:
    """A folder that stands for a host: one file of ours, one block in a file of somebody else's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.own = root / "etc" / "own" / "values"
        self.shared = root / "etc" / "shared"
        self.profile = root / "etc" / "profile.d" / "x.sh"
        (root / "etc").mkdir(mode=0o755)

    def targets(self, value: str = "one") -> list[Target]:
        return [
            Target(str(self.own), f'A="{value}"\n', 0o600),
            Target(str(self.profile), "fi\n", 0o644),
            Target(str(self.shared), f"A={value}\n", 0o644, block=True),
        ]

    def plan(self, targets: list[Target], secret: bool = False) -> tuple[Manifest, Plan]:
        manifest = Manifest(str(self.root / "etc" / "own"), 0o755, os.geteuid())
        known = {str(self.own): False, str(self.profile): False, str(self.shared): True}
        return manifest, manifest.plan(targets, {"A": secret} if targets else {}, known.items())

    def put(self, value: str = "one", secret: bool = False) -> Plan:
        manifest, plan = self.plan(self.targets(value), secret)
        manifest.apply(plan)
        return plan

    def take_off(self) -> Plan:
        manifest, plan = self.plan([])
        manifest.apply(plan)
        return plan

    def tree(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in sorted(self.root.rglob("*")):
            info = path.lstat()
            content = path.read_bytes() if path.is_file() else None
            found[str(path.relative_to(self.root))] = (oct(info.st_mode), info.st_uid, info.st_gid, content)
        return found


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    umask = os.umask(0o077)  # modes must not depend on it
    yield Host(tmp_path)
    os.umask(umask)


ORIGINALS = [None, b"", b"LANG=C\n", b"LANG=C", b"\xff\xfe not text\n\n", b"\n", b"A=old\r\n"]


@pytest.mark.parametrize("original", ORIGINALS)
def test_removal_is_exact(host: Host, original: bytes | None) -> None:
    if original is not None:
        host.shared.write_bytes(original)
        host.shared.chmod(0o640)
    before = host.tree()
    assert host.put().changed
    assert host.own.read_text() == HEADER + 'A="one"\n'
    assert host.shared.read_bytes().startswith(original or b"")
    assert host.shared.read_bytes().endswith(f"{BEGIN}A=one\n{END}".encode())
    assert not host.put().changed
    assert host.put("two").changed
    assert not host.put("two").changed
    assert host.take_off().changed
    assert host.tree() == before
    assert not host.take_off().changed


def test_a_plan_touches_nothing_and_foretells_all(host: Host) -> None:
    host.shared.write_text("LANG=C\n")
    before = host.tree()
    _manifest_object, plan = host.plan(host.targets())
    assert host.tree() == before
    assert [change.path for change in plan.changes] == [str(host.own), str(host.profile), str(host.shared)]
    assert [change.path for change in host.put().changes] == [change.path for change in plan.changes]


def test_modes(host: Host) -> None:
    host.put()
    modes = {path.name: path.stat().st_mode & 0o777 for path in host.own.parent.iterdir()}
    assert modes == {"values": 0o600, "manifest.json": 0o600}
    assert host.own.parent.stat().st_mode & 0o777 == 0o755
    assert host.profile.stat().st_mode & 0o777 == 0o644


def test_a_shared_file_keeps_its_mode_and_what_others_add(host: Host) -> None:
    host.shared.write_text("LANG=C")
    host.shared.chmod(0o664)
    host.put()
    host.shared.write_text("FIRST=1\n" + host.shared.read_text() + "LAST=1\n")
    assert not host.put().changed
    host.put("two")
    assert host.shared.stat().st_mode & 0o777 == 0o664
    host.take_off()
    assert host.shared.read_text() == "FIRST=1\nLANG=C\nLAST=1\n"


def test_a_file_that_we_made_stays_when_others_have_written_to_it(host: Host) -> None:
    host.put()
    host.shared.write_text(host.shared.read_text() + "OTHER=1\n")
    host.take_off()
    assert host.shared.read_text() == "OTHER=1\n"


def test_drift_is_seen_and_repaired(host: Host) -> None:
    host.put(secret=True)
    for spoil in (
        lambda: host.own.chmod(0o644),
        lambda: host.own.write_text("A=typed by hand\n"),
        host.own.unlink,
        lambda: host.own.parent.chmod(0o700),
        lambda: (host.own.parent / "manifest.json").chmod(0o644),
        lambda: (host.own.parent / "manifest.json").write_text("torn {"),
        lambda: (host.own.parent / "manifest.json").write_text("[1]"),
        (host.own.parent / "manifest.json").unlink,
        lambda: host.shared.write_text(""),
        lambda: host.shared.write_text(host.shared.read_text() * 2),
        host.shared.unlink,
    ):
        good = {name: row for name, row in host.tree().items() if "manifest" not in name}
        spoil()
        plan = host.put(secret=True)
        assert plan.changed
        assert {name: row for name, row in host.tree().items() if "manifest" not in name} == good
        assert not host.put(secret=True).changed


def test_drift_of_a_mode_shows_in_the_diff(host: Host) -> None:
    host.put()
    host.own.chmod(0o644)
    (change,) = host.put().changes
    assert change.before.startswith("# mode 0644, uid ") and change.after.startswith("# mode 0600, uid ")


def test_a_diff_hides_secrets_old_and_new(host: Host) -> None:
    first = host.put("old-secret", secret=True)
    second = host.put("new-secret", secret=True)
    third = host.put("was-secret", secret=False)
    last = host.take_off()
    for plan in (first, second):
        for change in plan.changes:
            assert "secret" in change.before + change.after or "fi\n" in change.before + change.after
            assert "-secret" not in change.before + change.after
    assert "new-secret" not in "".join(change.before for change in third.changes)
    assert 'A="was-secret"' in "".join(change.before for change in last.changes)


def test_a_diff_hides_what_was_public_and_is_secret_now(host: Host) -> None:
    host.put("the-key-in-the-open")
    plan = host.put("another-key", secret=True)
    assert plan.changes and "key" not in "".join(change.before + change.after for change in plan.changes)


def test_a_diff_hides_a_secret_after_the_manifest_was_lost(host: Host) -> None:
    host.put("old-secret", secret=True)
    (host.own.parent / "manifest.json").unlink()
    plan = host.take_off()
    assert plan.changes and "old-secret" not in "".join(change.before for change in plan.changes)


def test_the_manifest_holds_no_value(host: Host) -> None:
    host.put("very-secret", secret=True)
    text = (host.own.parent / "manifest.json").read_text()
    assert "very-secret" not in text and json.loads(text)["variables"] == {"A": True}


def test_removal_without_a_manifest_takes_what_is_marked_as_ours(host: Host) -> None:
    host.shared.write_text("LANG=C\n")
    host.put()
    (host.own.parent / "manifest.json").unlink()
    host.profile.write_text("echo somebody else's\n")
    host.take_off()
    assert host.shared.read_text() == "LANG=C\n" and not host.own.exists() and host.profile.exists()


def test_a_file_of_somebody_else_is_refused(host: Host) -> None:
    host.profile.parent.mkdir(mode=0o755)
    host.profile.write_text("echo mine\n")
    before = host.tree()
    with pytest.raises(Refused, match="not of this collection: move it away"):
        host.put()
    assert host.tree() == before


@pytest.mark.parametrize("mark", [BEGIN, END, END + BEGIN, BEGIN + BEGIN + END])
def test_a_marker_without_its_partner_is_refused(host: Host, mark: str) -> None:
    host.shared.write_text("LANG=C\n" + mark)
    for act in (host.put, host.take_off):
        with pytest.raises(Refused, match="without its partner"):
            act()
    assert host.shared.read_text() == "LANG=C\n" + mark


def link(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("")
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda host: link(host.shared, host.root), "symbolic link"),
        (lambda host: os.mkfifo(host.shared), "no regular file"),
        (lambda host: host.shared.mkdir(), "no regular file"),
        (lambda host: (host.root / "etc").chmod(0o777), "writable by others"),
        (lambda host: (host.root / "etc" / "own").symlink_to(host.root), "is no directory"),
        (lambda host: (host.root / "etc" / "profile.d").write_text(""), "is no directory"),
    ],
)
def test_what_could_lead_astray_is_refused(host: Host, spoil: Callable[[Host], None], words: str) -> None:
    spoil(host)
    before = host.tree()
    with pytest.raises(Refused, match=words):
        host.put()
    assert host.tree() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_directory_of_another_user_is_refused(host: Host) -> None:
    (host.root / "etc" / "own").mkdir()
    os.chown(host.root / "etc" / "own", 4321, 4321)
    with pytest.raises(Refused, match="belongs to uid 4321"):
        host.put()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_and_group_are_repaired(host: Host) -> None:
    targets = [Target(str(host.own), 'A="x"\n', 0o640, 4321)]
    for _round in range(2):
        manifest, plan = host.plan(targets)
        assert plan.changed
        manifest.apply(plan)
        info = host.own.stat()
        assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (0, 4321, 0o640)
        assert not host.plan(targets)[1].changed
        os.chown(host.own, 4322, 4322)


def test_the_directory_is_shared_with_others(host: Host) -> None:
    host.own.parent.mkdir()
    host.own.parent.chmod(0o755)
    other = host.own.parent / "other.json"
    other.write_text("{}")
    before = host.tree()
    assert not host.take_off().changed
    host.put()
    host.own.unlink()
    host.profile.unlink()
    host.shared.unlink()
    assert host.take_off().changed  # nothing but the manifest was left
    assert {name: row for name, row in host.tree().items() if "profile" not in name} == before
    other.unlink()
    assert host.take_off().changed and not host.own.parent.exists()


def test_a_manifest_of_a_newer_version_is_refused(host: Host) -> None:
    host.put()
    (host.own.parent / "manifest.json").write_text('{"format": 2}')
    with pytest.raises(Refused, match="newer version"):
        host.put()


def test_a_run_killed_at_any_point_is_completed_by_the_next(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call that changes the disk fails in turn, the n-th of n; then the same is done again."""
    host.shared.write_text("LANG=C")
    before = host.tree()
    calls, limit = 0, 0

    class Killed(Exception):
        pass

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > limit:
                raise Killed
            return real(*args, **kwargs)

        return call

    real = {name: getattr(os, name) for name in ("mkdir", "rename", "unlink", "rmdir", "fchmod")}

    def killed_after(number: int, act: Callable[[], Plan]) -> bool:
        nonlocal calls, limit
        calls, limit = 0, number
        for name, function in real.items():
            monkeypatch.setattr(_manifest.os, name, counted(function))
        try:
            act()
            return False
        except Killed:
            return True
        finally:
            for name, function in real.items():
                monkeypatch.setattr(_manifest.os, name, function)

    for first, second in ((host.put, host.put), (host.put, host.take_off), (host.take_off, host.take_off)):
        number = 0
        while True:
            if first == host.take_off:
                host.put()
            killed = killed_after(number, first)
            second()
            if second == host.take_off:
                assert host.tree() == before, (number, first)
            else:
                assert not host.put().changed
                host.take_off()
                assert host.tree() == before, (number, first)
            if not killed:
                break
            number += 1
        assert number > 5


def run(host: Host, *targets: Target, settle: Callable[[], None] = lambda: None) -> Plan:
    manifest = Manifest(str(host.root / "etc" / "own"), 0o755, os.geteuid())
    plan = manifest.plan(targets, {}, [])
    manifest.apply(plan, settle)
    return plan


def test_a_block_that_must_come_first(host: Host) -> None:
    host.shared.write_text("* * * * * job")
    before = host.tree()
    target = Target(str(host.shared), "SHELL=/run\n", block=True, top=True)
    run(host, target)
    assert host.shared.read_text() == f"{BEGIN}SHELL=/run\n{END}* * * * * job"
    assert not run(host, target).changed
    host.shared.write_text(host.shared.read_text() + "\n# more\n")
    assert not run(host, target).changed
    host.shared.write_text(host.shared.read_text()[: -len("\n# more\n")])
    run(host)
    assert host.tree() == before


def test_a_file_that_is_one_value_is_exact_and_masked_as_a_whole(host: Host) -> None:
    secret = 'first line\nPUBLIC="in the middle"\nlast line'
    target = Target(str(host.own), secret, 0o600, mark="")
    plan = run(host, target)
    assert host.own.read_text() == secret and len(plan.changes[0].after.splitlines()) == 1
    removed = run(host)
    for text in (plan.changes[0].after, removed.changes[0].before):
        assert text.startswith("<secret, sha256:") and "middle" not in text
    assert not host.own.exists()


def test_a_file_without_values_is_shown_but_not_what_others_put_into_it(host: Host) -> None:
    target = Target(str(host.own), "[Service]\nEnvironmentFile=/x\n", open=True)
    assert run(host, target).changes[0].after == HEADER + target.text
    host.own.write_text(HEADER + "[Service]\nEnvironment=A=the-key\nEnvironmentFile=/x\n")
    change = run(host, target).changes[0]
    assert "the-key" not in change.before and "[Service]\n" in change.before and "EnvironmentFile=/x\n" in change.before


def test_a_file_of_ours_is_known_by_its_mark(host: Host) -> None:
    target = Target(str(host.own), '{"argv": ["/etc/run"]}\n', mark="/etc/run")
    run(host, target)
    assert host.own.read_text() == target.text
    (host.root / "etc/own/manifest.json").unlink()
    assert not [change for change in run(host, target).changes if change.path == target.path]
    (host.root / "etc/own/manifest.json").unlink()
    host.own.write_text("{}")
    with pytest.raises(Refused, match="not of this collection"):
        run(host, target)


def test_the_interpreter_stays_in_the_first_line(host: Host) -> None:
    run(host, Target(str(host.own), "#!/bin/sh\nexit\n", 0o755))
    assert host.own.read_text() == f"#!/bin/sh\n{HEADER}exit\n"


def test_what_was_not_told_is_told_by_the_next_run(host: Host) -> None:
    """``settle`` comes after the files and before the manifest says that all is done."""
    target = Target(str(host.own), "A\n")

    def killed() -> None:
        assert host.own.read_text() == HEADER + "A\n"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(host, target, settle=killed)
    manifest = Manifest(str(host.root / "etc" / "own"), 0o755, os.geteuid())
    assert manifest.pending
    calls: list[int] = []
    assert run(host, target, settle=lambda: calls.append(1)).changed and calls == [1]
    assert not run(host, target, settle=lambda: calls.append(1)).changed and calls == [1]
