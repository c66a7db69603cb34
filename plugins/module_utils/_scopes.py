# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Where variables go: the files of each scope, for a host and for a user. Decides and writes nothing; stdlib only.

Values are in files of the collection's own, one for what is public and one for secrets, each grammar in its own files.
What leads to them (profiles, units, cron files, kernels) holds no values, with two exceptions that cannot point to a
file: ``/etc/environment`` and ``environment.d``.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
from typing import AbstractSet, Callable, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import (
    Variable,
    assignments,
    environment_d,
    loader,
    pam,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import Target
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

#: Scopes that are there for every user of a host, and those that are for what is named in options of their own.
SHARED = ("login", "pam", "user_services")
NAMED = {"services": ("services",), "cron": ("cron_files", "cron_users"), "kernels": ("kernels",)}

DROP_IN = "60-ibm_quantum.conf"


class Grammar(NamedTuple):
    """How a family of shells writes values, and how it reads them from files."""

    values: Callable[[Sequence[Variable]], str]
    load: Callable[[Sequence[tuple[str, Sequence[str]]]], str]
    public: str
    secret: str


SH = Grammar(assignments, loader, "environment", "secrets.env")
CSH = Grammar(csh, csh_loader, "environment.csh", "secrets.csh")
FISH = Grammar(fish, fish_loader, "environment.fish", "secrets.fish")


class Service(NamedTuple):
    """A systemd unit that gets the variables, and how it gets the secrets."""

    name: str
    secrets: str  # environment, credentials, encrypted or none
    restart: bool


class Kernel(NamedTuple):
    """A Jupyter kernel whose processes have the variables."""

    name: str
    display_name: str
    python: str
    directory: str


class Crontab(NamedTuple):
    """A cron file whose jobs get the variables; ``uid`` and ``gid`` for one that may have to be made."""

    path: str
    mode: int
    uid: int | None
    gid: int | None


class Wish(NamedTuple):
    """What a host or user is to have, checked."""

    variables: list[Variable]
    scopes: AbstractSet[str]  # which of SHARED
    services: list[Service]
    crontabs: list[Crontab]
    kernels: list[Kernel]
    secret_gid: int | None


NOTHING = Wish([], frozenset(), [], [], [], None)


class Scope(NamedTuple):
    """Where a scope's files are, and what they may ever be: path and whether it is a block."""

    directory: str
    mode: int
    known: dict[str, bool]
    targets: list[Target]


def within(variables: Sequence[Variable], scope: str) -> list[Variable]:
    """The variables that a scope gets."""
    return [v for v in variables if v.scopes is None or scope in v.scopes]


class Values:
    """The files with values: made for a scope and grammar when something is to lead to them."""

    def __init__(
        self, directory: str, variables: list[Variable], modes: tuple[int, int], gids: tuple[int | None, int | None]
    ) -> None:
        self.directory, self.variables, self.modes, self.gids = directory, variables, modes, gids
        self.targets: dict[str, Target] = {}

    def files(self, scope: str, grammar: Grammar = SH) -> list[tuple[str, list[str]]]:
        """The files that hold a scope's variables, each with their names. A scope that has all shares the files."""
        chosen = within(self.variables, scope)
        prefix = "" if chosen == self.variables else f"{scope}."
        parts = []
        for secret, name in enumerate((grammar.public, grammar.secret)):
            some = [v for v in chosen if v.secret == bool(secret)]
            if some:
                path = os.path.join(self.directory, prefix + name)
                self.targets[path] = Target(path, grammar.values(some), self.modes[secret], self.gids[secret])
                parts.append((path, [v.name for v in some]))
        return parts

    def runner(self, scope: str, gid: int | None) -> str:
        """The program that runs a command with a scope's variables."""
        parts = self.files(scope)
        shared = within(self.variables, scope) == self.variables
        path = os.path.join(self.directory, "run" if shared else f"{scope}.run")
        mode = self.modes[0] | 0o111 & (self.modes[0] >> 2)
        self.targets[path] = Target(path, runner(parts), mode, gid, open=True)
        return path


def system(wish: Wish, root: str = "/") -> Scope:
    """The files for a whole host. Raises :class:`FormatError`."""
    etc = os.path.join(root, "etc")
    directory = os.path.join(etc, "ibm_quantum")
    secret_mode = 0o600 if wish.secret_gid is None else 0o640
    values = Values(directory, wish.variables, (0o644, secret_mode), (0, wish.secret_gid or 0))
    leads: list[Target] = []

    def lead(path: str, text: str, block: bool = False, valueless: bool = False) -> None:
        leads.append(Target(path, text, 0o644, None if block else 0, block, open=valueless))

    if wish.variables:
        values.runner("all", 0)
    if "login" in wish.scopes and within(wish.variables, "login"):
        for path, grammar, block in _system_profiles(etc):
            lead(path, grammar.load(values.files("login", grammar)), block=block, valueless=True)
    if "pam" in wish.scopes:
        public = [v for v in within(wish.variables, "pam") if not v.secret]
        if public:
            lead(os.path.join(etc, "environment"), pam(public), block=True)
    if "user_services" in wish.scopes:
        chosen = within(wish.variables, "user_services")
        public, secrets = ([v for v in chosen if v.secret is secret] for secret in (False, True))
        folder = os.path.join(etc, "environment.d")
        if public:
            lead(os.path.join(folder, DROP_IN), environment_d(public))
        if secrets and wish.secret_gid is not None:
            path = os.path.join(folder, "61-ibm_quantum-secrets.conf")
            leads.append(Target(path, environment_d(secrets), 0o640, wish.secret_gid))
    for service in wish.services:
        leads += _unit(service, values, etc)
    if wish.crontabs and within(wish.variables, "cron"):
        text = crontab(values.runner("cron", 0))
        for cron in wish.crontabs:
            leads.append(Target(cron.path, text, cron.mode, cron.gid, block=True, top=True, uid=cron.uid, open=True))
    leads += _kernels(wish, values, 0o644, 0)
    return Scope(directory, 0o755, _known(etc, directory), [*values.targets.values(), *leads])


def _system_profiles(etc: str) -> list[tuple[str, Grammar, bool]]:
    """What login shells read, of those shells that the host has: path, grammar, and whether it is shared."""
    found = [(os.path.join(etc, "profile.d", "ibm_quantum.sh"), SH, False)]
    if os.path.isdir(os.path.join(etc, "zsh")):  # elsewhere its /etc/zprofile reads /etc/profile
        found.append((os.path.join(etc, "zsh", "zprofile"), SH, True))
    if os.path.isdir(os.path.join(etc, "csh", "login.d")):
        found.append((os.path.join(etc, "csh", "login.d", "ibm_quantum"), CSH, False))
    elif os.path.exists(os.path.join(etc, "csh.login")):
        found.append((os.path.join(etc, "profile.d", "ibm_quantum.csh"), CSH, False))
    if os.path.isdir(os.path.join(etc, "fish")):
        found.append((os.path.join(etc, "fish", "conf.d", "ibm_quantum.fish"), FISH, False))
    return found


def _known(etc: str, directory: str) -> dict[str, bool]:
    """What a host may have of us although the manifest was lost; what is named in options is known by it only."""
    paths = [os.path.join(directory, name) for g in (SH, CSH, FISH) for name in (g.public, g.secret)]
    paths += [os.path.join(directory, "run")]
    paths += [os.path.join(etc, "profile.d", f"ibm_quantum.{kind}") for kind in ("sh", "csh")]
    paths += [os.path.join(etc, *parts) for parts in (("csh", "login.d", "ibm_quantum"), ("environment.d", DROP_IN))]
    paths += [os.path.join(etc, "environment.d", "61-ibm_quantum-secrets.conf")]
    paths += [os.path.join(etc, "fish", "conf.d", "ibm_quantum.fish")]
    blocks = [os.path.join(etc, "environment"), os.path.join(etc, "zsh", "zprofile")]
    return {**dict.fromkeys(paths, False), **dict.fromkeys(blocks, True)}


def _unit(service: Service, values: Values, etc: str) -> list[Target]:
    """A unit's drop-in, and the credentials that it names."""
    chosen = within(values.variables, "services")
    secrets = [v for v in chosen if v.secret]
    files = [path for path, names in values.files("services")]
    if service.secrets != "environment":
        files = files[: 1 if len(secrets) < len(chosen) else 0]
    targets, credentials = [], []
    if service.secrets in ("credentials", "encrypted"):
        ending = ".cred" if service.secrets == "encrypted" else ""
        for v in secrets:
            path = os.path.join(values.directory, "credentials", v.name + ending)
            credentials.append((v.name, path))
            targets.append(Target(path, v.value, 0o600, 0, mark=""))
    if not files and not credentials:
        return []
    path = os.path.join(etc, "systemd", "system", f"{service.name}.d", DROP_IN)
    text = drop_in(files, credentials, service.secrets == "encrypted")
    return [*targets, Target(path, text, 0o644, 0, open=True)]


def _kernels(wish: Wish, values: Values, mode: int, gid: int | None) -> list[Target]:
    if not wish.kernels or not within(wish.variables, "kernels"):
        return []
    run = values.runner("kernels", gid)
    return [
        Target(
            os.path.join(k.directory, k.name, "kernel.json"),
            kernel(k.display_name, k.python, run),
            mode,
            gid,
            mark=run,
            open=True,
        )
        for k in wish.kernels
    ]


def user(wish: Wish, home: str, config: str, shell: str = "") -> Scope:
    """The files for one user, in their home and in their folder for configuration. Raises :class:`FormatError`.

    ``shell`` is the user's login shell: its profile is made if there is none.
    """
    directory = os.path.join(config, "ibm_quantum")
    # With the secrets or without them: nobody but the user reads any of it.
    together = [v._replace(secret=False) for v in wish.variables]
    values = Values(directory, together, (0o600, 0o600), (None, None))
    systemd = os.path.join(config, "environment.d", DROP_IN)
    profiles = _user_profiles(home, config, os.path.basename(shell))
    leads: list[Target] = []
    if together:
        values.runner("all", None)
    if "user_services" in wish.scopes and within(together, "user_services"):
        leads.append(Target(systemd, environment_d(within(together, "user_services")), 0o600))
    if "login" in wish.scopes and within(together, "login"):
        for path, grammar, block in profiles:
            text = grammar.load(values.files("login", grammar))
            leads.append(Target(path, text, 0o644, block=block, open=True))
    leads += _kernels(wish, values, 0o600, None)
    known = {os.path.join(directory, g.public): False for g in (SH, CSH, FISH)}
    known.update({os.path.join(directory, "run"): False, systemd: False})
    known.update({path: block for path, grammar, block in profiles})
    return Scope(directory, 0o700, known, [*values.targets.values(), *leads])


def _user_profiles(home: str, config: str, shell: str) -> list[tuple[str, Grammar, bool]]:
    """As :func:`_system_profiles`, for what is in a home."""

    def there(*names: str) -> list[str]:
        return [path for path in (os.path.join(home, name) for name in names) if os.path.exists(path)]

    posix = [os.path.join(home, ".profile"), *there(".bash_profile", ".bash_login", ".zprofile")]
    posix += [os.path.join(home, ".zprofile")] if shell == "zsh" else []
    csh_like = (
        [os.path.join(home, ".login")] if shell in ("csh", "tcsh") or there(".login", ".cshrc", ".tcshrc") else []
    )
    found = [(path, SH) for path in posix] + [(path, CSH) for path in csh_like]
    # People keep links from these to a folder of their own: the user's process may follow the user's link.
    blocks = {os.path.realpath(path): grammar for path, grammar in found}
    folder = os.path.join(config, "fish")
    fishes = [os.path.join(folder, "conf.d", "ibm_quantum.fish")] if shell == "fish" or os.path.isdir(folder) else []
    return [(p, g, True) for p, g in blocks.items()] + [(p, FISH, False) for p in fishes]
