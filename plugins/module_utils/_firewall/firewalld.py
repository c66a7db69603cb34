# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The firewalld provider: the policy ``ibm-quantum`` and ipsets, see :mod:`firewalld_files`; firewalld 1.0 (2021) or
newer with its nftables backend.

Why not firewalld 0.9, which has policies too: its rules cannot name an ipset as destination, and up to 0.9.4 a policy
that rejects what the host sends rejects the packets of established connections as well (firewalld's issue 705).

Why every change but that of addresses is a reload: firewalld makes policies and ipsets only then, and changes a policy
at runtime rule by rule, each 30 ms, the old ones first. In a reload firewalld drops what others changed at runtime
only; so :meth:`Firewalld.check` refuses where there is such.

Why rules that reject are added at runtime, after a reload: firewalld reads files below /etc, and nothing that shuts
anybody out may outlive a power failure before it is confirmed. So only what opens lies there while firewalld reloads. A
link to /run would be no way: firewalld does not come up with a link that leads nowhere.

What is in force is read from the kernel, not from firewalld: so it is also seen when others flush or edit the rules.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import ipaddress
import json
import os
import re
import shutil
import subprocess
import tempfile
from functools import partial
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall import firewalld_files as form
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.command import PATH, complete
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.firewalld_files import ETC, NAME, POLICY
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.policy import Destination, Rules
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.provider import (
    FirewallError,
    Live,
    Provider,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import (
    read,
    remove,
    write,
)

_BUS = "org.fedoraproject.FirewallD1"
_OBJECT = "/org/fedoraproject/FirewallD1"
_TIMEOUT = 120
_LEAST = (1, 0)
#: A chain of our policy.
_CHAIN = re.compile(rf"[a-z]+_[A-Z]+_policy_{NAME}(_[a-z]+)?")

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


class Kernel(NamedTuple):
    """Our part of firewalld's table. ``verdicts``: how many rules accept or reject; ``sets``: name to elements."""

    rules: tuple[str, ...]
    verdicts: int
    reached: bool
    sets: dict[str, frozenset[str]]


class Firewalld(Provider):
    """See :class:`provider.Provider`. A ruleset is the files, each after a line ``# PATH``.

    ``run`` runs a command, for tests; ``root`` is / but in tests.
    """

    name = "firewalld"
    modes = frozenset({"enforce", "allow"})  # firewalld does not count
    resolutions = frozenset({"resolve"})  # since 2.3 nobody but firewalld may fill its sets
    scopes: frozenset[str] = frozenset()
    service = None
    packages = ("firewalld", "nftables")
    nothing = ""

    def __init__(self, run: Run | None = None, root: str = "/") -> None:
        self._call = run or partial(complete, path=PATH)
        self._root = root

    def missing(self) -> str | None:
        lacking = [c for c in ("firewall-offline-cmd", "nft", "busctl") if not shutil.which(c, path=PATH)]
        if lacking:
            return f"the command {lacking[0]} is not on this host: install the packages {' and '.join(self.packages)}"
        return None if self._running() else "firewalld is not running: systemctl enable --now firewalld"

    def inspect(self) -> Live | None:
        kernel = self._kernel()
        if kernel is None:
            return None
        learnt: set[Destination] = set()
        servers: set[str] = set()
        lasting: list[Any] = [kernel.rules, kernel.reached]
        for name, elements in sorted(kernel.sets.items()):
            service = form.LEARNT.fullmatch(name)
            if service:
                learnt |= {Destination(host, int(service[2]), service[1]) for host in elements}
            elif form.DNS.fullmatch(name):
                servers |= elements
            lasting.append([name, None if form.is_moving(name) else sorted(elements)])
        digest = hashlib.sha256(json.dumps(lasting).encode()).hexdigest()
        return Live(digest, frozenset(learnt), frozenset(servers), {})

    def render(self, rules: Rules) -> str:
        return form.text(self.files(rules))

    def check(self, ruleset: str) -> None:
        version = self._property("", "version")
        if tuple(map(int, re.findall(r"\d+", version)[:2])) < _LEAST:
            raise FirewallError(
                f"firewalld {version} is too old, 1.0 is needed: its policies for what the host sends cannot name "
                "ipsets, and may reject established connections: use provider=nftables",
                "unsupported",
            )
        backend = self._property("/config", "FirewallBackend")
        if backend != "nftables":
            raise FirewallError(
                f"firewalld's backend is {backend}: set FirewallBackend=nftables in {ETC}/firewalld.conf", "unsupported"
            )
        self.check_others(ruleset)
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "firewalld")
            shutil.copytree(self._path(ETC), copy, symlinks=True)
            for path in self.paths():
                remove(copy + path[len(ETC) :])
            for path, text in form.parse(ruleset).items():
                write(copy + path[len(ETC) :], text.encode())
            self._do("firewall-offline-cmd", f"--system-config={copy}", "--check-config")

    def check_others(self, ruleset: str) -> None:
        if self._has(form.parse(ruleset)):
            return  # no reload comes
        differing = self._runtime_only()
        if differing:
            raise FirewallError(
                "this needs a reload of firewalld, which would drop what differs from its permanent configuration: "
                f"{', '.join(differing)}: keep it by `firewall-cmd --runtime-to-permanent`, or drop it by "
                "`firewall-cmd --reload`",
                "runtime_only",
            )

    def load(self, ruleset: str) -> None:
        files = form.parse(ruleset)
        if not files and not self._running():
            return
        before = self._there()
        if self._has(files):
            for path in set(self.paths()) - before.keys():
                remove(self._path(path))
            self._fill({name: inside for name, inside in form.entries(files).items() if form.is_moving(name)})
            return
        try:
            self._put(form.trial(files, before) if files else {})
            self._reload()
        except FirewallError:
            self._put(before)
            with contextlib.suppress(FirewallError):
                self._reload()
            raise
        finally:
            self._put(before)
        if files:
            self._complete(files[POLICY])
        if not self._has(files):
            raise FirewallError("firewalld reloaded but has other rules: see /var/log/firewalld", "provider_failed")

    def update(self, rules: Rules) -> None:
        self._fill({name: elements for name, _version, elements in form.sets(rules) if form.is_moving(name)})

    def save(self) -> str:
        if self._kernel() is None:
            return self.nothing
        return form.text(self._there())

    def boot_command(self, path: str) -> str | None:
        return None

    def files(self, rules: Rules) -> dict[str, bytes]:
        return form.files(rules)

    def paths(self) -> Iterable[str]:
        # Also the *.xml.old that firewalld leaves when it writes a file itself.
        found = [
            path
            for pattern in (f"policies/{NAME}.xml*", f"ipsets/{NAME}-*.xml*")
            for path in sorted(glob.glob(self._path(f"{ETC}/{pattern}")))
        ]
        return ["/" + os.path.relpath(path, self._root) for path in found]

    # -- files ---------------------------------------------------------------------------------------------------------

    def _path(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    def _running(self) -> bool:
        found = ("run/systemd/units/invocation:firewalld.service", "run/firewalld.pid")
        return any(os.path.lexists(self._path(path)) for path in found)

    def _there(self) -> dict[str, bytes]:
        """Our files but those that a killed run left."""
        found = {path: read(self._path(path)) for path in self.paths()}
        return {path: text for path, text in found.items() if isinstance(text, bytes) and not form.tried(text)}

    def _put(self, files: Mapping[str, bytes]) -> None:
        """Have these files of ours, and no others."""
        for path in self.paths():
            if path not in files:
                remove(self._path(path))
        for path, content in files.items():
            write(self._path(path), content)

    # -- the kernel ----------------------------------------------------------------------------------------------------

    def _kernel(self) -> Kernel | None:
        command = ["nft", "--json", "list", "table", "inet", "firewalld"]
        done = self._call(command)
        if done.returncode:
            if "No such file or directory" in done.stderr:
                return None
            raise _failed(command, done)
        rules, sets, verdicts, reached, chain = [], {}, 0, False, False
        for item in json.loads(done.stdout)["nftables"]:
            (kind, body), *_rest = item.items()
            if kind == "set" and body["name"].startswith(f"{NAME}-"):
                sets[body["name"]] = frozenset(map(_element, body.get("elem", ())))
            elif kind == "chain":
                chain = chain or body["name"] == f"filter_OUT_policy_{NAME}"
            elif kind == "rule":
                steps = [step for step in body["expr"] if "counter" not in step]  # firewalld 2.2 can count
                if _CHAIN.fullmatch(body["chain"]):
                    rules.append(json.dumps([body["chain"], steps], sort_keys=True))
                    verdicts += any("accept" in step or "reject" in step for step in steps)
                elif any(f"_OUT_policy_{NAME}" in json.dumps(step.get("jump", "")) for step in steps):
                    reached = True
        if not chain and not sets:
            return None
        # Sorted: versions differ in the order, of which nothing depends among rules that all accept.
        return Kernel(tuple(sorted(rules)), verdicts, reached, sets)

    def _has(self, files: Mapping[str, str]) -> bool:
        """Whether this ruleset is in force but for learnt addresses, both with firewalld and in the kernel."""
        kernel, settings = self._kernel(), self._settings()
        if not files:
            return kernel is None and settings is None
        if kernel is None or settings is None:
            return False
        wanted = form.settings(files[POLICY])
        sets = form.entries(files)
        return (
            {key: value for key, value in settings.items() if value or key in wanted} == wanted
            and kernel.verdicts == len(wanted["rich_rules"])
            and kernel.reached
            and kernel.sets.keys() == sets.keys()
            and all(kernel.sets[name] == inside for name, inside in sets.items() if not form.is_moving(name))
        )

    # -- firewalld -----------------------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any] | None:
        """Our policy at runtime; None if there is none."""
        if NAME not in self._bus("policy", "getPolicies"):
            return None
        settings = self._bus("policy", "getPolicySettings", "s", NAME)
        return {**settings, "rich_rules": sorted(settings.get("rich_rules", ()))}

    def _complete(self, policy: str) -> None:
        """Have the rules of this file, from those of its trial: first with what is new, then without what is old."""
        wanted, now = form.settings(policy), self._settings() or {"rich_rules": []}
        for rules in (sorted({*now["rich_rules"], *wanted["rich_rules"]}), wanted["rich_rules"]):
            if rules != now["rich_rules"]:
                zones = ["ingress_zones", "as", "1", "HOST", "egress_zones", "as", "1", "ANY"]
                settings = ["3", "rich_rules", "as", str(len(rules)), *rules, *zones]
                self._bus("policy", "setPolicySettings", "sa{sv}", NAME, *settings)
                now["rich_rules"] = rules

    def _fill(self, wanted: Mapping[str, Iterable[str]]) -> None:
        """Have these entries in these ipsets: first what is new, then without what is old."""
        kernel = self._kernel()
        sets = kernel.sets if kernel else {}
        for method in ("addEntry", "removeEntry"):
            for name, inside in sorted(wanted.items()):
                new, old = set(inside), set(sets.get(name, ()))
                for entry in sorted(new - old if method == "addEntry" else old - new):
                    self._bus("ipset", method, "ss", name, entry)

    def _runtime_only(self) -> list[str]:
        """Where firewalld at runtime and on disk differ, but for what is ours."""
        # NetworkManager binds its interfaces again after a reload.
        managed = os.path.lexists(self._path("/run/systemd/units/invocation:NetworkManager.service"))
        ignored = ("interfaces",) if managed else ()
        differing = []
        for kind, names, settings, get in (
            ("zone", "getZones", "getZoneSettings2", "getSettings2"),
            ("policy", "getPolicies", "getPolicySettings", "getSettings"),
            ("ipset", "getIPSets", "getIPSetSettings", "getSettings"),
        ):
            word = {"zone": "Zone", "policy": "Policy", "ipset": "IPSet"}[kind]
            now, lasting = self._bus(kind, names), self._bus("config", f"get{word}Names")
            for name in sorted({*now, *lasting}):
                if name == NAME or name.startswith(f"{NAME}-"):
                    continue
                if name in now and name in lasting:
                    path = self._bus("config", f"get{word}ByName", "s", name)[len(_OBJECT) :]
                    one, two = self._bus(kind, settings, "s", name), self._bus(f"config.{kind}", get, path=path)
                    if _comparable(one, ignored) == _comparable(two, ignored):
                        continue
                differing.append(f"{kind} {name}")
        direct = [self._bus("direct", f"getAll{what}") for what in ("Chains", "Rules", "Passthroughs")]
        if _comparable(direct) != _comparable(self._bus("config.direct", "getSettings", path="/config")):
            differing.append("direct rules")
        return differing

    def _bus(self, interface: str, method: str, *arguments: str, path: str = "") -> Any:
        """What a method of firewalld gives. ``path``: of the object, from the root of firewalld's own."""
        where = f"{_OBJECT}{path or ('/config' if interface == 'config' else '')}"
        full = f"{_BUS}.{interface}".rstrip(".")
        text = self._do(
            "busctl", "--json=short", f"--timeout={_TIMEOUT}", "call", _BUS, where, full, method, *arguments
        )
        return _plain(json.loads(text)["data"][0]) if text.strip() else None

    def _property(self, path: str, name: str) -> str:
        interface = _BUS + path.replace("/", ".")
        text = self._do("busctl", "--json=short", "get-property", _BUS, _OBJECT + path, interface, name)
        return str(json.loads(text)["data"])

    def _reload(self) -> None:
        self._bus("", "reload")

    def _do(self, *command: str) -> str:
        done = self._call(command)
        if done.returncode:
            raise _failed(command, done)
        return done.stdout


def _element(element: Any) -> str:
    """An element of a set, as nft has it, in the one spelling that is compared."""
    if isinstance(element, dict):
        prefix = element.get("prefix")
        if not prefix:
            return json.dumps(element)
        element = f"{prefix['addr']}/{prefix['len']}"
    return form.plain(ipaddress.ip_network(element))


def _plain(data: Any) -> Any:
    """busctl's JSON without the types that it has beside each variant."""
    if isinstance(data, dict):
        return _plain(data["data"]) if data.keys() == {"type", "data"} else {k: _plain(v) for k, v in data.items()}
    return [_plain(value) for value in data] if isinstance(data, list) else data


def _comparable(data: Any, ignored: Iterable[str] = ()) -> Any:
    """Settings without order, and without what is empty."""
    if isinstance(data, dict):
        return {key: _comparable(value) for key, value in data.items() if value and key not in ignored}
    return sorted(map(_comparable, data), key=repr) if isinstance(data, list) else data


def _failed(command: Sequence[str], done: subprocess.CompletedProcess[str]) -> FirewallError:
    text = (done.stderr or done.stdout).strip()
    return FirewallError(f"{' '.join(command)} failed: {text}", "provider_failed")
