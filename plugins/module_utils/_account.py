# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Saved accounts: ``~/.qiskit/qiskit-ibm.json``, as qiskit-ibm-runtime 0.51 reads and writes it. Stdlib only.

The file is one JSON object, name to account, with sorted keys and an indent of 4. Source: the client's ``save_account``
and "Save your login credentials" of IBM's documentation. What is not said is left out; ``is_default_account`` is there
on one account or none.

Beside it a record says which accounts are the collection's, by name, and what was there before. It is written before
the file and shortened after it, so a run that is killed is completed by the next one.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils._crn import InvalidCrn, parse_instance
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import digester
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import (
    File,
    Refused,
    mkdir,
    read,
    remove,
    rmdir,
    sync,
    temporary,
    unlink,
    write,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import base_url
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token import is_jwt

#: Each channel with the name that the client gives to an account of it.
CHANNELS = {"ibm_quantum_platform": "default-ibm-quantum-platform", "ibm_cloud": "default-ibm-cloud"}
URL = "https://cloud.ibm.com"

_FORMAT = 1
_DEFAULT = "is_default_account"
_SHORTEST_TOKEN = 8  # Ansible censors every occurrence of a secret in a result: a short one would make it unreadable

#: What of an account is no secret. Anything else, such as what a later client may write, is not shown.
_PUBLIC = (
    *("channel", "instance", "plans_preference", "private_endpoint", "region", "tags", "verify", _DEFAULT),
    "username_ntlm",
)

Accounts = Mapping[str, Mapping[str, Any]]


# What is asked for


def declared(params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name to account as the client saves it, of the module's parameters; none with state=absent.

    Raises :class:`OptionError`, which repeats no secret.
    """
    if params["state"] == "absent":
        return {}
    if params["accounts"] is None:
        raise OptionError("accounts is missing: state=present needs it (an empty list removes all)")
    accounts: dict[str, dict[str, Any]] = {}
    for index, row in enumerate(params["accounts"]):
        place = f"accounts[{index}]"
        name = row["name"] if row["name"] is not None else CHANNELS[row["channel"]]
        _check_text(f"{place}.name", name)
        if name in accounts:
            raise OptionError(f"{place}.name {name!r} is on the list twice: give each account a name of its own")
        accounts[name] = _entry(place, row)
    defaults = [name for name, entry in accounts.items() if _DEFAULT in entry]
    if len(defaults) > 1:
        raise OptionError(f"accounts: {' and '.join(map(repr, defaults))} are both the default: only one can be")
    return accounts


def secret_values(params: Mapping[str, Any]) -> set[str]:
    """The secrets among the module's parameters, for Ansible to censor."""
    found: set[str] = set()
    for row in params["accounts"] or []:
        proxies = row["proxies"] or {}
        found |= {row["token"] or "", proxies.get("password_ntlm") or ""}
        for url in (proxies.get("urls") or {}).values():
            found.add(str(url).rpartition("@")[0].rpartition("://")[2].partition(":")[2])
    return {value for value in found if len(value) >= _SHORTEST_TOKEN}


def _entry(place: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """An account as the client saves it: what is None is left out, the URL never is."""
    _check_token(f"{place}.token", row["token"])
    if row["instance"] is not None:
        _check_instance(f"{place}.instance", row["instance"])
    if row["url"] is not None:
        _check_text(f"{place}.url", row["url"])
        base_url(f"{place}.url", row["url"])
    for option in ("plans_preference", "tags"):
        for index, text in enumerate(row[option] or []):
            _check_text(f"{place}.{option}[{index}]", text)
    entry = {
        "channel": row["channel"],
        "instance": row["instance"],
        "plans_preference": row["plans_preference"],
        "private_endpoint": row["private_endpoint"],
        "proxies": _proxies(f"{place}.proxies", row["proxies"]),
        "region": row["region"],
        "tags": row["tags"],
        "token": row["token"],
        "url": row["url"] or URL,
        "verify": row["verify"],
        _DEFAULT: row["default"] or None,
    }
    return {name: value for name, value in entry.items() if value is not None}


def _check_text(place: str, text: str) -> None:
    if not text.strip():
        raise OptionError(f"{place} is empty: give it a value, or leave it out")
    if text != text.strip() or not text.isprintable():
        raise OptionError(f"{place} has a control character, or white space at an end: take it off (filter 'trim')")


def _check_token(place: str, token: str) -> None:
    if not token:
        raise OptionError(f"{place} is empty: give it the API key, 44 characters")
    if any(char.isspace() or not char.isprintable() for char in token):
        raise OptionError(f"{place} has white space or a control character: take it off (filter 'trim')")
    if is_jwt(token):
        raise OptionError(
            f"{place} is a bearer token, which ends within the hour and which the client cannot use: give it the API "
            "key; for a host that shall have none use the role bearer_token"
        )
    if len(token) < _SHORTEST_TOKEN:
        raise OptionError(f"{place} has fewer than {_SHORTEST_TOKEN} characters: give it the whole API key, 44 of them")


def _check_instance(place: str, instance: str) -> None:
    """A CRN, or anything else that the client takes: an instance's name, or ``auto``."""
    _check_text(place, instance)
    if instance.startswith("crn:"):
        try:
            parse_instance(instance)
        except InvalidCrn as error:
            raise OptionError(f"{place}: {error}") from None


def _proxies(place: str, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """As the client saves them. Nothing in them is the same as no proxies."""
    proxies = {name: value for name, value in (given or {}).items() if value}
    if ("username_ntlm" in proxies) != ("password_ntlm" in proxies):
        raise OptionError(f"{place}: username_ntlm and password_ntlm are given both or neither")
    for key, url in proxies.get("urls", {}).items():
        # the value is not repeated: it may hold a password
        if not isinstance(url, str) or not url or any(char.isspace() or not char.isprintable() for char in url):
            raise OptionError(
                f"{place}.urls: the value of {key!r} must be the URL of a proxy, such as http://HOST:3128"
            )
    return proxies or None


# What a user has


def account_file(home: str) -> str:
    """Where the client keeps the accounts."""
    return os.path.join(home, ".qiskit", "qiskit-ibm.json")


def managed_names(home: str) -> list[str]:
    """The names of the accounts in a home that are the collection's. Raises Refused, OSError."""
    return _Record.read(os.path.dirname(account_file(home))).names


class _Record(NamedTuple):
    """What is the collection's in a folder, and what was there before: names and modes, never values."""

    names: list[str]
    defaults: list[str]  # accounts of others from which one of ours took the default
    folder_mode: int | None  # before; None: there was none
    file_mode: int | None
    salt: str
    known: bool  # whether it is on disk: there is something of ours

    @classmethod
    def read(cls, folder: str) -> _Record:
        path = _record_path(folder)
        file = read(path)
        try:
            data = json.loads(file.content.decode("utf-8")) if file else {}
            if data.get("format", _FORMAT) > _FORMAT:
                raise Refused(f"{path} is of a newer version of this collection: update the collection here")
            before = data.get("before", {})
            return cls(
                [str(name) for name in data.get("accounts", [])],
                [str(name) for name in data.get("defaults", [])],
                _number(before.get("folder")),
                _number(before.get("file")),
                str(data.get("salt") or secrets.token_hex(8)),
                file is not None,
            )
        except (ValueError, TypeError, AttributeError):
            raise Refused(f"{path} was edited by hand: remove it, then run this again with overwrite: true") from None

    def content(self) -> bytes:
        data = {
            "format": _FORMAT,
            "accounts": sorted(self.names),
            "defaults": sorted(self.defaults),
            "before": {"folder": _octal(self.folder_mode), "file": _octal(self.file_mode)},
            "salt": self.salt,
        }
        return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode("ascii")

    def write(self, folder: str) -> None:
        path = _record_path(folder)
        write(path, read(path), File(self.content(), 0o600, os.geteuid(), -1))

    def is_on_disk(self, folder: str) -> bool:
        file = read(_record_path(folder))
        return file is not None and file[:2] == (self.content(), 0o600)


def _record_path(folder: str) -> str:
    return os.path.join(folder, ".ibm_quantum.json")


def _octal(mode: int | None) -> str | None:
    return None if mode is None else f"{mode:04o}"


def _number(mode: str | None) -> int | None:
    return None if mode is None else int(mode, 8) & 0o7777


def home_of(option: str = "users") -> str:
    """The home of the user this runs as, by ``HOME`` as for the client. Raises OptionError, Refused."""
    try:
        home = str(Path.home())
    except (RuntimeError, KeyError):  # no HOME, no such user; KeyError before Python 3.10
        home = "~"
    if not os.path.isabs(home) or not os.path.isdir(home):
        raise OptionError(f"{option}: {home!r} is no home directory of uid {os.geteuid()}: make it, or set HOME")
    info = os.stat(home)
    if info.st_uid != os.geteuid():
        raise OptionError(
            f"{option}: the home {home} belongs to uid {info.st_uid}, not to uid {os.geteuid()}: chown it, or set HOME"
        )
    if info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX:
        raise Refused(f"{home} is writable by others, who could replace what is written there: chmod o-w it")
    return home


def _mode(path: str, kind: Callable[[int], bool], word: str) -> int | None:
    """The mode of what is at a path, None for nothing. Raises :class:`Refused` for what is not the user's own."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return None
    if not kind(info.st_mode):
        raise Refused(f"{path} is no {word}: move it away, then run this again")
    if info.st_uid != os.geteuid():
        raise Refused(f"{path} belongs to uid {info.st_uid}, not to uid {os.geteuid()}: chown it, then run this again")
    return stat.S_IMODE(info.st_mode)


def _parsed(path: str, file: File | None) -> dict[str, Any]:
    try:
        data = json.loads(file.content.decode("utf-8")) if file else {}
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Refused(f"{path} is no JSON object, so the client cannot read it: move it away, then run this again")
    return data


# Bring a user to it


def settle(accounts: Accounts, overwrite: bool, check_mode: bool) -> dict[str, Any]:
    """Bring the accounts of the user this runs as to those that :func:`declared` gave; in check mode only say how.

    Returns ``path``, ``accounts`` (names of the collection's), ``others`` (names of the rest; empty where there was
    nothing to look at), ``default`` (a name or None), ``changed``, ``changed_files``, ``diff`` and ``warnings``. Raises
    OptionError, Refused, OSError.
    """
    home = home_of()
    record = _record_path(os.path.dirname(account_file(home)))
    if not accounts and not os.path.lexists(record) and not _litter(home):
        # nothing of ours is here, even where the folder is a link or the file is broken
        empty: dict[str, Any] = {name: [] for name in ("accounts", "others", "changed_files", "diff", "warnings")}
        return {"path": account_file(home), "default": None, "changed": False, **empty}
    work = _Settlement(home, accounts, overwrite)
    if work.changed and not check_mode:
        work.apply()
    return work.result()


def _litter(home: str) -> list[str]:
    """What a run that was killed may have left."""
    path = account_file(home)
    folder = os.path.dirname(path)
    return [path for path in map(temporary, (folder, path, _record_path(folder))) if os.path.lexists(path)]


class _Settlement:
    """One user's folder, file and record as they are and as they are to be."""

    def __init__(self, home: str, accounts: Accounts, overwrite: bool) -> None:
        self.accounts, self.path = accounts, account_file(home)
        self.folder = os.path.dirname(self.path)
        self.folder_mode = _mode(self.folder, stat.S_ISDIR, "directory")
        file_mode = _mode(self.path, stat.S_ISREG, "regular file")
        record = _Record.read(self.folder)
        self.record = record if record.known else record._replace(folder_mode=self.folder_mode, file_mode=file_mode)
        self.file = read(self.path)
        self.data = _parsed(self.path, self.file)
        self.defaults, self.wanted = self._compared(overwrite)
        self.new_record = self.record._replace(names=list(accounts), defaults=self.defaults)
        self.new_folder_mode, self.new_file = self._targets()
        self.litter = _litter(home)
        self.rows = self._rows()
        stale = self.record.known if not accounts else not self.new_record.is_on_disk(self.folder)
        self.changed = bool(self.rows or self.litter or stale)

    def _compared(self, overwrite: bool) -> tuple[list[str], dict[str, Any]]:
        """The accounts of others from which the default is taken, and all accounts as they are to be."""
        wanted = {name: entry for name, entry in self.data.items() if name not in self.record.names}
        for name, entry in self.accounts.items():
            if name in wanted and not overwrite and not _same(wanted[name], entry):
                raise Refused(
                    f"{self.path} has an account {name!r} that this collection did not write: give yours another name, "
                    "or set overwrite: true to replace it for good"
                )
        others = {name: entry for name, entry in wanted.items() if name not in self.accounts}
        flagged = [name for name, entry in others.items() if _is_default(entry)]
        taken = [name for name in self.record.defaults if isinstance(others.get(name), dict)]
        if any(map(_is_default, self.accounts.values())):
            taken += [name for name in flagged if name not in taken]
            for name in flagged:
                others[name] = {key: value for key, value in others[name].items() if key != _DEFAULT}
        else:
            for name in [] if flagged else taken:
                others[name] = {**others[name], _DEFAULT: True}
            taken = []
        return taken, {**others, **{name: dict(entry) for name, entry in self.accounts.items()}}

    def _targets(self) -> tuple[int | None, File | None]:
        """The folder's mode and the file as they are to be; None for what is not to be there."""
        file, before = self.file, self.record
        content = file.content if file and self.wanted == self.data else _serialised(self.wanted)
        # a group that the user is not in cannot be given to the new file, and no group can read it anyway
        gid = file.gid if file and file.gid in (os.getegid(), *os.getgroups()) else -1
        new = File(content, 0o600, os.geteuid(), gid)
        if self.accounts:
            return 0o700, new
        if not before.known:
            return self.folder_mode, file
        if file is None or (before.file_mode is None and not self.wanted):
            restored = None
        elif before.file_mode is None or file.mode != 0o600:
            restored = new._replace(mode=file.mode)
        else:
            restored = new._replace(mode=before.file_mode)
        if before.folder_mode is not None:
            return before.folder_mode if self.folder_mode == 0o700 else self.folder_mode, restored
        ours = {self.path, _record_path(self.folder)}
        ours |= set(map(temporary, ours))
        left = restored or {os.path.join(self.folder, name) for name in os.listdir(self.folder)} - ours
        return self.folder_mode if left else None, restored

    def apply(self) -> None:
        """Write what differs: the record before the file that it speaks of."""
        for path in self.litter:
            if os.path.isdir(path) and not os.path.islink(path):
                _remove_folder(path)
            else:
                unlink(path)
        if self.accounts:
            union = self.new_record._replace(
                names=list({*self.record.names, *self.new_record.names}),
                defaults=list({*self.record.defaults, *self.new_record.defaults}),
            )
            if self.folder_mode is None:
                self._make_folder(union)
            else:
                union.write(self.folder)
                os.chmod(self.folder, 0o700)
        if self.new_file is None:
            remove(self.path)
        elif self._file_differs():
            write(self.path, self.file, self.new_file)
        if self.accounts:
            self.new_record.write(self.folder)
            return
        if self.new_folder_mode is not None:
            os.chmod(self.folder, self.new_folder_mode)
            remove(_record_path(self.folder))
        elif self.folder_mode is not None:
            os.rename(self.folder, temporary(self.folder))
            _remove_folder(temporary(self.folder))

    def _make_folder(self, record: _Record) -> None:
        """Make it with the record in it: under its own name the folder is never there without what is known of it."""
        beside = temporary(self.folder)
        mkdir(beside, 0o700)
        record.write(beside)
        os.rename(beside, self.folder)
        sync(os.path.dirname(self.folder))

    def _file_differs(self) -> bool:
        old, new = self.file, self.new_file
        return (old and old[:3]) != (new and new[:3])  # whatever the group: none can read it

    def result(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "accounts": sorted(self.accounts),
            "others": sorted(set(self.wanted) - set(self.accounts)),
            "default": next((name for name, entry in sorted(self.wanted.items()) if _is_default(entry)), None),
            "changed": self.changed,
            "changed_files": [path for path, _before, _after in self.rows],
            "diff": [
                {"before_header": path, "after_header": path, "before": before, "after": after}
                for path, before, after in self.rows
            ],
            "warnings": [
                f"{self.path}: the account {name!r}, which is not of this collection, has no channel: the client fails "
                "when it lists the accounts; delete it, or save it again"
                for name, entry in sorted(self.wanted.items())
                if not isinstance(entry, dict) or "channel" not in entry
            ],
        }

    def _rows(self) -> list[tuple[str, str, str]]:
        """Path, text before and text after of what differs; no secret is in a text."""
        rows = []
        if self.folder_mode != self.new_folder_mode:
            rows.append((self.folder, _mode_line(self.folder_mode), _mode_line(self.new_folder_mode)))
        if self._file_differs():
            old, new = self.file, self.new_file
            modes = ["", ""]
            if old and new and old.mode != new.mode:
                modes = [_mode_line(old.mode), _mode_line(new.mode)]
            shown = [self._shown(self.data) if old else "", self._shown(self.wanted) if new else ""]
            rows.append((self.path, modes[0] + shown[0], modes[1] + shown[1]))
        return rows

    def _shown(self, accounts: Mapping[str, Any]) -> str:
        """What a diff shows: the collection's accounts, and of others who gains or loses the default."""
        digest, ours = digester(self.record.salt), {*self.record.names, *self.accounts}
        shown = {name: _masked(entry, digest) for name, entry in accounts.items() if name in ours}
        for name in set(self.data) & set(self.wanted) - ours:
            if self.data[name] != self.wanted[name]:
                shown[name] = {_DEFAULT: True} if _is_default(accounts[name]) else {}
        return _serialised(shown).decode("ascii") + "\n"


def _remove_folder(path: str) -> None:
    remove(_record_path(path))
    rmdir(path)
    sync(os.path.dirname(path))


def _serialised(accounts: Mapping[str, Any]) -> bytes:
    """The file's content, byte for byte as the client writes it."""
    return json.dumps(accounts, sort_keys=True, indent=4).encode("ascii")


def _is_default(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(entry.get(_DEFAULT))


def _same(one: Any, other: Mapping[str, Any]) -> bool:
    """Whether two accounts are the same, but for who is the default."""
    return isinstance(one, dict) and {**one, _DEFAULT: None} == {**other, _DEFAULT: None}


def _mode_line(mode: int | None) -> str:
    return "" if mode is None else f"# mode {mode:04o}\n"


def _masked(entry: Any, digest: Callable[[str], str]) -> Any:
    """An account, or its proxies, without secrets."""
    if not isinstance(entry, dict):
        return _hidden(entry, digest)
    shown: dict[str, Any] = {}
    for name, value in entry.items():
        if name == "proxies":
            shown[name] = _masked(value, digest)
        elif name == "urls" and isinstance(value, dict):
            shown[name] = {key: _masked_url(url, digest) for key, url in value.items()}
        elif name == "url":
            shown[name] = _masked_url(value, digest)
        else:
            shown[name] = value if name in _PUBLIC else _hidden(value, digest)
    return shown


def _hidden(value: Any, digest: Callable[[str], str]) -> str:
    return f"<secret, {digest(value if isinstance(value, str) else json.dumps(value))}>"


def _masked_url(url: Any, digest: Callable[[str], str]) -> str:
    """A URL with its user and password hidden."""
    if not isinstance(url, str):
        return _hidden(url, digest)
    head, at, host = url.rpartition("@")
    scheme, slashes, login = head.rpartition("://")
    return f"{scheme}{slashes}{_hidden(login, digest)}@{host}" if at else url
