# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random values through every format, read back by what the format is for: on each host all of them at once.

``LAB_SEED`` repeats a run.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
from typing import Callable, Iterable, NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import (
    HEADER,
    FormatError,
    Variable,
    assignments,
    check_value,
    environment_d,
    loader,
    pam,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._shells import (
    crontab,
    csh,
    csh_loader,
    drop_in,
    fish,
    fish_loader,
    runner,
)
from tests.lab.firewalls import each
from tests.lab.host import Host
from tests.lab.system import wait_for

RANDOM, PLAIN = 200, 20
#: How many credentials are encrypted as well: each takes a process.
SEALED = 8
#: Seconds: cron looks at its files once a minute.
MINUTE = 75

#: Paths that every quoting has to do with, too.
FOLDER, CREDENTIALS = "/srv/it's 100%n [a] \\b !c $d é", "/srv/it's-100%n-[a]-$d-é"
OUT = "/srv/out"

FORMATS = {"sh": assignments, "csh": csh, "fish": fish, "pam": pam, "environment.d": environment_d}
LOADERS = {"sh": loader, "csh": csh_loader, "fish": fish_loader}
#: Shell to its format and how it is told to read the loader.
SHELLS = {
    "sh": ("sh", ["sh", "-c", ". /srv/load.sh; env -0"]),
    "bash": ("sh", ["bash", "-c", ". /srv/load.sh; env -0"]),
    "zsh": ("sh", ["zsh", "-f", "-c", ". /srv/load.sh; env -0"]),
    "tcsh": ("csh", ["tcsh", "-f", "-c", "source /srv/load.csh; env -0"]),
    "tcsh-quoting": ("csh", ["tcsh", "-f", "-c", "set backslash_quote; source /srv/load.csh; env -0"]),
    "fish": ("fish", ["fish", "-c", "source /srv/load.fish; env -0"]),
}
GENERATOR = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"

#: Files that the test only needs: path to text.
UNITS = {
    "/etc/systemd/system/probe.service": f"""
[Service]
Type=oneshot
User=bob
ExecStart=/bin/sh -c 'env -0 >{OUT}/service; cp -r "$$CREDENTIALS_DIRECTORY" {OUT}/credentials'
""",
    "/etc/systemd/system/sealed.service": f"""
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'cp -r "$$CREDENTIALS_DIRECTORY" {OUT}/sealed'
""",
    "/etc/systemd/user/probe.service": f"""
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'env -0 >{OUT}/manager.$$USER'
[Install]
WantedBy=default.target
""",
}

#: For the systemds that can. $@: credentials
SEAL = f"""
if command -v systemd-creds; then
    set -e
    for name in "$@"; do
        systemd-creds encrypt --with-key=host --name="$name" {shlex.quote(CREDENTIALS)}/"$name" /srv/"$name.cred"
    done
    systemctl start sealed.service
fi
"""

WRITE = """
import json, os, pwd, sys
for path, text, mode, owner in json.load(sys.stdin):
    who = pwd.getpwnam(owner)
    folder, missing = os.path.dirname(path), []
    while not os.path.isdir(folder):
        missing.insert(0, folder)
        folder = os.path.dirname(folder)
    for folder in missing:
        os.mkdir(folder)
        os.chown(folder, who.pw_uid, who.pw_gid)
    with open(path, "wb") as file:
        file.write(text.encode())
    os.chmod(path, mode)
    os.chown(path, who.pw_uid, who.pw_gid)
"""

#: Every file below a folder, as JSON, whose ASCII nothing on the way can change.
COLLECT = """
import json, os, sys
found = {}
for folder, _folders, names in os.walk(sys.argv[1]):
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            found[os.path.relpath(path, sys.argv[1])] = file.read().decode("utf-8", "surrogateescape")
print(json.dumps(found))
"""

NASTY = "'\"\\$`!#%\n\t" * 3 + "  (){}[]*?~^;&|<>=:,@-.+" + "abXY09" + "é量𝄞\xa0\u3000\uf600"
#: What environment.d refuses in a value, and what else /etc/environment does; of "'" the latter bears a little.
NO_LINES, NO_PAM = "\n\t", "\n\t#$`\\"
ALPHABETS = [NASTY.translate(dict.fromkeys(map(ord, without))) for without in ("", NO_LINES, NO_PAM, NO_PAM + "'")]

# --- the values


def holds(value: str) -> bool:
    try:
        check_value(value)
    except FormatError:
        return False
    return True


def nasty(dice: random.Random) -> str:
    while True:
        alphabet = dice.choice(ALPHABETS)
        ends = ["", *(char for char in " \t\n\\$!'\"" if char in alphabet)]
        length = dice.choice([dice.randint(1, 6), dice.randint(2, 30), dice.randint(20, 80)])
        if dice.random() < 0.04:
            length = dice.randint(1000, 6000)
        middle = "".join(dice.choice(alphabet) for _n in range(length))
        if dice.random() < 0.3:
            middle += chr(dice.randint(32, 0x10FFFF))
        value = dice.choice(ends) + middle + dice.choice(ends)
        if holds(value):
            return value


def plain(dice: random.Random) -> str:
    return "".join(dice.choice("abcXYZ0189_@%+=:,./-") for _n in range(dice.choice([1, 8, 44, 900])))


def drawn(dice: random.Random) -> list[Variable]:
    """The variables of a run, of which every other is a secret, so that each format is in two files."""
    values = [(f"V{number}", nasty(dice)) for number in range(RANDOM)]
    values += [("V_LONG", nasty(dice) + "x" * 100_000), ("PLAIN_URL", "https://user@example.test:8080/a?b=c%20d")]
    values += [(f"PLAIN{number}", plain(dice)) for number in range(PLAIN)]
    # What ends in PATH is a list to fish
    return [Variable(name + "_PATH" * (n % 5 == 0), value, bool(n % 2)) for n, (name, value) in enumerate(values)]


def accepted(format: str, variables: list[Variable]) -> list[Variable]:
    """What a format does not refuse; what it does, it must have a reason for."""
    fit = []
    for variable in variables:
        try:
            FORMATS[format]([variable])
        except FormatError as error:
            assert str(error).startswith(f"{variable.name}: ") and may_refuse(format, variable.value), (
                format,
                variable,
            )
        else:
            fit.append(variable)
    return fit


def may_refuse(format: str, value: str) -> bool:
    if format == "csh":
        return len(value) > 1300  # each as four, or of three bytes
    if format == "environment.d":
        return bool(set(value) & set(NO_LINES))
    if format == "pam":
        quotes = "'" in value and set(value) & set('"\\`')
        return bool(set(value) & set("\n\t#$") or quotes or len(value) > 250)
    return False


def for_pam(fit: list[Variable]) -> list[Variable]:
    """Under names of their own: what comes from there must not be taken for another format's."""
    return [v._replace(name=f"P_{v.name}") for v in fit]


# --- the host


def files(variables: list[Variable], fit: dict[str, list[Variable]]) -> list[tuple[str, str, int, str]]:
    """Path, text, mode and owner of all that the host gets."""
    found = [(path, text, 0o644, "root") for path, text in UNITS.items()]
    parts: dict[str, list[tuple[str, list[str]]]] = {kind: [] for kind in LOADERS}
    for kind, load in LOADERS.items():
        for secret, name, mode in ((False, "public", 0o644), (True, "secret", 0o600)):
            path, some = f"{FOLDER}/{name}.{kind}", [v for v in fit[kind] if v.secret is secret]
            found.append((path, HEADER + FORMATS[kind](some), mode, "root"))
            parts[kind].append((path, [v.name for v in some]))
        found.append((f"/srv/load.{kind}", HEADER + load(parts[kind]), 0o644, "root"))
    found.append((f"{FOLDER}/run", runner(parts["sh"]), 0o755, "root"))

    found += [(f"{CREDENTIALS}/{v.name}", v.value, 0o600, "root") for v in variables]
    unit = drop_in([path for path, _names in parts["sh"]], [(v.name, f"{CREDENTIALS}/{v.name}") for v in variables])
    found.append(("/etc/systemd/system/probe.service.d/60.conf", HEADER + unit, 0o644, "root"))
    unit = drop_in([], [(v.name, f"/srv/{v.name}.cred") for v in variables[:SEALED]], encrypted=True)
    found.append(("/etc/systemd/system/sealed.service.d/60.conf", HEADER + unit, 0o644, "root"))

    found.append(("/etc/environment", pam(for_pam(fit["pam"])), 0o644, "root"))
    text = HEADER + environment_d(fit["environment.d"])
    found.append(("/home/bob/.config/environment.d/60.conf", text, 0o600, "bob"))
    for user, path, column in (("root", "/etc/cron.d/probe", "root "), ("bob", "/srv/crontab", "")):
        job = f"* * * * * {column}env -0 >{OUT}/.{user} && mv {OUT}/.{user} {OUT}/cron.{user}\n"
        found.append((path, "# somebody's file\n" + crontab(f"{FOLDER}/run") + job, 0o644, "root"))
    return found


def consume(host: Host, sealed: list[str]) -> None:
    """Start every consumer but cron, which starts by itself; each leaves a file with what it got."""
    script = ["set -e"]
    for shell, (_kind, argv) in SHELLS.items():
        script.append(f"{shlex.join(argv)} >{OUT}/{shell}.root")
        script.append(f"runuser -u bob -- {shlex.join(argv)} >{OUT}/{shell}.bob")
    script.append(f"{shlex.quote(FOLDER + '/run')} env -0 >{OUT}/run")
    script.append(f"runuser -u bob -- env -i HOME=/home/bob {GENERATOR} >{OUT}/generator")
    script.append("systemctl --quiet --global enable probe.service")
    script.append("systemctl daemon-reload && systemctl start probe.service")
    script += [f"systemctl start user@$(id -u {user}).service" for user in ("alice", "bob")]
    host.run("\n".join(script))
    host.run(["sh", "-c", SEAL, "sh", *sealed])


def collect(host: Host) -> dict[str, str]:
    found: dict[str, str] = json.loads(host.run(["python3", "-c", COLLECT, OUT]).stdout)
    return found


def variables_of(output: str) -> dict[str, str]:
    """The output of ``env -0``."""
    return dict(pair.split("=", 1) for pair in output.split("\0") if "=" in pair)


def generated(output: str) -> dict[str, str]:
    """What systemd's generators print: double quotes and backslashes where there have to be any."""
    pairs = (line.split("=", 1) for line in output.split("\n") if line)
    return {name: re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value for name, value in pairs}


class Seen(NamedTuple):
    """What the consumers of a host got."""

    host: Host
    output: dict[str, str]

    def exactly(
        self, consumer: str, expected: Iterable[Variable], read: Callable[[str], dict[str, str]] = variables_of
    ) -> dict[str, str]:
        """All that a consumer got, in which there must be what is expected."""
        got = read(self.output[consumer])
        wrong = [(v.name, v.value[:80], got.get(v.name, "")[:80]) for v in expected if got.get(v.name) != v.value]
        assert not wrong, (self.host, consumer, len(wrong), wrong[:3])
        return got


def check(seen: Seen, variables: list[Variable], fit: dict[str, list[Variable]]) -> None:
    secrets = {v.name for v in variables if v.secret}
    readers = {**{shell: kind for shell, (kind, _argv) in SHELLS.items()}, "cron": "sh"}
    for consumer, kind in readers.items():
        seen.exactly(f"{consumer}.root", fit[kind])
        got = seen.exactly(f"{consumer}.bob", [v for v in fit[kind] if not v.secret])
        assert not got.keys() & secrets, (seen.host, consumer)
    for user in ("root", "bob"):
        assert variables_of(seen.output[f"cron.{user}"])["SHELL"] == "/bin/sh"
    seen.exactly("run", fit["sh"])
    seen.exactly("service", fit["sh"])
    for v in variables:
        assert seen.output[f"credentials/{v.name}"] == v.value, (seen.host, v)
    for v in variables[:SEALED]:
        assert seen.output.get(f"sealed/{v.name}") == (v.value if seen.host.suite != "bullseye" else None), (
            seen.host,
            v,
        )
    seen.exactly("generator", fit["environment.d"], generated)
    seen.exactly("manager.bob", fit["environment.d"])
    for consumer in ("pam", "manager.alice"):
        seen.exactly(consumer, for_pam(fit["pam"]))


def test_every_format_gives_back_what_it_accepts(fresh_hosts: list[Host]) -> None:
    seed = int(os.environ.get("LAB_SEED") or random.randrange(10**6))
    print(f"LAB_SEED={seed}")
    variables = drawn(random.Random(seed))
    fit = {name: accepted(name, variables) for name in FORMATS}
    print(f"accepted of {len(variables)}:", {name: len(some) for name, some in fit.items()})
    # Plain ones everywhere, and enough of the others for the test to be one
    assert all(v in some for some in fit.values() for v in variables if v.name.startswith("PLAIN"))
    assert min(map(len, fit.values())) > RANDOM / 4

    def go(host: Host) -> Seen:
        host.run(f"install -d -m 1777 {OUT}")
        host.run(["python3", "-c", WRITE], input=json.dumps(files(variables, fit)))
        host.run("crontab -u bob /srv/crontab")
        consume(host, [v.name for v in variables[:SEALED]])
        by_pam = host.ssh("env -0", user="alice").stdout
        jobs = f"test -e {OUT}/cron.root && test -e {OUT}/cron.bob"
        wait_for(f"cron of {host.name}", lambda: host.run(jobs, check=False).returncode == 0, MINUTE, pause=0.5)
        return Seen(host, {**collect(host), "pam": by_pam})

    for seen in each(fresh_hosts, go).values():
        check(seen, variables, fit)
