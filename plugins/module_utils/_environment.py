# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The environment of a host or of a user: what is asked for, checked; then compared and written. Stdlib only.

``_scopes`` says in which files it is, ``_envfile`` and ``_shells`` how these are written, ``_manifest`` writes and
removes them.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _scopes
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import (
    FormatError,
    Variable,
    check_name,
    check_value,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._family import family
from ansible_collections.ibm_quantum.platform.plugins.module_utils._leftovers import (
    Edit,
    Leftover,
    apply,
    conflicts,
    find,
    removal,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import BEGIN, END, Manifest, Plan
from ansible_collections.ibm_quantum.platform.plugins.module_utils._scopes import (
    NAMED,
    NOTHING,
    SHARED,
    Crontab,
    Kernel,
    Scope,
    Service,
    Wish,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._sealed import sealed
from ansible_collections.ibm_quantum.platform.plugins.module_utils._services import (
    concerns_services,
    is_drop_in,
    tell,
    unit_name,
)

_SHORTEST_SECRET = 8  # Ansible censors every occurrence of a secret in a result: a short one would make it unreadable
_SPOOLS = ("/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron")
_KERNEL = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")
_OWN_SHELL = re.compile(rb"^[ \t]*SHELL[ \t]*=", re.MULTILINE)


class Outcome(NamedTuple):
    """What :func:`settle` did or would do; ``restart`` are the services whose processes have older variables."""

    plan: Plan
    restart: list[str]
    salt: str


class Others(NamedTuple):
    """What others wrote: what is left of it, what is wrong with that, and the edits that take off what is not left."""

    left: list[Leftover]
    conflicts: list[str]
    edits: list[Edit]


def wished(params: Mapping[str, Any]) -> Wish:
    """What the module's parameters ask for; nothing with state=absent. Raises :class:`OptionError`."""
    if params["state"] == "absent":
        return NOTHING
    if params["variables"] is None and params["platform"] is None:
        raise OptionError(
            "variables is missing: state=present needs it, or platform, or both (an empty list removes all)"
        )
    given = family(params["platform"]) if params["platform"] else []
    variables = checked(params["variables"] or [], given)
    system = params["scope"] == "system"
    for option in () if system else ("secret_group", "services", "cron_files", "cron_users"):
        if params[option]:
            what = "with scope=user only the user can read the files" if option == "secret_group" else _USERS_OWN
            raise OptionError(f"{option} is for scope=system; {what}")
    scopes = frozenset(SHARED if params["scopes"] is None else params["scopes"])
    for index, row in enumerate(params["variables"] or []):
        _check_scopes(f"variables[{index}].scopes", row, params, scopes)
    return Wish(
        variables,
        scopes,
        _services(params["services"]),
        _crontabs(params["cron_files"], params["cron_users"]),
        _kernels(params["kernels"], system),
        group_id(params["secret_group"]),
    )


_USERS_OWN = "a user's own services read environment.d, and ~/.config/ibm_quantum/run runs any command"


def checked(rows: Sequence[Mapping[str, Any]], given: Sequence[Variable] = ()) -> list[Variable]:
    """The variables of the option, after those that ``platform`` has given. Raises :class:`OptionError`."""
    variables: list[Variable] = []
    names = {v.name for v in given}
    wanted = [(v, "platform") for v in given]
    for index, row in enumerate(rows):
        scopes = row.get("scopes")
        variable = Variable(row["name"], row["value"], row["secret"], None if scopes is None else frozenset(scopes))
        wanted.append((variable, f"variables[{index}]"))
    for variable, place in wanted:
        try:
            check_name(variable.name)
        except FormatError as error:
            raise OptionError(f"{place}.name {variable.name!r} {error}") from error
        if any(other.name == variable.name for other in variables):
            if variable.name in names:
                raise OptionError(f"{place}.name {variable.name} is set by platform, too: keep one of them")
            raise OptionError(f"{place}.name {variable.name} is on the list twice: keep one of them")
        try:
            check_value(variable.value)
        except FormatError as error:
            raise OptionError(f"{place}.value of {variable.name} {error}") from error
        if variable.secret and len(variable.value) < _SHORTEST_SECRET:
            raise OptionError(
                f"{place}.value of {variable.name} has fewer than {_SHORTEST_SECRET} characters, which is no secret: "
                "give the whole secret, or secret: false"
            )
        variables.append(variable)
    for variable in variables:
        for other in variables:
            if other.secret and not variable.secret and other.value in variable.value:
                raise OptionError(
                    f"variables: the value of {variable.name} holds the secret of {other.name}, and every user could "
                    f"read it there: give {variable.name} secret: true as well"
                )
    return variables


def _check_scopes(place: str, row: Mapping[str, Any], params: Mapping[str, Any], scopes: frozenset[str]) -> None:
    """A scope that is asked for by name must be there, and must be able to keep a secret."""
    system = params["scope"] == "system"
    for scope in row["scopes"] or ():
        if scope in SHARED and scope not in scopes:
            raise OptionError(f"{place} has {scope}, which is not among scopes: add it there, or take it off here")
        if scope in NAMED and not any(params[option] for option in NAMED[scope]):
            raise OptionError(f"{place} has {scope}, but {' and '.join(NAMED[scope])} name none: name one there")
        if scope == "pam" and not system:
            raise OptionError(f"{place} has pam, which is for scope=system only: use login or user_services")
        if not row["secret"] or not system:
            continue
        if scope == "pam":
            raise OptionError(
                f"{place} has pam, but every user reads /etc/environment, and {row['name']} is secret: "
                "use login, services, cron or kernels, which read the file of secrets"
            )
        if scope == "user_services" and not params["secret_group"]:
            raise OptionError(
                f"{place} has user_services, but without secret_group every user would have to be able to read the "
                f"secret {row['name']}: set secret_group, or use scope: user, or services"
            )


def _services(rows: Sequence[Mapping[str, Any]]) -> list[Service]:
    services: list[Service] = []
    for index, row in enumerate(rows):
        name = unit_name(row["name"], f"services[{index}]")
        if name in [service.name for service in services]:
            raise OptionError(f"services[{index}].name {name} is on the list twice: keep one of them")
        services.append(Service(name, row["secrets"], row["restart"]))
    return services


def _crontabs(paths: Sequence[str], users: Sequence[str]) -> list[Crontab]:
    """The cron files of both options, each of which must be fit for a line at its beginning."""
    found = []
    for path in dict.fromkeys(paths):
        if os.path.dirname(path) != "/etc/cron.d" and path != "/etc/crontab":
            raise OptionError(f"cron_files: {path} is neither /etc/crontab nor a file in /etc/cron.d: see cron_users")
        if not os.path.exists(path):
            raise OptionError(f"cron_files: {path} does not exist: create it first, with the jobs that it is for")
        found.append(Crontab(path, 0o644, None, None))
    if users:
        import grp  # not on every controller that only reads this file's documentation
        import pwd

        spool = next((folder for folder in _SPOOLS if os.path.isdir(folder)), None)
        if spool is None:
            raise OptionError(f"cron_users: this host has no {' or '.join(_SPOOLS)}: install cron first")
        gid = next((group.gr_gid for group in grp.getgrall() if group.gr_name == "crontab"), 0)
        for user in dict.fromkeys(users):
            try:
                uid = pwd.getpwnam(user).pw_uid
            except KeyError:
                raise OptionError(
                    f"cron_users: no user {user!r} on this host: create it (ansible.builtin.user)"
                ) from None
            found.append(Crontab(os.path.join(spool, user), 0o600, uid, gid))
    for cron in found:
        if _OWN_SHELL.search(_without_block(cron.path)):
            raise OptionError(
                f"{cron.path} sets SHELL itself, which would undo what is set here: take that line off, or leave the "
                "file out and put /etc/ibm_quantum/run before the commands of the jobs"
            )
    return found


def _without_block(path: str) -> bytes:
    """What is others' in a cron file. One that is no file is refused later, by the manifest."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return b""
    return re.sub(re.escape(BEGIN.encode()) + b".*?" + re.escape(END.encode()), b"", content, flags=re.DOTALL)


def _kernels(rows: Sequence[Mapping[str, Any]], system: bool) -> list[Kernel]:
    kernels: list[Kernel] = []
    for index, row in enumerate(rows):
        place, folder = f"kernels[{index}]", row["directory"]
        if not _KERNEL.match(row["name"]):
            raise OptionError(f"{place}.name {row['name']!r} is no name of a kernel: a-z, 0-9, '.', '_' and '-' only")
        if row["name"] in [kernel.name for kernel in kernels]:
            raise OptionError(f"{place}.name {row['name']} is on the list twice: keep one of them")
        if not os.path.isabs(row["python"]):
            raise OptionError(f"{place}.python must be an absolute path of the host, not {row['python']!r}")
        if folder is None:
            folder = os.path.join("/usr/local/share" if system else _user_data(), "jupyter", "kernels")
        if not os.path.isabs(folder):
            raise OptionError(f"{place}.directory must be an absolute path of the host, not {folder!r}")
        kernels.append(Kernel(row["name"], row["display_name"], row["python"], folder))
    return kernels


def _user_data() -> str:
    """The user's folder for data. Raises :class:`OptionError`."""
    data = os.environ.get("XDG_DATA_HOME", "")
    return data if os.path.isabs(data) else os.path.join(user_folders()[0], ".local", "share")


def located(params: Mapping[str, Any], wish: Wish) -> Scope:
    """The files of the parameters' scope. Raises :class:`OptionError`, :class:`FormatError`."""
    if params["scope"] == "system":
        scope = _scopes.system(wish)
        if os.geteuid() != 0:
            raise OptionError("scope=system writes below /etc, which needs root: set become: true, or scope: user")
        return scope
    home, config = user_folders()
    return _scopes.user(wish, home, config, _login_shell())


def settle(scope: Scope, wish: Wish, check_mode: bool) -> Outcome:
    """Bring the scope's files to what is wished; in check mode only say how. Raises OptionError, Refused, OSError."""
    manifest = Manifest(scope.directory, scope.mode, os.geteuid())
    targets = sealed(scope.targets, os.path.join(scope.directory, "credentials"), check_mode)
    plan = manifest.plan(targets, {v.name: v.secret for v in wish.variables}, scope.known.items())
    changed = [change.path for change in plan.changes]
    if manifest.pending or not targets:
        # What a run that was killed had written, or taken away, may not have come to systemd's ears.
        paths = [*(target.path for target in targets), *manifest.paths]
        changed += [path for path in paths if is_drop_in(path) and path not in changed]
    concerned = [path for path in changed if concerns_services(path, scope.directory)]
    if not check_mode:
        manifest.apply(plan, lambda: tell(concerned, wish.services))
    stale = wish.services if concerned and plan.changed else []
    return Outcome(plan, [service.name for service in stale if not service.restart], manifest.salt)


def others(params: Mapping[str, Any], wish: Wish, scope: Scope, salt: str, check_mode: bool) -> Others:
    """Look at what others wrote; with leftovers=remove take off what can go. Raises OptionError, Refused, OSError,
    RuntimeError."""
    if params["leftovers"] == "ignore":
        return Others([], [], [])
    found = find(_homes(params["scope"] == "system"), mine=[t.path for t in scope.targets if not t.block])
    edits: list[Edit] = []
    if params["leftovers"] == "remove":
        edits = removal(found, salt)
        if not check_mode:
            apply(edits)
            tell([edit.path for edit in edits], [])
        gone = {edit.path for edit in edits}
        found = [leftover for leftover in found if not (leftover.removable and leftover.path in gone)]
    return Others(found, conflicts(found, {v.name: v.value for v in wish.variables}, salt), edits)


def _homes(system: bool) -> list[tuple[str, str]]:
    """The user, or root and the people of this host: name and home. A directory service's users are not listed."""
    import pwd  # not on every controller that only reads this file's documentation

    if not system:
        try:
            return [(pwd.getpwuid(os.geteuid()).pw_name, user_folders()[0])]
        except KeyError:  # a uid without a name, as in containers
            return []
    found = []
    with open("/etc/passwd", encoding="utf-8", errors="replace") as file:
        for fields in (line.split(":") for line in file):
            if len(fields) == 7 and fields[2].isdigit() and (fields[2] == "0" or 1000 <= int(fields[2]) < 65534):
                try:
                    if os.stat(fields[5]).st_uid == int(fields[2]):
                        found.append((fields[0], fields[5]))
                except OSError:
                    continue  # no home, or one that is not mounted now
    return found


def group_id(name: str | None) -> int | None:
    """A group's number; None for no group. Raises :class:`OptionError`."""
    if name is None:
        return None
    import grp  # not on every controller that only reads this file's documentation

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise OptionError(f"secret_group: no group {name!r} on this host: create it (ansible.builtin.group)") from None


def user_folders() -> tuple[str, str]:
    """The user's home and folder for configuration, as their login will see them. Raises :class:`OptionError`."""
    try:
        home = str(Path.home())
    except (RuntimeError, KeyError):  # no HOME, no such user; KeyError before Python 3.10
        home = "~"
    if not os.path.isabs(home) or not os.path.isdir(home):
        raise OptionError(
            f"scope=user needs a home directory, and {home!r} is none: set HOME in the task's environment"
        )
    owner = os.stat(home).st_uid
    if owner != os.geteuid():
        raise OptionError(
            f"scope=user writes to the home of the user it runs as, but {home} belongs to uid {owner}, not to uid "
            f"{os.geteuid()}: connect or become as that user"
        )
    config = os.environ.get("XDG_CONFIG_HOME", "")
    return home, config if os.path.isabs(config) else os.path.join(home, ".config")


def _login_shell() -> str:
    import pwd  # not on every controller that only reads this file's documentation

    try:
        return pwd.getpwuid(os.geteuid()).pw_shell
    except KeyError:
        return ""
