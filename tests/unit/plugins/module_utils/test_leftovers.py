# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pwd
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _account, _leftovers
from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import HEADER
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import Refused
from ansible_collections.ibm_quantum.platform.plugins.module_utils._leftovers import (
    NAMES,
    Leftover,
    apply,
    conflicts,
    find,
    removal,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import BEGIN, END

ME = pwd.getpwuid(os.geteuid()).pw_name
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

KEY, OTHER = "key-of-this-collection-0123456789-0123456789", "another-key-of-somebody-0123456789-012345678"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/{}:instance::"
OURS, THEIRS = CRN.format("1" * 32), CRN.format("2" * 32)
FAMILY = {"IQP_API_TOKEN": KEY, "QISKIT_IBM_TOKEN": KEY, "QISKIT_IBM_INSTANCE": OURS, "IAM_URL": "https://iam.test"}


class Host:
    """An ``/etc`` and one home, of the user who runs the tests."""

    def __init__(self, folder: Path) -> None:
        self.etc, self.home = folder / "etc", folder / "home"
        self.etc.mkdir(parents=True)
        self.home.mkdir()

    def put(self, path: str, content: str | bytes, mode: int = 0o644) -> Path:
        file = (self.etc if path.startswith("etc/") else self.home) / path.partition("/")[2]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(mode)
        return file

    def find(self, **options: Any) -> list[Leftover]:
        return find([(ME, str(self.home))], str(self.etc), **options)

    def rows(self) -> dict[str, tuple[str, str, int, bool]]:
        """Path below etc or home: name, kind, line and whether it can go."""
        top = self.etc.parent
        return {os.path.relpath(x.path, top): (x.name, x.kind, x.line, x.removable) for x in self.find()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


LINES = {
    "sh": f"# a file\nexport IQP_API_TOKEN={KEY}\n",
    "csh": f"# a file\nsetenv IQP_API_TOKEN {KEY}\n",
    "fish": f"# a file\nset -gx IQP_API_TOKEN {KEY}\n",
    "env": f"# a file\nIQP_API_TOKEN={KEY}\n",
    "unit": f"[Service]\nEnvironment=IQP_API_TOKEN={KEY}\n",
    "fish_variables": f"# a file\nSETUVAR --export IQP_API_TOKEN:{KEY}\n",
}
PLACES = {
    "sh": [
        *("etc/profile", "etc/profile.d/x.sh", "etc/bash.bashrc", "etc/bashrc", "etc/zsh/zshenv", "etc/zsh/zprofile"),
        *("etc/zshenv", "etc/zprofile", "etc/zshrc", "home/.profile", "home/.bash_profile", "home/.bash_login"),
        *("home/.bashrc", "home/.zshenv", "home/.zprofile", "home/.zshrc", "home/.zlogin"),
    ],
    "csh": [
        *("etc/profile.d/x.csh", "etc/csh.cshrc", "etc/csh.login", "etc/csh/login.d/x"),
        *("home/.login", "home/.cshrc", "home/.tcshrc"),
    ],
    "fish": [
        *("etc/fish/config.fish", "etc/fish/conf.d/x.fish"),
        *("home/.config/fish/config.fish", "home/.config/fish/conf.d/x.fish"),
    ],
    "env": [
        *("etc/environment", "etc/environment.d/x.conf", "etc/security/pam_env.conf", "etc/crontab", "etc/cron.d/x"),
        *("home/.pam_environment", "home/.config/environment.d/x.conf"),
    ],
    "unit": [
        *("etc/systemd/system/x.service", "etc/systemd/system/x.service.d/y.conf"),
        "home/.config/systemd/user/x.service",
    ],
    "fish_variables": ["home/.config/fish/fish_variables"],
}


@pytest.mark.parametrize("grammar, path", [(grammar, path) for grammar, paths in PLACES.items() for path in paths])
def test_every_place_is_looked_at_and_cleaned(host: Host, grammar: str, path: str) -> None:
    file = host.put(path, LINES[grammar], 0o640)
    assert host.rows() == {path: ("IQP_API_TOKEN", "assignment", 2, True)}
    found = host.find()
    assert found[0].owner == ME and found[0].secret and found[0].value == KEY
    assert found[0].everyone == path.startswith("etc/")
    edits = removal(found)
    assert file.read_text() == LINES[grammar]  # planning touches nothing
    apply(edits)
    assert file.read_text() == LINES[grammar].split("\n")[0] + "\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert not host.find() and not removal(found)
    assert sorted(x.name for x in file.parent.iterdir() if x.is_file()) == [file.name]


def test_other_places_are_not(host: Host) -> None:
    for path in ("etc/default/x", "etc/profile.d/x.bak", "etc/environment.d/.x.conf", "home/.env", "home/.bashrc.old"):
        host.put(path, LINES["sh"])
    assert not host.find()


def test_what_is_ours_is_not_left_over(host: Host) -> None:
    block = BEGIN + LINES["sh"] + END
    host.put("home/.profile", f"umask 022\n{block}export IAM_URL=https://x.test\n")
    host.put("etc/profile.d/ibm_quantum.sh", HEADER + LINES["sh"])
    host.put("etc/zsh/run", "#!/bin/sh\n" + HEADER + LINES["sh"])
    mine = host.put("etc/profile.d/named.sh", LINES["sh"])
    found = host.find(mine=[str(mine)])
    assert [(x.name, x.line, x.secret) for x in found] == [("IAM_URL", 6, False)]
    apply(removal(found))
    assert (host.home / ".profile").read_text() == f"umask 022\n{block}"


def accounts(**tokens: str | None) -> dict[str, Any]:
    return {
        name: {"channel": "ibm_quantum_platform", "instance": THEIRS, "verify": True, **({"token": t} if t else {})}
        for name, t in tokens.items()
    }


def test_saved_accounts(host: Host) -> None:
    data = accounts(a=KEY, keep=None, **{'wei"rd ü': OTHER})
    file = host.put("home/.qiskit/qiskit-ibm.json", json.dumps(data, sort_keys=True, indent=4), 0o600)
    found = host.find()
    lines = file.read_text().split("\n")
    assert [(x.name, x.kind, x.value, x.secret, x.removable) for x in found] == [
        ("a", "account", KEY, True, True),
        ('wei"rd ü', "account", OTHER, True, True),
    ]
    assert all(json.dumps(x.name) in lines[x.line - 1] for x in found)
    apply(removal(found))
    assert file.read_text() == json.dumps({"keep": data["keep"]}, sort_keys=True, indent=4)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_accounts_of_the_collection_stay(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.put("home/.qiskit/qiskit-ibm.json", json.dumps(accounts(other=OTHER)))
    monkeypatch.setenv("HOME", str(host.home))
    entry = {**accounts(ours=KEY)["ours"], "url": "https://cloud.ibm.com", "private_endpoint": False}
    assert _account.settle({"ours": entry}, False, False)["changed"]
    found = host.find()
    assert [x.name for x in found] == ["other"]
    apply(removal(found))
    assert list(json.loads((host.home / ".qiskit/qiskit-ibm.json").read_text())) == ["ours"]


@pytest.mark.parametrize("text", ["", "{", "[]", '"token"', '{"a": "token"}', '{"a": {"token": 1}}', "[" * 100000])
def test_files_of_accounts_that_are_none(host: Host, text: str) -> None:
    host.put("home/.qiskit/qiskit-ibm.json", text + ' "token"' * (text == "{"))
    assert not host.find()


def test_files_that_are_none(host: Host) -> None:
    os.mkfifo(host.home / ".profile")
    (host.home / ".bashrc").mkdir()
    (host.home / ".zshrc").symlink_to("nowhere")
    host.put("home/.zshenv", LINES["sh"] + "#" * 1024 * 1024)
    host.put("home/.zprofile", "")
    assert not host.find()
    assert not find([(ME, str(host.home / "missing"))], str(host.etc / "missing"))


def test_bytes_that_are_no_text_stay(host: Host) -> None:
    file = host.put("home/.profile", b"# caf\xe9\n" + LINES["sh"].encode() + b"echo \xff\r\n\0 end")
    apply(removal(host.find()))
    assert file.read_bytes() == b"# caf\xe9\n# a file\necho \xff\r\n\0 end"


def test_a_line_without_an_end(host: Host) -> None:
    file = host.put("home/.profile", "umask 022\nexport IAM_URL=x")
    apply(removal(host.find()))
    assert file.read_text() == "umask 022\n"


def test_what_is_part_of_something_is_reported_only(host: Host) -> None:
    file = host.put("home/.profile", "if true; then\nexport IAM_URL=x\nfi\n")
    found = host.find()
    assert [(x.name, x.removable) for x in found] == [("IAM_URL", False)]
    assert not removal(found)
    assert "take it out by hand" in conflicts(found, FAMILY)[0]
    apply([])
    assert "export" in file.read_text()


def test_a_file_that_changed_in_between_is_refused(host: Host) -> None:
    file = host.put("home/.profile", LINES["sh"])
    edits = removal(host.find())
    host.put("home/.profile", LINES["sh"] + "new\n")
    with pytest.raises(Refused, match="was changed by somebody else in the meantime: run this again"):
        apply(edits)
    assert file.read_text() == LINES["sh"] + "new\n"
    file.unlink()
    with pytest.raises(Refused):
        apply(edits)
    assert not file.exists()


def test_lines_that_moved_in_between_are_not_taken_for_others(host: Host) -> None:
    file = host.put("home/.profile", LINES["sh"])
    found = host.find()
    host.put("home/.profile", "one\ntwo\n" + LINES["sh"])
    assert not removal(found)
    assert file.read_text().startswith("one\ntwo\n")


def test_no_value_is_in_any_text(host: Host) -> None:
    host.put("home/.profile", f"export IQP_API_TOKEN={KEY}\nexport QISKIT_IBM_INSTANCE=secret-by-mistake\n")
    host.put("home/.bashrc", f"# QISKIT_IBM_TOKEN={OTHER}\nexport IBMCLOUD_API_KEY=$(cat key)\n")
    host.put("home/.qiskit/qiskit-ibm.json", json.dumps(accounts(a=OTHER)))
    found = host.find()
    edits = removal(found)
    assert len(found) == 5 and len(edits) == 3
    texts = [repr(found), str(found), repr(edits), *conflicts(found, FAMILY), *(e.before + e.after for e in edits)]
    assert conflicts(found, FAMILY)
    for secret in (KEY, OTHER, "secret-by-mistake"):
        assert not [text for text in texts if secret in text or secret[:12] in text]
    shown = "".join(edit.before for edit in edits)
    assert "line 1: IQP_API_TOKEN=<secret, sha256:" in shown
    assert "line 2: QISKIT_IBM_INSTANCE=<value>\n" in shown
    assert "account a: token=<secret, sha256:" in shown
    assert removal(found, "salt") == removal(found, "salt") != removal(found, "other")


# By other users


@as_root
class TestRoot:
    @pytest.fixture
    def daemon(self, host: Host) -> pwd.struct_passwd:
        """A user whose home it is."""
        entry = pwd.getpwnam("daemon")
        for path in (*host.home.parents, host.home):
            if path.is_relative_to("/tmp") and path != Path("/tmp"):
                path.chmod(0o755)
        os.chown(host.home, entry.pw_uid, entry.pw_gid)
        return entry

    def own(self, host: Host, entry: pwd.struct_passwd) -> None:
        for path in host.home.rglob("*"):
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)

    def find(self, host: Host) -> list[Leftover]:
        return find([("daemon", str(host.home))], str(host.etc))

    def test_a_home_of_another(self, host: Host, daemon: pwd.struct_passwd) -> None:
        file = host.put("home/.profile", LINES["sh"], 0o600)
        host.put("home/.qiskit/qiskit-ibm.json", json.dumps(accounts(a=KEY)), 0o600)
        self.own(host, daemon)
        found = self.find(host)
        assert [(x.name, x.owner, x.value, x.removable) for x in found] == [
            ("IQP_API_TOKEN", "daemon", KEY, True),
            ("a", "daemon", KEY, True),
        ]
        apply(removal(found))
        assert file.read_text() == "# a file\n"
        assert (file.stat().st_uid, file.stat().st_gid) == daemon[2:4]
        assert not self.find(host)

    def test_a_clean_home_costs_no_process(
        self, host: Host, daemon: pwd.struct_passwd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for path in (
            "home/.profile",
            "home/.config/fish/conf.d/x.fish",
            "home/.config/systemd/user/a.service.d/b.conf",
        ):
            host.put(path, "# nothing of the family\n")
        self.own(host, daemon)
        monkeypatch.setattr(_leftovers, "as_user", None)
        assert not self.find(host)

    @pytest.mark.parametrize("link", [".profile", ".config", "whole"])
    def test_links_out_of_the_users_power(self, host: Host, daemon: pwd.struct_passwd, link: str) -> None:
        secret = host.etc.parent / "root-only"
        (secret / "fish").mkdir(parents=True)
        secret.chmod(0o700)
        for path in (secret / ".profile", secret / "fish" / "config.fish"):
            path.write_text(LINES["fish" if path.suffix else "sh"])
        home = host.home
        if link == "whole":
            home.rmdir()
            home.symlink_to(secret)
        else:
            (home / link).symlink_to(secret / ".profile" if link == ".profile" else secret)
        assert not self.find(host)

    def test_links_within_the_users_power(self, host: Host, daemon: pwd.struct_passwd) -> None:
        host.put("home/dotfiles/profile", LINES["sh"])
        (host.home / ".profile").symlink_to("dotfiles/profile")
        self.own(host, daemon)
        found = self.find(host)
        assert [(x.name, x.removable) for x in found] == [("IQP_API_TOKEN", True)]
        apply(removal(found))
        assert (host.home / ".profile").is_symlink()
        assert (host.home / ".profile").read_text() == "# a file\n"

    def test_a_file_of_roots_in_the_home(self, host: Host, daemon: pwd.struct_passwd) -> None:
        host.put("home/.profile", LINES["sh"], 0o644)
        assert [(x.name, x.removable) for x in self.find(host)] == [("IQP_API_TOKEN", False)]
        host.put("home/.profile", LINES["sh"], 0o600)  # not the user's to read, and so not theirs to use
        assert not self.find(host)

    def test_links_and_folders_below_etc(self, host: Host) -> None:
        target = host.put("etc/elsewhere", LINES["sh"])
        (host.etc / "profile.d").mkdir()
        (host.etc / "profile.d" / "x.sh").symlink_to(target)
        assert [x.removable for x in host.find()] == [False]
        (host.etc / "profile.d" / "x.sh").unlink()
        host.put("etc/profile.d/y.sh", LINES["sh"])
        assert [x.removable for x in host.find()] == [True]
        (host.etc / "profile.d").chmod(0o777)
        assert [x.removable for x in host.find()] == [False]


# What is wrong about them


def left(name: str, value: str, **more: Any) -> Leftover:
    kind = "assignment" if name in NAMES else "account"
    one = Leftover("/home/alice/.x", name, kind, 12, "alice", name != "QISKIT_IBM_INSTANCE", value, True)
    return one._replace(**more)


@pytest.mark.parametrize(
    "leftover, family, said",
    [
        (left("IQP_API_TOKEN", OTHER), FAMILY, "a login of alice would use another API key (sha256:"),
        (left("IQP_API_TOKEN", OTHER, everyone=True), FAMILY, "every login would use another API key"),
        (left("IQP_API_TOKEN", KEY), FAMILY, "holds the same API key as the collection sets, and keeps it when"),
        (left("IBMCLOUD_API_KEY", KEY), FAMILY, "holds the same API key as the collection sets"),
        (left("IBMCLOUD_API_KEY", OTHER), FAMILY, "with the instance that the collection sets, and IBM answers 403"),
        (left("QISKIT_IBM_TOKEN", OTHER), {"QISKIT_IBM_INSTANCE": OURS}, "would use it with the instance that the"),
        (left("QISKIT_IBM_TOKEN", OTHER), {"IQP_API_TOKEN": KEY}, "has another API key (sha256:"),
        (left("QISKIT_IBM_TOKEN", ""), FAMILY, "to what only its shell knows"),
        (left("QISKIT_IBM_INSTANCE", THEIRS), FAMILY, f"an instance of account {'2' * 32}, not of {'1' * 32}"),
        (left("QISKIT_IBM_INSTANCE", CRN.format("1" * 32) + "x"), FAMILY, "would use another value than"),
        (left("QISKIT_IBM_INSTANCE", OURS), FAMILY, "to the same value as the collection sets, and keeps it"),
        (left("QISKIT_IBM_INSTANCE", THEIRS), {"IQP_API_TOKEN": KEY}, "with the API key that the collection sets"),
        (left("QISKIT_IBM_INSTANCE", "no CRN"), FAMILY, "would use another value than the collection sets"),
        (left("IAM_URL", "https://other.test", secret=False), FAMILY, "would use another value than"),
        (
            left("work", OTHER, instance=THEIRS),
            FAMILY,
            "the saved account 'work' of alice, whose instance is of account",
        ),
        (left("work", KEY, instance=OURS), FAMILY, "with the API key that the collection sets, and keeps it"),
        (left("IQP_API_TOKEN", OTHER, kind="comment"), {}, "holds an API key in a comment: remove the line, or set"),
    ],
)
def test_conflicts(leftover: Leftover, family: dict[str, str], said: str) -> None:
    (sentence,) = conflicts([leftover], family)
    assert sentence.startswith("/home/alice/.x line 12 ") and said in sentence
    assert sentence.endswith("or set leftovers: remove")


@pytest.mark.parametrize(
    "leftover, family",
    [
        (left("IQP_API_TOKEN", OTHER), {}),
        (left("IAM_URL", "https://iam.test", secret=False), {"IQP_API_TOKEN": KEY}),
        (left("QISKIT_IBM_INSTANCE", THEIRS), {"IAM_URL": "https://iam.test"}),
        (left("IAM_URL", "", secret=False), {}),
        (left("work", OTHER, instance=OURS), FAMILY),
        (left("work", OTHER, instance=""), FAMILY),
        (left("work", OTHER, instance="a name"), FAMILY),
        (left("work", OTHER, instance=THEIRS), {"IQP_API_TOKEN": KEY}),
    ],
)
def test_no_conflicts(leftover: Leftover, family: dict[str, str]) -> None:
    assert not conflicts([leftover], family)


def test_several_default_accounts() -> None:
    found = [left(name, OTHER, default=True) for name in ("a", "b")] + [left("c", OTHER)]
    (sentence,) = conflicts(found, {})
    assert sentence.startswith("/home/alice/.x has 2 default accounts (a, b), and IBM's client takes the first: ")


def test_which_are_the_same_key_shows_by_a_salted_hash() -> None:
    found = [left("IQP_API_TOKEN", OTHER), left("QISKIT_IBM_TOKEN", OTHER)]
    texts = [conflicts(found, FAMILY, salt) for salt in ("a", "a", "b", "", "")]
    hashes = [[part.partition(")")[0] for part in " ".join(text).split("sha256:")[1::2]] for text in texts]
    assert all(len(row) == 2 and row[0] == row[1] for row in hashes)
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[3] != hashes[4]


# Any file

_LINES = st.lists(
    st.sampled_from(
        [
            *(f"export {name}={KEY}" for name in NAMES),
            *(f"{name}='{OTHER}'; export {name}" for name in NAMES[:3]),
            f"# IQP_API_TOKEN={KEY}",
            "IAM_URL=x python",
            "if true; then",
            "fi",
            "cat <<END",
            "END",
            "echo 'it",
            "done'",
            'x="$(y)"',
            "",
        ]
    )
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=12),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(lines=_LINES, path=st.sampled_from(["home/.profile", "etc/environment", "home/.cshrc", "etc/profile.d/a.sh"]))
def test_removal_alters_no_other_line(tmp_path_factory: pytest.TempPathFactory, lines: list[str], path: str) -> None:
    host = Host(tmp_path_factory.mktemp("host"))
    file = host.put(path, "\n".join(lines))
    found = host.find()
    edits = removal(found)
    apply(edits)
    gone = {x.line for x in found if x.removable}
    kept = [line for number, line in enumerate(lines, 1) if number not in gone]
    ended = len(lines) in gone and kept  # the line before a last one that goes keeps its end
    assert file.read_bytes().decode() == "\n".join(kept) + ("\n" if ended else "")
    assert all(any(name in lines[number - 1] for name in NAMES) for number in gone)
    texts = [repr(found), repr(edits), *conflicts(found, FAMILY), *(edit.before + edit.after for edit in edits)]
    assert not [text for text in texts if KEY in text or OTHER in text]
