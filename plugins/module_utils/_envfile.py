# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The file formats in which a host keeps environment variables. Pure text in, text out; standard library only.

Sources: POSIX "Shell Command Language" 2.2.3 (double quotes); systemd.exec(5), ``EnvironmentFile=``; environment.d(5);
pam_env(8), ``envfile``, and the parsers behind these pages where the pages are silent.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import AbstractSet, Callable, Iterable, NamedTuple, Sequence

HEADER = "# Managed by Ansible, collection ibm_quantum.platform: edits will be overwritten.\n"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+\Z")

#: The grammars of assignments() and environment_d(), and of csh() and fish() in _shells
_ASSIGNMENT = re.compile(
    r"^(?P<lead>|setenv |set -gx )(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<is>=(?=\")| (?='))(?P<value>"
    r'"(?:[^"\\$`]|\\["\\$`]|\$\$)*"'
    r"|(?:'(?:[^'!\\\n]|\\\n)*'|\\['!\\])+"
    r"|'(?:[^'\\]|\\['\\])*')\n",
    re.M,
)
_PAM_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=[^\n]*\n?\Z")
_LOADER = re.compile(
    r"(?:if \[ -r '[^\n]*' \]; then|    \. '[^\n]*'|    export [A-Za-z0-9_ ]+|fi"
    r"|if \( -r '[^\n]*' \) source '[^\n]*'|if test -r '[^\n]*'|    source '[^\n]*'|end"
    r"|SHELL=[\"']?/[^\n]*/ibm_quantum/[a-z.]*run[\"']?)\n\Z"
)

#: The end of the script of _shells.runner(), after a loader.
RUN = """\
case ${1-} in
    -c)
        export SHELL=/bin/sh
        exec /bin/sh "$@"
        ;;
    '' | -*)
        echo "usage: $0 COMMAND [ARGUMENT...]" >&2
        exit 2
        ;;
esac
exec "$@"
"""

#: Lines that hold no values, and the whole of drop_in() and kernel() in _shells.
_OPEN_LINES = frozenset([HEADER, "#!/bin/sh\n", *RUN.splitlines(True)])
_OPEN_FILE = re.compile(
    r"(?:" + re.escape(HEADER) + r")?\[Service\]\n"
    r"(?:EnvironmentFile=/[^\n]*\n|LoadCredential(?:Encrypted)?=[A-Za-z0-9_.-]+:/[^\n]*\n)+\Z"
    r'|\{\n "argv": \[\n  "/[^\n]*",\n  "/[^\n]*",\n  "-m",\n  "ipykernel_launcher",\n  "-f",\n'
    r'  "\{connection_file\}"\n \],\n "display_name": "[^\n]*",\n "language": "python",\n'
    r' "metadata": \{\n  "debugger": true\n \}\n\}\n\Z'
)

#: pam_env reads lines into a buffer of 1024 bytes; a longer line ends its reading of the whole file.
_PAM_LINE = 1022
_NOT_PAM = "leave pam out of its scopes"

#: Read-only in bash, or in zsh a list that PATH and the like follow: a login that sets one ends, or is crippled.
_SHELLS_OWN = frozenset(
    ("UID", "EUID", "GID", "EGID", "PPID", "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO")
    + ("argv", "cdpath", "fpath", "manpath", "path", "pipestatus", "status")
)


class Variable(NamedTuple):
    """One environment variable."""

    name: str
    value: str
    secret: bool = False
    scopes: frozenset[str] | None = None  # None: wherever it can be


class FormatError(ValueError):
    """A name or value that a format cannot hold. The text says why, without the value."""


def check_name(name: str) -> None:
    """Raise :class:`FormatError` unless every shell and systemd take this as a variable's name."""
    if not _NAME.match(name):
        raise FormatError("is no name of an environment variable: letters, digits and _ only, no digit first")
    if name in _SHELLS_OWN:
        raise FormatError("is a name that shells keep for themselves, and setting it would break logins")


def check_value(value: str) -> None:
    """Raise :class:`FormatError` for a value that no format holds on every host.

    An empty value is refused because pam_env reads it as "unset", and because it is what a lookup that found nothing
    gives.
    Control characters but tab and newline make systemd before version 250 drop the variable.
    """
    if not value:
        raise FormatError("is empty: give it a value, or take the variable off the list")
    for char in value:
        code, category = ord(char), unicodedata.category(char)
        if category == "Cs" or (category == "Cc" and char not in "\t\n"):
            raise FormatError("has a control character or is not UTF-8: environment files hold text only")
        if code == 0xFEFF or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
            raise FormatError("has a character that is no text in Unicode, which systemd refuses")


def assignments(variables: Iterable[Variable]) -> str:
    """Lines ``NAME="value"``: what ``EnvironmentFile=`` reads, and what a POSIX shell reads with ``.``.

    Within double quotes both take a backslash before one of ``" \\ $ ` `` off and every other character, newlines
    included, as it is. Single quotes would not do: systemd before version 240 takes backslashes off within them.
    """
    return "".join('{}="{}"\n'.format(v.name, re.sub(r'(["\\$`])', r"\\\1", v.value)) for v in variables)


def environment_d(variables: Iterable[Variable]) -> str:
    """Lines for ``environment.d``: the quoting of :func:`assignments`, then systemd expands ``$``; ``$$`` gives one.

    Raises :class:`FormatError`, naming the variable, for a newline or tab: on their way from the file's reader to the
    user's manager systemd (252 and 257, not 247) makes a backslash and a letter of them.
    """
    return "".join(_environment_d_line(v) for v in variables)


def _environment_d_line(variable: Variable) -> str:
    name, value = variable.name, variable.value
    for char, word in (("\n", "newline"), ("\t", "tab")):
        if char in value:
            why = f"the value has a {word}, which environment.d cannot keep"
            raise FormatError(f"{name}: {why}; leave user_services out of its scopes")
    return '{}="{}"\n'.format(name, re.sub(r'(["\\`])', r"\\\1", value).replace("$", "$$"))


def pam(variables: Iterable[Variable]) -> str:
    """Lines for ``/etc/environment``. Raises :class:`FormatError`, naming the variable, for what it cannot hold.

    The file has two readers: pam_env, which knows no escapes and takes off one quote at either end, and systemd's user
    manager, which unquotes like a shell and then expands ``$``. Only what both read alike is written.
    """
    return "".join(_pam_line(v) for v in variables)


def _pam_line(variable: Variable) -> str:
    name, value = variable.name, variable.value
    for char, word in (
        ("\n", "a newline"),
        ("\t", "a tab, of which systemd makes two characters"),
        ("#", "'#', which begins a comment"),
        ("$", "'$', which systemd expands"),
    ):
        if char in value:
            raise FormatError(f"{name}: the value has {word}: /etc/environment cannot hold that; {_NOT_PAM}")
    if _PLAIN.match(value):
        line = f"{name}={value}"
    elif not re.search(r'["\\`]', value):
        line = f'{name}="{value}"'
    elif "'" not in value:
        line = f"{name}='{value}'"
    else:
        raise FormatError(
            f"{name}: the value has ' together with \", \\ or `: /etc/environment has no escapes for that; " + _NOT_PAM
        )
    if len(line.encode("utf-8")) > _PAM_LINE:
        raise FormatError(f"{name}: the value is too long: /etc/environment has {_PAM_LINE} bytes a line; {_NOT_PAM}")
    return line + "\n"


def loader(files: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Shell text that reads each file of :func:`assignments`, if this user may, and exports the names given with it."""
    return "".join(
        "if [ -r {path} ]; then\n    . {path}\n    export {names}\nfi\n".format(
            path="'" + path.replace("'", "'\\''") + "'", names=" ".join(names)
        )
        for path, names in files
        if names  # without any, the shell would print all that it exports
    )


def masked(text: str, digest: Callable[[str], str], shown: Iterable[str]) -> str:
    """Text in any format of this file or ``_shells``, each value but those of the ``shown`` names ``<secret, DIGEST>``.

    A line that is not as those functions write it could hold anything and is masked whole.
    """
    if _OPEN_FILE.match(text):
        return text
    public, out, position = frozenset(shown), [], 0
    for match in _ASSIGNMENT.finditer(text):
        out += [_masked_line(line, digest, public) for line in text[position : match.start()].splitlines(True)]
        lead, name, equals, value = match.group("lead", "name", "is", "value")
        hidden = f"{lead}{name}{equals}<secret, {digest(value[1:-1])}>\n"
        out.append(match.group(0) if name in public else hidden)
        position = match.end()
    return "".join(out + [_masked_line(line, digest, public) for line in text[position:].splitlines(True)])


def _masked_line(line: str, digest: Callable[[str], str], public: AbstractSet[str]) -> str:
    pam_line = _PAM_ASSIGNMENT.match(line)
    if line in _OPEN_LINES or _LOADER.match(line) or (pam_line and pam_line.group("name") in public):
        return line
    return "{}<secret, {}>\n".format(pam_line.group("name") + "=" if pam_line else "", digest(line))


def digester(salt: str) -> Callable[[str], str]:
    """A function from a secret to ``sha256:`` and eight hex digits, salted: tells a change, tells nothing else."""
    return lambda text: "sha256:" + hashlib.sha256((salt + text).encode("utf-8", "replace")).hexdigest()[:8]
