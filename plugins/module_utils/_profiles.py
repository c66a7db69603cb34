# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which variables a file written by hand sets, and which of its lines could go without touching anything else.

Profiles are programs: what they do is known only by running them. This reads as much as is needed to be certain that a
line is one whole statement of the outermost level, and takes no other line for certain. From the first thing on that it
does not understand, nothing in a file is certain any more. Pure text in, text out; standard library only.

Sources: POSIX "Shell Command Language" 2.3, 2.4, 2.7.4 and 2.10; tcsh(1), "Lexical structure"; fish's language
reference, "Quotes" and "Command substitution"; pam_env(8), pam_env.conf(5); environment.d(5); systemd.exec(5),
``Environment=``; crontab(5).

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import re
from typing import Collection, Iterator, NamedTuple

#: What an API key of IBM Cloud looks like; anything else in a comment is an example's.
_KEY = re.compile(r"[A-Za-z0-9_-]{40,}\Z")


class Assignment(NamedTuple):
    """A variable that a file sets, or would set if its line were no comment."""

    name: str
    value: str  # empty where only running the file could tell
    line: int  # from 1
    alone: bool  # the line is this and nothing else: it can go
    comment: bool = False

    def __repr__(self) -> str:  # the value may be a secret
        return f"Assignment({self.name}, line {self.line}, alone={self.alone}, comment={self.comment})"


def assignments_in(text: str, grammar: str, names: Collection[str]) -> list[Assignment]:
    """What a text sets of some variables, by line. ``grammar`` is one of ``sh``, ``csh``, ``fish``,
    ``fish_variables``, ``pam``, ``pam_env``, ``environment_d``, ``unit`` and ``cron``."""
    one_of = "|".join(sorted(names))
    if not re.search(one_of, text):
        return []
    dialect = _DIALECTS.get(grammar)
    found = list(_of_script(text, dialect, grammar, one_of) if dialect else _of_lines(text, grammar, one_of))
    # `export NAME` goes with the line that sets it; without one it does nothing.
    assigned = {row.name for row in found if row.value}
    return [row for row in found if row.value or not row.alone or row.name in assigned or not _bare(text, row)]


def _bare(text: str, row: Assignment) -> bool:
    return re.match(rf"\s*export\s+{row.name}\s*(;|#|$)", text.split("\n")[row.line - 1]) is not None


# Scripts


class _Dialect(NamedTuple):
    token: re.Pattern[str]
    blocks: dict[str, str]  # what opens a block: what closes it
    leading: frozenset[str]  # words after which a command begins
    parentheses: bool  # whether they belong to words, or else are subshells
    documents: bool  # whether there are here-documents
    piece: re.Pattern[str]  # a piece of a word: in single quotes, in double quotes, escaped, plain
    single: re.Pattern[str]  # what is taken off within single quotes: a backslash before group 1


_TOKEN = (
    r"(?P<blank>(?:[ \t\r]|\\\n)+)|(?P<newline>\n)|(?P<here><<-?(?!<))|(?P<join>;;&?|;&|&&|\|[|&]?|[;&](?!>))"
    r"|(?P<function>\([ \t]*\))|(?P<open>\()|(?P<close>\))|(?P<nest>\$\(|\$\{|[\"`])"
    r"|(?P<plain><<<|[<>]&|&>|QUOTED|\\.|[^\s\\'\"`$;&|()<>#]+|[$<>#&])"
)
_PIECE = r"QUOTED|\"((?:[^\"\\$`]|\\.)*)\"|\\(.)|([^\s'\"\\$`()]+)"


def _quoted(pattern: str, single: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("QUOTED", single), re.S)


_LOOPS = dict.fromkeys(("for", "while", "until", "select"), "done")
_DIALECTS = {
    "sh": _Dialect(
        _quoted(_TOKEN, r"\$'(?:[^'\\]|\\.)*'|'[^']*'"),
        {"if": "fi", "case": "esac", "{": "}", **_LOOPS},
        frozenset(("then", "else", "elif", "do", "if", "while", "until", "{")),
        False,
        True,
        _quoted(_PIECE, r"'([^']*)'"),
        re.compile(r"(?!)()"),
    ),
    "csh": _Dialect(
        _quoted(_TOKEN, r"'(?:[^'\\\n]|\\.)*'"),
        {"foreach": "end", "while": "end", "switch": "endsw", "then": "endif"},
        frozenset(),
        True,
        True,
        _quoted(_PIECE, r"'([^']*)'"),
        re.compile(r"\\([!\n])"),
    ),
    "fish": _Dialect(
        _quoted(_TOKEN, r"'(?:[^'\\]|\\.)*'"),
        dict.fromkeys(("if", "for", "while", "switch", "function", "begin"), "end"),
        frozenset(("if", "while", "begin")),
        True,
        False,
        _quoted(_PIECE, r"'((?:[^'\\]|\\.)*)'"),
        re.compile(r"\\([\\'])"),
    ),
}
_MARK = re.compile(r"\\.|\$\(|\$\{|<<|\s#|[\"'`(){}]", re.S)
_DELIMITER = re.compile(r"[ \t]*(['\"]?)([^\s'\"\\;&|()<>`$]+)\1(?=[\s;&|)])")


class _Unclear(Exception):
    """What comes now is not understood."""


class _Script:
    """A script's commands, each with the line where it begins, and which lines are whole statements.

    ``clear``: the lines that begin and end between two statements of the outermost level. ``joined``: those with
    anything but ``;`` between their commands. ``comments``: where in a line its comment begins.
    """

    def __init__(self, text: str, dialect: _Dialect) -> None:
        self.commands: dict[int, list[list[str]]] = {}
        self.clear: set[int] = set()
        self.joined: set[int] = set()
        self.comments: dict[int, int] = {}
        self._text = text if text.endswith("\n") else text + "\n"
        self._dialect = dialect
        self._number, self._begin = 1, 0  # of the line, or of the first of the lines that hang together
        self._whole = True  # that line began between two statements
        self._open: list[str] = []  # what closes the blocks that are open
        self._words: list[str] = []
        self._first = 1  # the line of the command's first word
        self._pending = False  # an operator waits for the next command
        self._documents: list[tuple[str, bool]] = []  # here-documents that begin after this line
        with contextlib.suppress(_Unclear):
            self._read()

    def _read(self) -> None:
        text, dialect = self._text, self._dialect
        at, word = 0, -1
        while at < len(text):
            found = dialect.token.match(text, at)
            if not found:
                raise _Unclear
            kind, start, at = str(found.lastgroup), at, found.end()
            if kind == "plain" and text[start] == "#" and word < 0:
                self.comments[self._line(start)] = start - text.rfind("\n", 0, start) - 1
                at = text.index("\n", at)
                continue
            array = kind == "open" and word >= 0 and text[start - 1] == "="
            if kind in ("plain", "nest") or array or (kind in ("open", "function") and dialect.parentheses):
                word = start if word < 0 else word
                if kind != "plain":
                    at = _behind(text, start + len("(") if "open" in kind or kind == "function" else at, found.group())
                continue
            if word >= 0:
                self._word(text[word:start], self._line(word))
                word = -1
            if kind == "newline":
                at = self._newline(start)
            elif kind != "blank":
                at = self._operator(kind, found.group(), start, at)

    def _line(self, at: int) -> int:
        return self._number + self._text.count("\n", self._begin, at)

    def _word(self, word: str, line: int) -> None:
        dialect, words = self._dialect, self._words
        self._pending = False
        if words and not (word == "then" and words[0] == "if" and "then" in dialect.blocks):
            if word == "{" and words[0] == "function" and "{" in dialect.blocks:
                self._open.append("}")
                words.clear()
            else:
                words.append(word)
            return
        if word in dialect.blocks:
            self._open.append(dialect.blocks[word])
        elif word in dialect.blocks.values() and (not self._open or self._open.pop() != word):
            raise _Unclear
        if word in dialect.leading or words:
            words.clear()
        else:
            words.append(word)
            self._first = line

    def _end(self) -> None:
        if self._words:
            self.commands.setdefault(self._first, []).append(self._words)
            self._words = []

    def _operator(self, kind: str, operator: str, start: int, at: int) -> int:
        """Take one that ends a command, or begins something. Returns where to go on."""
        if kind == "here":
            found = _DELIMITER.match(self._text, at) if self._dialect.documents else None
            if not found:
                raise _Unclear
            self._words.append(operator)
            self._documents.append((found.group(2), operator.endswith("-")))
            return found.end()
        if kind == "function":
            self._words.clear()
            return at
        self._end()
        if kind == "open":
            self._open.append(")")
        elif kind == "close":
            if self._open[-1:] == [")"]:
                self._open.pop()
                self._words, self._first = [operator], self._line(start)
            elif self._open[-1:] != ["esac"]:
                raise _Unclear
        else:
            self._pending = operator in ("&&", "||", "|", "|&")
            if operator != ";":
                self.joined.add(self._line(start))
        return at

    def _newline(self, end: int) -> int:
        """Close the line that ends here. Returns where the next one begins."""
        self._end()
        between = not self._open and not self._pending
        more = self._text.count("\n", self._begin, end)
        if self._whole and between and not more and not self._documents:
            self.clear.add(self._number)
        at = end + 1
        for delimiter, indented in self._documents:
            at = _after_document(self._text, at, delimiter, indented)
        self._number += self._text.count("\n", self._begin, at)
        self._begin, self._whole, self._documents = at, between, []
        return at


def _behind(text: str, at: int, opener: str) -> int:
    """Where ends what the opener before ``at`` opened: quotes, a substitution, an expansion."""
    closer = {"$(": ")", "(": ")", "${": "}"}.get(opener, opener if opener in ('"', "`") else ")")
    while True:
        found = _MARK.search(text, at)
        if not found:
            raise _Unclear
        mark, at = found.group(), found.end()
        if mark == closer:
            return at
        if mark in ("$(", "${", '"', "`"):
            at = _behind(text, at, mark)
        elif closer == '"' or mark[0] == "\\":
            continue
        elif mark == "'":
            if closer == "}":  # which of its two meanings depends on the shell and on what is around it
                raise _Unclear
            at = text.find("'", at) + 1
            if not at:
                raise _Unclear
        elif closer in (")", "`") and (mark == "<<" or mark.endswith("#")):
            raise _Unclear
        elif mark == "(" and closer == ")":
            at = _behind(text, at, mark)


def _after_document(text: str, at: int, delimiter: str, indented: bool) -> int:
    while at < len(text):
        end = text.index("\n", at) + 1
        line = text[at : end - 1]
        if (line.lstrip("\t") if indented else line) == delimiter:
            return end
        at = end
    raise _Unclear


def _of_script(text: str, dialect: _Dialect, grammar: str, one_of: str) -> Iterator[Assignment]:
    script, name, lines = _Script(text, dialect), re.compile(one_of), text.split("\n")
    found: dict[int, list[tuple[str, str]]] = {}
    for number, commands in script.commands.items():
        for one, value in (row for words in commands for row in _set_by(words, dialect, grammar, one_of)):
            place = next((n for n, line in enumerate(lines[number - 1 :], number) if one in line), number)
            found.setdefault(place, []).append((one, value))
    for number, line in enumerate(lines, 1):
        if not name.search(line):
            continue
        commands, rows = script.commands.get(number, []), list(dict.fromkeys(found.get(number, [])))
        whole = number in script.clear and number not in script.joined
        if whole and len(rows) == 1 and _is_all(commands, rows[0][0], grammar):
            yield Assignment(rows[0][0], rows[0][1], number, True)
        elif whole and [words[:-1] for words in commands] == [["export"]] and re.fullmatch(one_of, commands[0][1]):
            yield Assignment(commands[0][1], "", number, True)
        else:
            yield from (Assignment(one, value, number, False) for one, value in rows)
            column = script.comments.get(number, -1)
            certain = column >= 0 and not line[:column].strip()
            if column < 0 and line.lstrip().startswith("#"):
                column = 0
            yield from _mentioned(line, number, one_of, column, certain, [one for one, value in rows])


def _set_by(words: list[str], dialect: _Dialect, grammar: str, one_of: str) -> Iterator[tuple[str, str]]:
    """The names that a command sets, and the values, empty where they are not known."""
    if grammar == "csh":
        words = words[words.index("setenv") :] if "setenv" in words else []
        if len(words) > 1 and re.fullmatch(one_of, words[1]):
            yield words[1], _plain(words[2], dialect) if len(words) == 3 else ""
        return
    words = words[next((index for index, word in enumerate(words) if word not in _BEFORE), 0) :]
    if grammar == "fish" and words[0] == "set":
        rest = [word for word in words[1:] if not word.startswith("-")]
        asks = [word for word in words[1:] if re.match(r"-[a-zA-Z]*[eqnS]|--(erase|query|names|show)", word)]
        if rest and re.fullmatch(one_of, rest[0]) and not asks:
            yield rest[0], _plain(rest[1], dialect) if len(rest) == 2 else ""
        return
    for word in words:
        found = re.match(rf"({one_of})\+?=", word)
        if found:
            yield found.group(1), _plain(word[found.end() :], dialect)
        elif not re.match(r"\w+\+?=", word) and words[0] not in _SETTERS:
            return


#: Words before a command that are none of it.
_BEFORE = ("!", "and", "builtin", "command", "not", "or", "time")
_SETTERS = ("export", "declare", "typeset", "readonly", "local", "env")


def _is_all(commands: list[list[str]], name: str, grammar: str) -> bool:
    """Whether the commands of a line set this one variable and do nothing else."""
    words = commands[0]
    if len(commands) == 2 and grammar == "sh":
        return len(words) == 1 and commands[1] == ["export", name]
    if len(commands) != 1:
        return False
    if grammar == "csh":
        return words[0] == "setenv"
    if grammar == "fish" and words[0] == "set":
        return len([word for word in words[1:] if not word.startswith("-")]) == 2
    rest = [word for word in words[1:] if not re.match(r"-[a-zA-Z]+\Z", word)]
    return words[0].startswith(f"{name}=") and not rest or (words[0] in _SETTERS[:4] and len(rest) == 1)


def _plain(word: str, dialect: _Dialect) -> str:
    """The value of a word, empty where it depends on anything else."""
    value, at = "", 0
    while at < len(word):
        found = dialect.piece.match(word, at)
        if not found:
            return ""
        single, double, escaped, plain = found.groups()
        if single is not None:
            value += dialect.single.sub(r"\1", single)
        elif double is not None:
            value += re.sub(r"\\([\"\\$`])", r"\1", double)
        else:
            value += escaped or plain
        at = found.end()
    return value


def _mentioned(
    line: str, number: int, one_of: str, column: int, certain: bool, known: Collection[str]
) -> Iterator[Assignment]:
    """What looks like an assignment of a known value in a place that is not read as one: an alias, a comment."""
    places = rf"(?<![\w$.-])({one_of})=|\bsetenv[ \t]+({one_of})[ \t]+|\bset(?:[ \t]+-[\w-]+)+[ \t]+({one_of})[ \t]+"
    for found in re.finditer(places, line):
        name = found.group(1) or found.group(2) or found.group(3)
        word = re.compile(r"(?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|[^\s;&|'\"\\])*").match(line, found.end())
        value = _plain(word.group(), _DIALECTS["sh"]) if word else ""
        comment = 0 <= column <= found.start()
        if comment and _KEY.match(value):
            yield Assignment(name, value, number, certain, True)
        elif not comment and value and name not in known:
            yield Assignment(name, value, number, False)


# Files of lines

_QUOTED_VALUE = re.compile(r"'([^']*)'[ \t]*\Z|\"((?:[^\"\\]|\\.)*)\"[ \t]*\Z")
_LINES = {
    "pam": r"[ \t]*(?:export[ \t]+)?(NAME)=(.*)",
    "pam_env": r"[ \t]*(NAME)(?:=|[ \t]+(?:DEFAULT|OVERRIDE)=)(.*)",
    "environment_d": r"[ \t]*(NAME)=(.*)",
    "cron": r"[ \t]*['\"]?(NAME)['\"]?[ \t]*=[ \t]*(.*)",
    "fish_variables": r"SETUVAR (?:--\w+ )*(NAME):(.*)",
}
_UNIT_WORD = re.compile(r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\\.|[^\s'\"\\])+")


def _of_lines(text: str, grammar: str, one_of: str) -> Iterator[Assignment]:
    pattern = re.compile(_LINES.get(grammar, r"(?!)").replace("NAME", one_of))
    continued = unclosed = False
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        comment = line.lstrip()[:1] in ("#", ";")
        certain = not continued and not unclosed and not line.endswith("\\")
        continued = line.endswith("\\") and not (comment and grammar != "unit")
        if grammar == "environment_d" and re.match(r"\s*\w+=\s*(?:'[^']*|\"(?:[^\"\\]|\\.)*)\Z", line) and not comment:
            unclosed = True
            certain = False
        if grammar == "unit" and not comment and re.match(r"\s*Environment\s*=", line):
            rows = list(_unit_words(line.partition("=")[2], one_of))
            alone = certain and len(rows) == 1 and len(_UNIT_WORD.findall(line.partition("=")[2])) == 1
            yield from (Assignment(name, value, number, alone) for name, value in rows)
            continue
        found = None if comment else pattern.match(line)
        if found:
            yield Assignment(found.group(1), _line_value(found.group(2), grammar), number, certain)
        else:
            column = len(line) - len(line.lstrip()) if comment else -1
            yield from _mentioned(line, number, one_of, column, certain, ())


def _unit_words(text: str, one_of: str) -> Iterator[tuple[str, str]]:
    for word in _UNIT_WORD.findall(text):
        plain = re.sub(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", lambda m: m.group(1) or m.group(2) or "", word)
        found = re.match(rf"({one_of})=(.*)", re.sub(r"\\(.)", r"\1", plain), re.S)
        if found:
            value = found.group(2).replace("%%", "\0")
            yield found.group(1), "" if "%" in value else value.replace("\0", "%")


def _line_value(text: str, grammar: str) -> str:
    """The value behind a line's ``=``, empty where it refers to others."""
    if grammar == "fish_variables":
        return re.sub(r"\\x([0-9a-fA-F]{2})", lambda m: chr(int(m.group(1), 16)), text)
    text = text.strip()
    if grammar == "pam":
        text = text.partition("#")[0].rstrip()
        text = text[1:] if text[:1] in ("'", '"') else text
        return text[:-1] if text[-1:] in ("'", '"') else text
    if grammar == "pam_env":
        found = re.match(r'"([^"]*)"|(\S+)', text)
        text = (found.group(1) or found.group(2) or "") if found else ""
        return "" if re.search(r"[$@]\{", text) else text
    quoted = _QUOTED_VALUE.match(text)
    if not quoted:
        return "" if grammar == "environment_d" and ("$" in text or "\\" in text) else text
    if grammar == "environment_d" and quoted.group(2) and re.search(r"\$(?!\$)", quoted.group(2).replace("$$", "")):
        return ""
    single, double = quoted.groups()
    if single is not None or grammar == "cron":
        return single if single is not None else double
    return re.sub(r"\\([\"\\$`])", r"\1", double).replace("$$", "$")
