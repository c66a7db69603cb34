# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.lab``: see ``--help`` and README.md."""

from __future__ import annotations

import argparse
import os
import sys

from . import images, system
from .lab import Lab, all_labs
from .system import LabError, say


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.lab", description="Real hosts on one machine. Needs root.")
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, help: str, host: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.add_argument("--name", default="lab", help="which lab, when there are several (default: %(default)s)")
        if host:
            sub.add_argument("host", metavar="HOST", help="h1, h2, ...")
        return sub

    def suites(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--suites", nargs="+", default=list(images.SUITES), help="Debian suites (%(default)s)")

    commands.add_parser("install", help="install what the lab needs of this machine").set_defaults(name="lab")
    suites(command("images", "build the hosts' root file systems that are missing"))
    up = command("up", "bring a lab up")
    up.add_argument("--hosts", type=int, default=3, help="how many, in turns over the suites (default: %(default)s)")
    suites(up)
    command("down", "end a lab, also after a crash").add_argument("--all", action="store_true", help="end every lab")
    command("status", "show hosts, DNS and the emulator")
    command("inventory", "print the Ansible inventory")
    command("enter", "run a command, or a shell, as the controller").add_argument("argv", nargs=argparse.REMAINDER)
    command("reboot", "shut a host down and boot it again", host=True)
    command("snapshot", "keep a host's files for reset", host=True)
    reset = command("reset", "put a host back to its snapshot or its first boot", host=True)
    reset.add_argument("--pristine", action="store_true", help="to the first boot, and forget snapshots")
    command("exec", "run a command in a host", host=True).add_argument("argv", nargs=argparse.REMAINDER)
    return top


def status(lab: Lab) -> int:
    if not lab.exists():
        say(f"lab {lab.name}: not up")
        return 3
    for host in lab.hosts:
        print(f"{host.name:5} {host.suite:10} {host.address:12} {host.address6:14} {_word(host.running())}")
    print(f"{'dns':5} {_word(lab.dns.running())}\n{'emul.':5} {_word(lab.emulator.running())}")
    return 0


def _word(running: bool) -> str:
    return "up" if running else "DOWN"


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    given = getattr(options, "argv", [])[:]
    if given[:1] == ["--"]:  # some Pythons leave it
        del given[0]
    reason = system.why_not()
    if reason:
        raise LabError(reason)
    lab = Lab(options.name)
    if options.command == "install":
        say("lab: installed", *(system.install() or ["nothing: all is there"]))
    elif options.command == "images":
        lab.prepare(options.suites)
        print(*(images.image(suite) for suite in options.suites), sep="\n")
    elif options.command == "up":
        lab.up(options.hosts, options.suites)
        return status(lab)
    elif options.command == "down":
        for one in all_labs() if options.all else [lab]:
            one.down()
    elif options.command == "status":
        return status(lab)
    elif not lab.hosts:
        raise LabError(f"the lab {lab.name} is not up: `python -m tests.lab up` brings it up")
    elif options.command == "inventory":
        print(lab.inventory.read_text(), end="")
    elif options.command == "enter":
        command = [*lab.enter(), *(given or [os.environ.get("SHELL", "/bin/sh")])]
        os.execvpe(command[0], command, lab.controller_env())
    elif options.command == "exec":
        command = lab.host(options.host).enter() + (given or ["bash", "-l"])
        os.execvp(command[0], command)
    elif options.command == "reboot":
        lab.host(options.host).reboot()
    elif options.command == "snapshot":
        lab.host(options.host).snapshot()
    elif options.command == "reset":
        lab.host(options.host).reset(options.pristine)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as exc:
        sys.exit(f"lab: {exc}")
