# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every scope of the role environment at once, each looked at by a real consumer; and by somebody who must not see."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, Iterator

import pytest

from tests.lab.host import Host
from tests.lab.lab import Lab, Play
from tests.lab.picture import changes, picture
from tests.lab.system import wait_for
from tests.lab.test_environment import CRN, KEY, PIECES, variables

PLATFORM = {"api_key": KEY, "instance": CRN.replace("0123:4567", f"{'0' * 32}:4567"), "ca_path": "/etc/ssl/certs/x y"}
PUBLIC = {
    "QISKIT_IBM_INSTANCE": PLATFORM["instance"],
    "QISKIT_IBM_CHANNEL": "ibm_quantum_platform",
    "REQUESTS_CA_BUNDLE": PLATFORM["ca_path"],
}
SECRET = {"IQP_API_TOKEN": KEY, "QISKIT_IBM_TOKEN": KEY}
ALL = {**PUBLIC, **SECRET}

#: A service that stays, so that its processes can be looked at; it notes what it was given.
WORKER = """[Service]
User=bob
RuntimeDirectory={name}
RuntimeDirectoryMode=0700
ExecStart=/bin/sh -c 'env -0 >/run/{name}/env; if [ -n "$CREDENTIALS_DIRECTORY" ]; then \
cp "$CREDENTIALS_DIRECTORY"/* /run/{name}/; fi; touch /run/{name}/done; exec sleep 1000'
"""
#: Services by the way in which they get their secrets; systemd of bullseye cannot decrypt.
WAYS = {"by-environment": "environment", "by-credential": "credentials", "by-nothing": "none", "by-seal": "encrypted"}
CRON = "# a job of others\n* * * * * bob env -0 >/tmp/cron.env.part && mv /tmp/cron.env.part /tmp/cron.env\n"
CRONTAB = "* * * * * env -0 >$HOME/cron.env.part && mv $HOME/cron.env.part $HOME/cron.env\n"


class Scene:
    """The role with every scope, on the three hosts."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder

    def play(self, *args: str, **role: Any) -> Play:
        book = {
            "hosts": "all",
            "gather_facts": False,
            "roles": [{"role": "ibm_quantum.platform.environment"}],
            "vars": {
                "environment_platform": PLATFORM,
                "environment_secret_group": "quantum",
                "environment_cron_files": ["/etc/cron.d/others"],
                "environment_cron_users": ["alice"],
                "environment_kernels": [{"name": "ibm-quantum", "python": "/usr/bin/python3"}],
                "environment_services": "{{ lab_services }}",
                **role,
            },
        }
        (self.folder / "play.json").write_text(json.dumps([book]))
        done = self.lab.playbook(self.folder / "play.json", *args, "--extra-vars", f"@{self.folder}/services.json")
        assert not [piece for piece in PIECES if piece in done.output], "a secret is in ansible's output"
        return done


def services(host: Host) -> dict[str, str]:
    return {name: how for name, how in WAYS.items() if how != "encrypted" or host.suite != "bullseye"}


@pytest.fixture(scope="module")
def scene(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Hosts with services, cron jobs and people."""
    lab.reset()
    folder = tmp_path_factory.mktemp("scene")
    template = "{{ lab_all if inventory_hostname != '%s' else lab_all | rejectattr('secrets', 'eq', 'encrypted') }}"
    (old,) = [host.name for host in lab.hosts if host.suite == "bullseye"]
    rows = [{"name": name, "secrets": how, "restart": name == "by-environment"} for name, how in WAYS.items()]
    (folder / "services.json").write_text(json.dumps({"lab_all": rows, "lab_services": template % old}))
    for host in lab.hosts:
        host.run("groupadd --system quantum && usermod -aG quantum alice")
        host.run("cat >/etc/cron.d/others", input=CRON)
        host.run("crontab -u alice -", input=CRONTAB)
        for name in services(host):
            host.run(f"cat >/etc/systemd/system/{name}.service", input=WORKER.format(name=name))
        host.run("systemctl daemon-reload")
    yield Scene(lab, folder)


@pytest.fixture(scope="module")
def before(scene: Scene) -> dict[str, list[str]]:
    return {host.name: picture(host) for host in scene.lab.hosts}


@pytest.fixture(scope="module")
def onboarded(scene: Scene, before: dict[str, list[str]]) -> Scene:
    names = [host.name for host in scene.lab.hosts]
    foretold = scene.play("--check", "--diff")
    assert foretold.returncode == 0, foretold.output
    assert [foretold.recap[name]["changed"] for name in names] == [1] * len(names)
    assert {host.name: picture(host) for host in scene.lab.hosts} == before
    done = scene.play("--diff", "-vvvv")
    assert done.returncode == 0, done.output
    assert [done.recap[name]["changed"] for name in names] == [1] * len(names)
    again = scene.play("--diff")
    assert (again.returncode, again.changed) == (0, 0), again.output
    assert [again.recap[name]["ok"] for name in names] == [2] * len(names)  # the spec's check, and one module
    return scene


def seen(host: Host, user: str, *command: str) -> dict[str, str]:
    return variables(host.run(["su", "-l", user, *command, "-c", "env -0"]).stdout)


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "tcsh", "fish"])
def test_login_shells(onboarded: Scene, shell: str) -> None:
    for host in onboarded.lab.hosts:
        way = ("-s", f"/bin/{shell}" if shell in ("sh", "bash") else f"/usr/bin/{shell}")
        for user in ("root", "alice"):
            assert seen(host, user, *way).items() >= ALL.items(), (host, user)
        bob = seen(host, "bob", *way)
        assert bob.items() >= PUBLIC.items() and not bob.keys() & SECRET.keys(), host


def test_sessions_without_a_login_shell(onboarded: Scene) -> None:
    for host in onboarded.lab.hosts:
        found = variables(host.ssh("env -0", user="bob").stdout)
        assert found.items() >= PUBLIC.items() and not found.keys() & SECRET.keys(), host


def given(host: Host, name: str) -> dict[str, str]:
    """Start a service, wait for what it notes, and return that: variables, and credentials as ``NAME*``."""
    host.run(["systemctl", "restart", name])
    wait_for(f"{name} of {host}", lambda: not host.run(f"test -e /run/{name}/done", check=False).returncode, 30)
    found = variables(host.run(f"cat /run/{name}/env").stdout)
    for path in host.run(f"ls /run/{name}").stdout.split():
        if path not in ("env", "done"):
            found[f"{path}*"] = host.run(["cat", f"/run/{name}/{path}"]).stdout
    return found


def test_services(onboarded: Scene) -> None:
    credentials = {f"{name}*": value for name, value in SECRET.items()}
    for host in onboarded.lab.hosts:
        for name, how in services(host).items():
            found = given(host, name)
            expected = {"environment": ALL, "none": PUBLIC}.get(how, {**PUBLIC, **credentials})
            assert found.items() >= expected.items(), (host, name)
            assert (not found.keys() & SECRET.keys()) is (how != "environment"), (host, name)
        sealed = host.run("cat /etc/ibm_quantum/credentials/*.cred", check=False).stdout
        assert bool(sealed) is ("by-seal" in services(host)) and KEY not in sealed


def users_service(host: Host, user: str) -> dict[str, str]:
    """The environment of a service that the user's own systemd runs."""
    unit = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'env -0 >%h/probe.env'\n"
    folder = f"/home/{user}/.config/systemd/user"
    host.run(["su", user, "-c", f"mkdir -p {folder} && cat >{folder}/probe.service"], input=unit)
    uid = host.run(["id", "-u", user]).stdout.strip()
    host.run(["systemctl", "start", f"user@{uid}.service"])
    bus = ["test", "-e", f"/run/user/{uid}/systemd/private"]
    wait_for(f"the manager of {user}", lambda: not host.run(bus, check=False).returncode, 30)
    manager = ["runuser", "-u", user, "--", "env", f"XDG_RUNTIME_DIR=/run/user/{uid}", "systemctl", "--user"]
    host.run([*manager, "start", "probe.service"])
    host.run(["systemctl", "stop", f"user@{uid}.service"])
    return variables(host.run(f"cat /home/{user}/probe.env; rm -r /home/{user}/probe.env {folder}").stdout)


def test_services_of_users(onboarded: Scene) -> None:
    for host in onboarded.lab.hosts:
        assert users_service(host, "alice").items() >= ALL.items(), host
        bob = users_service(host, "bob")
        assert bob.items() >= PUBLIC.items() and not bob.keys() & SECRET.keys(), host


def test_cron_jobs(onboarded: Scene) -> None:
    def there(host: Host) -> bool:
        """Whether both jobs have run since the role did; what they noted before is from another minute."""
        script = "find /tmp/cron.env /home/alice/cron.env -newer /etc/ibm_quantum/run | grep -c ."
        return host.run(script, check=False).stdout.strip() == "2"

    for host in onboarded.lab.hosts:
        wait_for(f"the cron jobs of {host}", partial(there, host), 130)
        alice = variables(host.run("cat /home/alice/cron.env").stdout)
        assert alice.items() >= ALL.items() and alice["SHELL"] == "/bin/sh", host
        bob = variables(host.run("cat /tmp/cron.env").stdout)
        assert bob.items() >= PUBLIC.items() and not bob.keys() & SECRET.keys(), host
        host.run("rm /tmp/cron.env /home/alice/cron.env")


def test_any_command(onboarded: Scene) -> None:
    for host in onboarded.lab.hosts:
        for user, expected in (("alice", ALL), ("bob", PUBLIC)):
            run = ["runuser", "-u", user, "--", "/etc/ibm_quantum/run", "env", "-0"]
            assert variables(host.run(run).stdout).items() >= expected.items(), (host, user)


def test_somebody_else_sees_no_secret(onboarded: Scene) -> None:
    """bob runs some of the services himself and may see their own processes; alice's and root's he may not."""
    hunted = PIECES[0][:-1] + "[s]"  # an expression that does not find itself
    assert PIECES[0].endswith("s")
    for host in onboarded.lab.hosts:
        for name in services(host):
            host.run(["systemctl", "stop", name])
        host.run("cp /bin/sleep /tmp/sleeper; su -l alice -c 'setsid /tmp/sleeper 600 >/dev/null 2>&1 &'")
        found = host.run("pgrep -x sleeper").stdout.split()
        assert found and KEY in host.run(f"cat /proc/{found[0]}/environ").stdout
        search = (
            f"grep -rIs -e '{hunted}' /etc /var /run /tmp /home /root /usr/local; "
            f"cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | grep -a -e '{hunted}'; "
            f"systemctl show '*' 2>/dev/null | grep -e '{hunted}'; "
            "systemctl cat by-environment.service by-credential.service"
        )
        host.run("cat >/tmp/search && chmod 755 /tmp/search", input=search)
        out = host.run(["runuser", "-u", "bob", "--", "sh", "/tmp/search"], check=False).stdout
        hits = host.run(["sh", "/tmp/search"], check=False).stdout
        assert "secrets.env" in hits and hits.count(PIECES[0]) > 3, "the search would not find it"
        host.run("rm /tmp/search /tmp/sleeper; kill " + found[0])
        assert "EnvironmentFile=" in out and not [piece for piece in PIECES if piece in out], host
        journal = host.run("journalctl --no-pager --all --output=verbose").stdout
        assert "ansible" in journal and not [piece for piece in PIECES if piece in journal], host


def restarted(host: Host) -> bool:
    return "another" in host.run("cat /run/by-environment/env").stdout


def test_a_new_key_comes_to_services_that_want_to_be_restarted(onboarded: Scene) -> None:
    for host in onboarded.lab.hosts:
        for name in services(host):
            given(host, name)
            host.run(["rm", f"/run/{name}/done"])
    other = {**PLATFORM, "api_key": "another'key-of-44-characters"}
    done = onboarded.play("-v", environment_platform=other)
    assert done.returncode == 0 and "by-credential.service" in done.output
    for host in onboarded.lab.hosts:
        wait_for("the restart", partial(restarted, host), 30)
        assert host.run("test -e /run/by-credential/done", check=False).returncode == 1
    assert onboarded.play(environment_platform=other).changed == 0
    assert onboarded.play().returncode == 0


def test_removal_is_exact(onboarded: Scene, before: dict[str, list[str]]) -> None:
    """The last test of the module: nothing is there afterwards."""
    done = onboarded.play("--diff", environment_state="absent")
    assert done.returncode == 0, done.output
    for host in onboarded.lab.hosts:
        for name in services(host):
            host.run(["systemctl", "stop", name])
        host.run("rm -f /home/alice/cron.env")
        # What using the host leaves: files of shells, and the key with which systemd encrypts
        used = (".local/share/fish", ".config/fish", ".local", ".config", ".cache", "credential.secret")
        left = [line for line in changes(before[host.name], picture(host)) if not any(word in line for word in used)]
        assert not left, host
    assert onboarded.play(environment_state="absent").changed == 0
