# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny simulator, for machines without Aer: circuits of OpenQASM 3 text, up to ten qubits, measured at their end.

Standard library only. What it does not know it refuses with :class:`Unsupported`; it never guesses.
"""

from __future__ import annotations

import ast
import cmath
import math
import random
import re
from dataclasses import dataclass, field
from typing import Callable, Iterator

MAX_QUBITS = 10

Matrix = tuple[tuple[complex, ...], ...]
_R = 1 / math.sqrt(2)


def _diagonal(*angles: float) -> Matrix:
    return tuple(tuple(cmath.exp(1j * a) if i == j else 0j for j in range(len(angles))) for i, a in enumerate(angles))


def _turn(a: float, upper: complex, lower: complex) -> Matrix:
    return ((math.cos(a / 2), upper * math.sin(a / 2)), (lower * math.sin(a / 2), math.cos(a / 2)))


#: Gate -> how many angles, and its matrix. Of two qubits the first is the low bit, so ``cx``'s control is bit 0.
_GATES: dict[str, tuple[int, Callable[..., Matrix]]] = {
    "id": (0, lambda: _diagonal(0, 0)),
    "x": (0, lambda: ((0, 1), (1, 0))),
    "y": (0, lambda: ((0, -1j), (1j, 0))),
    "z": (0, lambda: _diagonal(0, math.pi)),
    "h": (0, lambda: ((_R, _R), (_R, -_R))),
    "s": (0, lambda: _diagonal(0, math.pi / 2)),
    "sdg": (0, lambda: _diagonal(0, -math.pi / 2)),
    "t": (0, lambda: _diagonal(0, math.pi / 4)),
    "tdg": (0, lambda: _diagonal(0, -math.pi / 4)),
    "sx": (0, lambda: (((1 + 1j) / 2, (1 - 1j) / 2), ((1 - 1j) / 2, (1 + 1j) / 2))),
    "rx": (1, lambda a: _turn(a, -1j, -1j)),
    "ry": (1, lambda a: _turn(a, -1, 1)),
    "rz": (1, lambda a: _diagonal(-a / 2, a / 2)),
    "p": (1, lambda a: _diagonal(0, a)),
    "cx": (0, lambda: ((1, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0), (0, 1, 0, 0))),
    "cz": (0, lambda: _diagonal(0, 0, 0, math.pi)),
    "swap": (0, lambda: ((1, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 0, 0, 1))),
    "rzz": (1, lambda a: _diagonal(-a / 2, a / 2, a / 2, -a / 2)),
}

_DECLARED = re.compile(r"(qubit|bit|qreg|creg)\s*(?:\[(\d+)\])?\s*([A-Za-z_]\w*)\s*(?:\[(\d+)\])?\Z")
_MEASURED = re.compile(r"(?:(\S+)\s*=\s*measure\s+(\S+)|measure\s+(\S+)\s*->\s*(\S+))\Z")
_APPLIED = re.compile(r"([A-Za-z_]\w*)\s*(?:\((.*)\))?\s+(.+)\Z", re.S)
_OPERAND = re.compile(r"(?:\$(\d+)|([A-Za-z_]\w*)(?:\[(\d+)\])?)\Z")
_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


class Unsupported(ValueError):
    """The text is no circuit that this simulator can run; says what it met."""


class Undefined(Unsupported):
    """The text is no valid OpenQASM 3: no simulator can run it."""


def _number(text: str) -> float:
    """An angle: numbers, pi, + - * / and brackets."""

    def value(node: ast.AST) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return float(node.value)
        if isinstance(node, ast.Name) and node.id in ("pi", "tau"):
            return math.pi if node.id == "pi" else math.tau
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            return -value(node.operand) if isinstance(node.op, ast.USub) else value(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        raise Unsupported(f"cannot read the angle {text!r}")

    try:
        return value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, RecursionError, MemoryError):  # the last: Python's parser, of brackets
        raise Unsupported(f"cannot read the angle {text!r}") from None


@dataclass
class Circuit:
    """A parsed circuit; ``gates`` are (name, angles, qubits). Qubits are counted as on the device: ``$3`` is 3."""

    gates: list[tuple[str, tuple[float, ...], tuple[int, ...]]] = field(default_factory=list)
    registers: dict[str, int] = field(default_factory=dict)
    measured: dict[tuple[str, int], int] = field(default_factory=dict)  # (register, bit) -> qubit


class _Reader:
    def __init__(self) -> None:
        self.circuit = Circuit()
        self.qubits: dict[str, range] = {}
        self.bits: dict[str, int] = {}
        self.size = 0
        self.included = False

    def statement(self, text: str) -> None:
        if re.match(r"(OPENQASM|barrier)\b", text):
            return
        if re.fullmatch(r"include ?[\"'](stdgates|qelib1)\.inc[\"']", text):
            self.included = True
            return
        if found := _DECLARED.match(text):
            kind, before, name, after = found.groups()
            size = int(before or after or 1)
            if kind in ("qubit", "qreg"):
                self.qubits[name] = range(self.size, self.size + size)
                self.size += size
            else:
                self.bits[name] = size
                if before or after:  # a lone bit is no register, and results are of registers
                    self.circuit.registers[name] = size
        elif found := _MEASURED.match(text):
            self.measure(found[2] or found[3], found[1] or found[4])
        elif (found := _APPLIED.match(text)) and found[1] in _GATES:
            self.gate(found[1], found[2], found[3])
        else:
            raise Unsupported(f"the built-in simulator cannot run {text!r}")

    def gate(self, name: str, angles: str | None, operands: str) -> None:
        if not self.included:
            raise Undefined(f"gate '{name}' is not defined, as there is no include \"stdgates.inc\"")
        count, matrix = _GATES[name]
        values = tuple(_number(part) for part in angles.split(",")) if angles and angles.strip() else ()
        if len(values) != count:
            raise Unsupported(f"{name} takes {count} angles, not {len(values)}")
        lists = [self.operand(part.strip()) for part in operands.split(",")]
        if 2 ** len(lists) != len(matrix(*values)):
            raise Unsupported(f"{name} does not take {len(lists)} qubits")
        for qubits in _together(lists):
            if len(set(qubits)) != len(qubits):
                raise Unsupported(f"{name} takes different qubits, not {operands!r}")
            if set(qubits) & set(self.circuit.measured.values()):
                raise Unsupported("the built-in simulator measures at the end of a circuit only")
            self.circuit.gates.append((name, values, qubits))

    def measure(self, source: str, target: str) -> None:
        qubits = self.operand(source)
        found = _OPERAND.match(target)
        size = self.bits.get(found[2] or "") if found else None
        if found is None or size is None:
            raise Unsupported(f"unknown bits {target!r}")
        bits = [int(found[3])] if found[3] else list(range(size))
        if len(bits) != len(qubits) or bits[-1] >= size:
            raise Unsupported(f"cannot measure {source!r} into {target!r}")
        for bit, qubit in zip(bits, qubits):
            self.circuit.measured[found[2], bit] = qubit

    def operand(self, text: str) -> list[int]:
        found = _OPERAND.match(text)
        if found is None:
            raise Unsupported(f"unknown qubit {text!r}")
        if found[1]:
            return [int(found[1])]
        if found[2] not in self.qubits or int(found[3] or 0) >= len(self.qubits[found[2]]):
            raise Unsupported(f"unknown qubit {text!r}")
        register = self.qubits[found[2]]
        return [register[int(found[3])]] if found[3] else list(register)


def _together(lists: list[list[int]]) -> Iterator[tuple[int, ...]]:
    """A gate on whole registers: one after another; a single qubit goes with each."""
    length = max(len(each) for each in lists)
    if any(len(each) not in (1, length) for each in lists):
        raise Unsupported("registers of different length")
    for turn in range(length):
        yield tuple(each[turn if len(each) > 1 else 0] for each in lists)


def parse(text: str) -> Circuit:
    """Read OpenQASM 3 (and the plain parts of 2). Raises :class:`Unsupported`."""
    reader = _Reader()
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)
    for statement in text.split(";"):
        if statement.strip():
            reader.statement(" ".join(statement.split()))
    if not reader.circuit.measured:
        raise Unsupported("the circuit measures nothing")
    return reader.circuit


def probabilities(circuit: Circuit) -> tuple[list[int], list[float]]:
    """The qubits in use, and the probability of each basis state over them, the first qubit as the low bit."""
    gates = circuit.gates
    used = sorted({q for _name, _angles, qubits in gates for q in qubits} | set(circuit.measured.values()))
    if len(used) > MAX_QUBITS:
        raise Unsupported(f"the built-in simulator runs up to {MAX_QUBITS} qubits, not {len(used)}")
    place = {qubit: number for number, qubit in enumerate(used)}
    state = [1 + 0j] + [0j] * (2 ** len(used) - 1)
    for name, angles, qubits in gates:
        matrix = _GATES[name][1](*angles)
        masks = [1 << place[qubit] for qubit in qubits]
        offsets = [sum(m for b, m in enumerate(masks) if row >> b & 1) for row in range(len(matrix))]
        for base in range(len(state)):
            if not any(base & mask for mask in masks):
                old = [state[base + offset] for offset in offsets]
                for row, offset in zip(matrix, offsets):
                    state[base + offset] = sum(factor * value for factor, value in zip(row, old))
    return used, [abs(amplitude) ** 2 for amplitude in state]


def sample(circuit: Circuit, shots: int, seed: int) -> dict[str, list[int]]:
    """Run it: classical register -> the value of each shot, bit 0 the lowest. The same seed gives the same values."""
    used, weights = probabilities(circuit)
    outcomes = random.Random(seed).choices(range(len(weights)), weights, k=shots)
    registers = {}
    for name in circuit.registers:
        wires = [(bit, used.index(q)) for (register, bit), q in circuit.measured.items() if register == name]
        value = [sum((state >> wire & 1) << bit for bit, wire in wires) for state in range(len(weights))]
        registers[name] = [value[outcome] for outcome in outcomes]
    return registers
