# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Credentials and variables of IBM's family on a host that this collection did not write. Standard library only.

IBM's guide has people write the API key into a profile, IBM's client saves it in the home. Such lines override what
the collection sets, mix the key of one account with the instance of another, and stay when the collection takes off its
own. What is in a home is read and written by a process of its user. Values are compared; no text for people has them.

Sources: qiskit-ibm-runtime, accounts/storage.py and accounts/management.py, for saved accounts; else see ``_profiles``.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import secrets
import stat
from typing import Any, Callable, Collection, Iterable, Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._account import managed_names
from ansible_collections.ibm_quantum.platform.plugins.module_utils._as_user import as_user
from ansible_collections.ibm_quantum.platform.plugins.module_utils._crn import InvalidCrn, parse
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import HEADER, digester
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import Refused, read, write
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import BEGIN, END
from ansible_collections.ibm_quantum.platform.plugins.module_utils._profiles import assignments_in

SECRETS = ("IQP_API_TOKEN", "QISKIT_IBM_TOKEN", "IBMCLOUD_API_KEY")
NAMES = (*SECRETS, "QISKIT_IBM_INSTANCE", "QISKIT_IBM_CHANNEL", "QISKIT_IBM_URL", "IAM_URL")

#: Below /etc: a file, or a folder and the ending of its files; the grammar.
_SYSTEM = (
    ("environment", "", "pam"),
    ("security/pam_env.conf", "", "pam_env"),
    ("environment.d", ".conf", "environment_d"),
    ("profile", "", "sh"),
    ("profile.d", ".sh", "sh"),
    ("profile.d", ".csh", "csh"),
    ("bash.bashrc", "", "sh"),
    ("bashrc", "", "sh"),
    ("zsh", "*", "sh"),
    *((name, "", "sh") for name in ("zshenv", "zprofile", "zshrc", "zlogin")),
    *((name, "", "csh") for name in ("csh.cshrc", "csh.login")),
    ("csh/login.d", "*", "csh"),
    ("fish/config.fish", "", "fish"),
    ("fish/conf.d", ".fish", "fish"),
    ("crontab", "", "cron"),
    ("cron.d", "*", "cron"),
)
#: The same below a home.
_HOME = (
    *((name, "", "sh") for name in (".profile", ".bash_profile", ".bash_login", ".bashrc")),
    *((name, "", "sh") for name in (".zshenv", ".zprofile", ".zshrc", ".zlogin")),
    *((name, "", "csh") for name in (".login", ".cshrc", ".tcshrc")),
    (".pam_environment", "", "pam_env"),
    (".config/environment.d", ".conf", "environment_d"),
    (".config/fish/config.fish", "", "fish"),
    (".config/fish/conf.d", ".fish", "fish"),
    (".config/fish/fish_variables", "", "fish_variables"),
    (".qiskit/qiskit-ibm.json", "", "accounts"),
)
_UNITS = ("systemd/system", ".config/systemd/user")
_LARGEST = 1024 * 1024
_ANY = re.compile("|".join((*NAMES, '"token"')).encode())
_OURS = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END.rstrip()) + "[^\n]*", re.S)


class Leftover(NamedTuple):
    """A variable or an account that somebody else wrote. ``kind``: ``assignment``, ``account``, or ``comment`` for a
    key in a line that is commented out. An account's ``value`` is its token."""

    path: str
    name: str
    kind: str
    line: int  # from 1
    owner: str
    secret: bool
    value: str  # empty where only running the file could tell
    removable: bool
    everyone: bool = False  # in a file of the host, not of one user
    instance: str = ""  # of an account
    default: bool = False  # whether an account is marked as the default

    def __repr__(self) -> str:
        return f"Leftover({self.path}:{self.line}, {self.kind} {self.name}, removable={self.removable})"

    @property
    def where(self) -> str:
        """The place, for people."""
        return f"{self.path} line {self.line}"


class Edit(NamedTuple):
    """One file without what is to go. ``before`` and ``after`` are for a diff and hold names only; the texts do not
    leave this process but to be written."""

    path: str
    owner: str
    before: str
    after: str
    old: str
    new: str

    def __repr__(self) -> str:
        return f"Edit({self.path})"


def find(homes: Iterable[tuple[str, str]], etc: str = "/etc", mine: Collection[str] = ()) -> list[Leftover]:
    """All leftovers of a host, ordered by path and line. ``homes``: user and home, those of other users being looked
    at by root only. ``mine``: paths of files that are the collection's although they do not say so. Touches nothing.

    Raises OptionError for a user whom the host does not have, OSError, RuntimeError.
    """
    me = os.geteuid()
    found = [
        leftover
        for row in _texts(etc, [list(place) for place in _SYSTEM], _UNITS[0])
        for leftover in _in_file(row, _name(me), mine, everyone=True)
    ]
    for user, home in homes:
        uid = _uid(user)
        if uid == me or (me == 0 and not _is_clean(home, uid)):
            rows = as_user(user, _texts, home, [list(place) for place in _HOME], _UNITS[1])
            found += [leftover for row in rows for leftover in _in_file(row, user, mine, everyone=False)]
    return sorted(set(found), key=lambda leftover: (leftover.path, leftover.line, leftover.name))


def removal(leftovers: Iterable[Leftover], salt: str = "") -> list[Edit]:
    """The edits that take all leftovers off that can go. Touches nothing. Raises as :func:`find`."""
    digest = digester(salt or secrets.token_hex(8))
    files: dict[tuple[str, str], list[Leftover]] = {}
    for leftover in leftovers:
        if leftover.removable:
            files.setdefault((leftover.path, leftover.owner), []).append(leftover)
    edits = []
    for (path, owner), rows in files.items():
        old = as_user(owner, _text, path)
        if old is None:
            continue  # gone by itself
        accounts = {row.name for row in rows if row.kind == "account"}
        new = _without_accounts(old, accounts) if accounts else _without_lines(old, {row.line for row in rows}, rows)
        if new != old:
            edits.append(Edit(path, owner, "".join(_shown(row, digest) for row in rows), "", old, new))
    return edits


def apply(edits: Sequence[Edit]) -> None:
    """Write the files, each as a whole, with the owner, mode and SELinux label that it has.

    Raises Refused for a file that has changed since; OSError, RuntimeError.
    """
    for edit in edits:
        as_user(edit.owner, _replace, edit.path, edit.old, edit.new)


def conflicts(leftovers: Sequence[Leftover], family: Mapping[str, str], salt: str = "") -> list[str]:
    """What is wrong about leftovers beside the variables that the collection sets, in sentences without secrets."""
    digest = digester(salt or secrets.token_hex(8))
    sentences = []
    for leftover in leftovers:
        if leftover.kind == "assignment":
            text = _conflict(leftover, family, digest)
        elif leftover.kind == "account":
            text = _account_conflict(leftover, family)
        else:
            text = "holds an API key in a comment"
        if text:
            sentences.append(f"{leftover.where} {text}: {_remedy(leftover)}")
    defaults: dict[str, list[str]] = {}
    for leftover in leftovers:
        if leftover.default:
            defaults.setdefault(leftover.path, []).append(leftover.name)
    for path, names in defaults.items():
        if len(names) > 1:
            sentences.append(
                f"{path} has {len(names)} default accounts ({', '.join(names)}), and IBM's client takes the first: "
                "save one of them again with set_as_default=True and overwrite=True"
            )
    return sentences


# What people are told


def _conflict(leftover: Leftover, family: Mapping[str, str], digest: Callable[[str], str]) -> str:
    name, ours = leftover.name, family.get(leftover.name, "")
    who = "every login" if leftover.everyone else f"a login of {leftover.owner}"
    keys = {value for key, value in family.items() if key in SECRETS and value}
    if not leftover.value:
        return f"sets {name} to what only its shell knows, and {who} may use that" if ours else ""
    if ours == leftover.value or (leftover.secret and leftover.value in keys):
        what = "holds the same API key" if leftover.secret else f"sets {name} to the same value"
        return f"{what} as the collection sets, and keeps it when that is changed or removed"
    if ours and leftover.secret:
        return f"sets {name}: {who} would use another API key ({digest(leftover.value)}) than {digest(ours)}"
    theirs = _account(leftover.value) if name == "QISKIT_IBM_INSTANCE" else ""
    if ours and theirs and theirs != _account(ours):
        return (
            f"sets {name}: {who} would use an instance of account {theirs}, not of {_account(ours)}, and IBM answers "
            "403 to a key of another account"
        )
    if ours:
        return f"sets {name}: {who} would use another value than the collection sets"
    other = "API key" if name == "QISKIT_IBM_INSTANCE" and keys else ""
    if leftover.secret and family.get("QISKIT_IBM_INSTANCE"):
        other = "instance"
    if other:
        return (
            f"sets {name}: {who} would use it with the {other} that the collection sets, and IBM answers 403 unless "
            "both are of one account"
        )
    if leftover.secret and keys:
        return f"sets {name}: {who} has another API key ({digest(leftover.value)}) beside the collection's"
    return ""


def _account_conflict(leftover: Leftover, family: Mapping[str, str]) -> str:
    keys = {value for key, value in family.items() if key in SECRETS and value}
    theirs, ours = _account(leftover.instance), _account(family.get("QISKIT_IBM_INSTANCE", ""))
    which = f"has the saved account {leftover.name!r} of {leftover.owner}"
    if theirs and ours and theirs != ours:
        return f"{which}, whose instance is of account {theirs}; the instance that the collection sets is of {ours}"
    if leftover.value in keys:
        return f"{which} with the API key that the collection sets, and keeps it when that is changed or removed"
    return ""


def _remedy(leftover: Leftover) -> str:
    if leftover.kind == "account":
        return "delete that account, or set leftovers: remove"
    if leftover.removable:
        return "remove the line, or set leftovers: remove"
    return "take it out by hand, for it is part of a greater whole or not the owner's to write"


def _account(crn: str) -> str:
    try:
        return parse(crn).account_id
    except InvalidCrn:
        return ""


def _shown(leftover: Leftover, digest: Callable[[str], str]) -> str:
    value = f"<secret, {digest(leftover.value)}>" if leftover.secret else "<value>"
    if leftover.kind == "account":
        return f"account {leftover.name}: token={value}\n"
    return f"line {leftover.line}: {leftover.name}={value}\n"


# What is in the files


def _in_file(row: Sequence[Any], owner: str, mine: Collection[str], everyone: bool) -> Iterator[Leftover]:
    path, grammar, text, writable, managed = row
    if path in mine or HEADER in text[: 2 * len(HEADER)]:
        return
    if grammar == "accounts":
        found = [one for one in _accounts(path, text, owner) if one.name not in managed]
    else:
        text = _OURS.sub(lambda ours: "\n" * ours.group().count("\n"), text)
        found = [
            Leftover(path, one.name, kind, one.line, owner, one.name in SECRETS, one.value, one.alone)
            for one in assignments_in(text, grammar, NAMES)
            for kind in ("comment" if one.comment else "assignment",)
        ]
    yield from (one._replace(everyone=everyone, removable=one.removable and writable) for one in found)


def _accounts(path: str, text: str, owner: str) -> list[Leftover]:
    """The saved accounts that hold a token."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return []
    found = []
    for name, account in data.items() if isinstance(data, dict) else ():
        token = account.get("token") if isinstance(account, dict) else None
        if isinstance(token, str) and token:
            key = re.search(re.escape(json.dumps(name)) + r"\s*:", text)
            line = text.count("\n", 0, key.start()) + 1 if key else 1
            one = Leftover(path, name, "account", line, owner, True, token, True)
            default = bool(account.get("is_default_account"))
            found.append(one._replace(instance=str(account.get("instance") or ""), default=default))
    return found


def _without_accounts(text: str, names: Collection[str]) -> str:
    """The file as IBM's client writes it, without some accounts."""
    data = json.loads(text)
    return json.dumps({name: row for name, row in data.items() if name not in names}, sort_keys=True, indent=4)


def _without_lines(text: str, numbers: Collection[int], rows: Collection[Leftover]) -> str:
    """A text without some lines, each of which must name what it was found for: the file may have changed."""
    names = {row.line: row.name for row in rows}
    lines = re.findall(r"[^\n]*\n|[^\n]+\Z", text)
    return "".join(line for number, line in enumerate(lines, 1) if number not in numbers or names[number] not in line)


# The files themselves; what is in a home runs as its user, and its results go through JSON


def _texts(root: str, places: Sequence[Sequence[str]], units: str) -> list[tuple[str, str, str, bool, list[str]]]:
    """The files that name a variable of the family: path, grammar, text, whether it can be written, and of a file of
    accounts the names of those that are the collection's."""
    found = []
    for path, grammar in _paths(root, places, units, _names):
        text = _text(path)
        if text is not None:
            managed: list[str] = []
            if grammar == "accounts":
                with contextlib.suppress(Refused, OSError):  # nothing that is certain to be ours
                    managed = managed_names(root)
            found.append((path, grammar, text, _writable(path), managed))
    return found


def _paths(
    root: str, places: Iterable[Sequence[str]], units: str, names: Callable[[str], list[str]]
) -> Iterator[tuple[str, str]]:
    """Every path that there may be, and its grammar. ``names`` lists a folder."""
    listed: dict[str, list[str]] = {}
    for place, ending, grammar in places:
        path = os.path.join(root, place)
        if not ending:
            yield path, grammar
            continue
        if path not in listed:
            listed[path] = names(path)
        wanted = "" if ending == "*" else ending
        yield from ((os.path.join(path, name), grammar) for name in listed[path] if name.endswith(wanted))
    folder = os.path.join(root, units)
    for name in names(folder):
        if name.endswith(".service"):
            yield os.path.join(folder, name), "unit"
        elif name.endswith(".service.d"):
            inner = os.path.join(folder, name)
            yield from ((os.path.join(inner, drop), "unit") for drop in names(inner) if drop.endswith(".conf"))


def _names(folder: str | int) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:  # none there, or not this user's to read
        return []


def _is_clean(home: str, uid: int) -> bool:
    """Whether root sees by itself, following no link, that no file of a home names a variable of the family.

    It saves most homes the fork; where it cannot tell, the user's own process looks.
    """
    try:
        top = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not any(_opened(top, path, uid) for path, grammar in _paths("", _HOME, _UNITS[1], _lister(top)))
    except OSError:
        return False
    finally:
        os.close(top)


def _lister(top: int) -> Callable[[str], list[str]]:
    def names(folder: str) -> list[str]:
        fd = _descend(top, folder, os.O_DIRECTORY)
        if fd is None:
            return []
        try:
            return _names(fd)
        finally:
            os.close(fd)

    return names


def _opened(top: int, path: str, uid: int) -> bool:
    """Whether a file of the user's names a variable. Raises OSError where that cannot be told without a link."""
    fd = _descend(top, path, os.O_NONBLOCK)
    if fd is None:
        return False
    owner = os.fstat(fd).st_uid
    content = _content(fd)
    if owner != uid:
        raise PermissionError(path)
    return content is not None


def _descend(top: int, path: str, flags: int) -> int | None:
    """Open what is below a folder, no part of its path being a link; None if it is not there."""
    *folders, last = path.split("/")
    here = top
    try:
        for name in folders:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            if here != top:
                os.close(here)
            here = below
        return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=here)
    except FileNotFoundError:
        return None
    finally:
        if here != top:
            os.close(here)


def _text(path: str) -> str | None:
    """What a file says, whatever its encoding is; None where it does not name a variable of the family."""
    try:
        content = _content(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return None
    return None if content is None else content.decode("utf-8", "surrogateescape")


def _content(fd: int) -> bytes | None:
    """The content of a regular file of a sensible size that names a variable of the family. Closes the file."""
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _LARGEST:
            return None
        content = os.read(fd, _LARGEST)
    finally:
        os.close(fd)
    return content if _ANY.search(content) else None


def _writable(path: str) -> bool:
    """Whether the file is this user's own, in a folder of theirs in which nobody else may write.

    A user's links are followed as far as the user may; root's are not, for what they lead to is another package's.
    """
    real, me = os.path.realpath(path), os.geteuid()
    try:
        info, folder = os.stat(real), os.stat(os.path.dirname(real))
    except OSError:
        return False
    shared = folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX
    return not shared and info.st_uid == me and folder.st_uid == me and (me != 0 or real == path)


def _replace(path: str, old: str, new: str) -> None:
    real = os.path.realpath(path)
    file = read(real)
    if file is None or file.content != old.encode("utf-8", "surrogateescape") or not _writable(path):
        raise Refused(f"{path} was changed by somebody else in the meantime: run this again")
    write(real, file, file._replace(content=new.encode("utf-8", "surrogateescape")))


def _uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return -1


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
