# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Files and blocks that the collection puts on a host: compared, written, taken off again exactly. Stdlib only.

A manifest beside the files says what was written and what was there before. It holds names, never values. It is written
before the files it speaks of and shortened after those that go, so a run that is killed is completed by the next one.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import HEADER, digester, masked
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import (
    File,
    Refused,
    mkdir,
    mode_of,
    read,
    remove,
    rmdir,
    temporary,
    unlink,
    write,
)

BEGIN = "# BEGIN ibm_quantum.platform (managed by Ansible)\n"
END = "# END ibm_quantum.platform\n"

_BLOCK = re.compile(re.escape(BEGIN).encode() + b"(.*?)" + re.escape(END.rstrip()).encode() + rb"(?:\n|\Z)", re.S)
_FORMAT = 1


class Target(NamedTuple):
    """What a file shall hold: all of it, or a block in a file that is someone else's (whose mode is then kept)."""

    path: str
    text: str
    mode: int = 0o644
    gid: int | None = None  # None: whatever it is
    block: bool = False
    top: bool = False  # a block that must come first in its file
    uid: int | None = None  # None: the one who writes
    mark: str = HEADER  # what tells that a whole file is ours; HEADER is put before a text that lacks it
    open: bool = False  # holds no values, so a diff shows it as it is


class Change(NamedTuple):
    """One file that differs. ``new`` is None for a file that goes; the texts are masked, fit for a diff."""

    path: str
    old: File | None
    new: File | None
    before: str
    after: str


class Plan(NamedTuple):
    """What :meth:`Manifest.apply` has to do; nothing when ``changed`` is false."""

    changes: list[Change]
    directories: list[str]  # to be made, parents first
    litter: list[str]  # temporary files of a run that was killed
    repair: bool  # the mode of the collection's own directory
    manifest: dict[str, Any] | None  # None: nothing is left on the host
    changed: bool


class Manifest:
    """The files of one scope under one directory of the collection's own, which only ``uid`` writes to."""

    def __init__(self, directory: str, mode: int, uid: int) -> None:
        """Read the manifest in ``directory``, which has ``mode`` or is made with it. Raises Refused, OSError."""
        self.directory, self.mode, self.uid = directory, mode, uid
        self.path = os.path.join(directory, "manifest.json")
        self._check_directory(os.path.dirname(directory))
        self._check_directory(directory)
        self._file = read(self.path)
        try:
            data = json.loads(self._file.content.decode("utf-8")) if self._file else {}
            if data.get("format", _FORMAT) > _FORMAT:
                raise Refused(f"{self.path} is of a newer version of this collection: update the collection here")
            self._files: dict[str, dict[str, bool]] = {path: dict(row) for path, row in data.get("files", {}).items()}
            self._directories: list[str] = [str(path) for path in data.get("directories", [])]
            self._secret: dict[str, bool] = {str(k): bool(v) for k, v in data.get("variables", {}).items()}
            self._salt = str(data.get("salt") or secrets.token_hex(8))
            self._pending = bool(data.get("pending"))
        except (ValueError, TypeError, AttributeError):
            # Only a file edited by hand comes here. Files and blocks of ours are known by their markers, too.
            self._files, self._directories, self._secret, self._salt = {}, [], {}, secrets.token_hex(8)
            self._pending = True

    def plan(self, targets: Sequence[Target], variables: dict[str, bool], known: Iterable[tuple[str, bool]]) -> Plan:
        """Compare the host with the targets. ``variables``: name to whether it is secret. ``known``: path and whether a
        block, of everything this scope may ever have written, for a host whose manifest was lost. Touches nothing."""
        secret = {name for flags in (self._secret, variables) for name, flag in flags.items() if flag}
        shown = (set(self._secret) | set(variables)) - secret
        files: dict[str, dict[str, bool]] = {}
        directories: list[str] = []
        changes: list[Change] = []
        for path in [self.path] * bool(targets) + [target.path for target in targets]:
            missing = self._missing(os.path.dirname(path))
            directories += [path for path in missing if path not in directories]
        for target in targets:
            files[target.path], change = self._compare(target, shown)
            changes += [change] if change else []
        gone = dict(known)
        gone.update({path: row.get("block", False) for path, row in self._files.items()})
        for path, block in gone.items():
            if path not in files:
                removal = self._removal(path, block, shown)
                changes += [removal] if removal else []
        made = [path for path in self._directories + directories if path != self.directory]
        needed = [path for path in made if any(target.path.startswith(path + os.sep) for target in targets)]
        manifest = None
        if targets:
            manifest = {
                "format": _FORMAT,
                "salt": self._salt,
                "variables": variables,
                "files": files,
                "directories": needed,
            }
        litter = [path for path in map(temporary, [self.path, *files, *gone]) if os.path.lexists(path)]
        repair = bool(targets) and self.directory not in directories and mode_of(self.directory) != self.mode
        if manifest is None:
            stale = self._file is not None or (os.path.isdir(self.directory) and not self._foreign(gone))
        else:
            stale = self._stale(manifest)
        changed = bool(changes or directories or litter or repair or stale)
        return Plan(changes, directories, litter, repair, manifest, changed)

    @property
    def pending(self) -> bool:
        """Whether a run was killed between its first write and its last."""
        return self._pending

    @property
    def salt(self) -> str:
        """What the digests of secrets in this host's diffs begin with."""
        return self._salt

    @property
    def paths(self) -> list[str]:
        """The files that earlier runs have written."""
        return list(self._files)

    def apply(self, plan: Plan, settle: Callable[[], None] = lambda: None) -> None:
        """Carry the plan out. ``settle`` is called once the files are right; a run that is killed before it has
        returned is :attr:`pending` for the next. Raises OSError."""
        if not plan.changed:
            return
        for path in plan.litter:
            unlink(path)
        for path in plan.directories:
            if (self.directory + os.sep).startswith(path + os.sep):  # the manifest needs it
                mkdir(path, self.mode)
        if plan.repair:
            os.chmod(self.directory, self.mode)
        if plan.manifest is not None:
            union = dict(plan.manifest, pending=True, files={**self._files, **plan.manifest["files"]})
            union["directories"] = list(dict.fromkeys(self._directories + plan.manifest["directories"]))
            self._write_manifest(union)
        for path in plan.directories:
            if not os.path.isdir(path):
                mkdir(path, self.mode)
        for change in plan.changes:
            if change.new is None:
                remove(change.path)
            else:
                write(change.path, change.old, change.new)
        settle()
        keep = plan.manifest["directories"] if plan.manifest else []
        for path in reversed(self._directories):
            if path not in keep:
                rmdir(path)
        if plan.manifest is not None:
            self._write_manifest(plan.manifest)
        else:
            remove(self.path)
            rmdir(self.directory)
            for path in reversed(self._directories):  # those that held the collection's own directory
                rmdir(path)

    def _foreign(self, paths: Iterable[str]) -> bool:
        """Whether the collection's own directory holds anything but these files, the manifest and what is temporary."""
        ours = {self.path, *paths}
        ours |= {temporary(path) for path in ours}
        return any(os.path.join(self.directory, name) not in ours for name in os.listdir(self.directory))

    def _compare(self, target: Target, shown: Iterable[str]) -> tuple[dict[str, bool], Change | None]:
        """The manifest's row for a target, and the change that it needs."""
        self._check_directory(os.path.dirname(target.path))
        old, row = read(target.path), self._files.get(target.path)
        if not target.block:
            if old and not row and target.mark.encode() not in old.content:
                raise Refused(f"{target.path} exists and is not of this collection: move it away, then run this again")
            content = (target.text if target.mark in target.text else _headed(target.text)).encode("utf-8")
            row = {"block": False, **({} if target.mark else {"value": True})}
        else:
            before = old.content if old else b""
            block = (BEGIN + target.text + END).encode("utf-8")
            created = not old or bool(row and row.get("created"))
            blocks = _blocks(target.path, before)
            if blocks:
                newline = bool(row and row.get("newline"))
                content = before[: blocks[0].start()] + block + _BLOCK.sub(b"", before[blocks[0].end() :])
            else:
                newline = bool(before) and not before.endswith(b"\n") and not target.top
                content = block + before if target.top else before + (b"\n" if newline else b"") + block
            row = {"block": True, "created": created, "newline": newline}
        gid = target.gid if target.gid is not None else old.gid if old else -1
        new = File(content, target.mode, self.uid if target.uid is None else target.uid, gid)
        if target.block and old:
            new = File(content, old.mode, old.uid, old.gid)
        plain = target.text if target.open else ""
        return row, None if new == old else self._change(target.path, row, old, new, shown, plain)

    def _removal(self, path: str, block: bool, shown: Iterable[str]) -> Change | None:
        """The change that takes a file or a block off, if it is there."""
        old, row = read(path), self._files.get(path, {})
        if old is None:
            return None
        self._check_directory(os.path.dirname(path))
        new = None
        if block:
            blocks = _blocks(path, old.content)
            if not blocks:
                return None
            content = _BLOCK.sub(b"", old.content)
            if row.get("newline") and blocks[-1].end() == len(old.content):
                content = content[:-1]
            if content or not row.get("created"):
                new = old._replace(content=content)
        elif not row and HEADER.encode() not in old.content:
            return None  # someone else's
        return self._change(path, dict(row, block=block), old, new, shown)

    def _change(
        self,
        path: str,
        row: Mapping[str, bool],
        old: File | None,
        new: File | None,
        shown: Iterable[str],
        plain: str = "",
    ) -> Change:
        """``plain``: text without values. Its lines are shown; what somebody else wrote between them is not. A file
        that is one value, with nothing around it, is masked as a whole."""
        digest = digester(self._salt)
        texts = [_text(old, row["block"]), _text(new, row["block"])]
        if row.get("value"):
            texts = [f"<secret, {digest(text)}>\n" if text else "" for text in texts]
        elif plain:
            known = {*plain.splitlines(True), HEADER}
            texts = [
                "".join(x if x in known else masked(x, digest, ()) for x in text.splitlines(True)) for text in texts
            ]
        else:
            texts = [masked(text, digest, shown) for text in texts]
        if old and new and old[1:] != new[1:]:
            texts = [
                "# mode {:04o}, uid {}, gid {}\n".format(*file[1:]) + text for file, text in zip((old, new), texts)
            ]
        return Change(path, old, new, *texts)

    def _missing(self, directory: str) -> list[str]:
        """The directories missing on the way to this one, parents first. The nearest that is there must be safe."""
        missing: list[str] = []
        while not os.path.lexists(directory):
            missing.insert(0, directory)
            directory = os.path.dirname(directory)
        if missing:
            self._check_directory(directory)
        return missing

    def _check_directory(self, path: str) -> None:
        """Raise :class:`Refused` where somebody else could swap the files in a directory, or the directory itself."""
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(info.st_mode):
            raise Refused(f"{path} is no directory: move it away, then run this again")
        if info.st_uid not in (0, self.uid):
            raise Refused(f"{path} belongs to uid {info.st_uid}, who could replace what is written there: chown it")
        group = info.st_mode & stat.S_IWGRP and info.st_gid not in (0, os.getegid())
        if (info.st_mode & stat.S_IWOTH or group) and not info.st_mode & stat.S_ISVTX:
            raise Refused(f"{path} is writable by others, who could replace what is written there: chmod go-w it")

    def _stale(self, manifest: dict[str, Any]) -> bool:
        return self._file is None or self._file != self._manifest_file(manifest)._replace(gid=self._file.gid)

    def _manifest_file(self, manifest: dict[str, Any]) -> File:
        content = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
        return File(content.encode("utf-8"), 0o600, self.uid, -1)

    def _write_manifest(self, manifest: dict[str, Any]) -> None:
        new = self._manifest_file(manifest)
        if self._stale(manifest):
            write(self.path, self._file, new)
            self._file = read(self.path)


def _blocks(path: str, content: bytes) -> list[re.Match[bytes]]:
    """Our blocks in a file. A marker without its partner is refused: where would the block end?"""
    blocks = list(_BLOCK.finditer(content))
    if content.count(BEGIN.encode()) != len(blocks) or content.count(END.rstrip().encode()) != len(blocks):
        raise Refused(f"{path} has a marker of ibm_quantum.platform without its partner: remove that line by hand")
    return blocks


def _headed(text: str) -> str:
    """A whole file's text with the line that says whose it is; after the first where that names the interpreter."""
    first, newline, rest = text.partition("\n")
    return first + newline + HEADER + rest if text.startswith("#!") else HEADER + text


def _text(file: File | None, block: bool) -> str:
    """What a diff shows of a file: all of it if it is ours, else only our block."""
    if file is None:
        return ""
    content = b"".join(_BLOCK.findall(file.content)) if block else file.content
    return content.decode("utf-8", "replace")
