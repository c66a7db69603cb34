# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import re
import zlib

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _program
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._program import Program
from ansible_collections.ibm_quantum.platform.plugins.modules import job
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import Module

FLIP = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nbit[1] c;\nx $0;\nc[0] = measure $0;\n'
QPY = b"QISKIT" + bytes([13, 1, 2, 0]) + b"\xff\xfe\x00 what qpy.dump wrote"
OTHER_QPY = QPY + b"!"
NAN = float("nan")
PLAIN = {"support_qiskit": False, "version": 2}  # what a primitive's params always have


def program(**options):
    return Program(Module(job.ARGUMENT_SPEC, **options).params)


def refused(**options):
    with pytest.raises(OptionError) as caught:
        program(**options)
    return str(caught.value)


def in_base64(content, width=60):
    """As in YAML, over several lines."""
    text = base64.b64encode(content).decode()
    return "\n".join(text[at : at + width] for at in range(0, len(text), width))


def unpacked(circuit):
    """The QPY of a circuit as IBM's client sends it."""
    assert circuit.keys() == {"__type__", "__value__"}
    assert circuit["__type__"] == "QuantumCircuit"
    return zlib.decompress(base64.b64decode(circuit["__value__"], validate=True))


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "circuit"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


# Circuits


def test_text():
    found = program(circuit=FLIP)
    assert (found.program_id, found.params) == ("sampler", {"pubs": [[FLIP]], **PLAIN})
    assert re.fullmatch(r"[0-9a-f]{64}", found.digest)
    assert found.size == len(json.dumps(found.params, separators=(",", ":")))


def test_a_file_is_as_good_as_its_text(file):
    found = program(circuit_file=file(FLIP))
    assert found.params == {"pubs": [[FLIP]], **PLAIN}
    assert found.digest == program(circuit=FLIP).digest


def test_qpy(file):
    found = program(circuit_file=file(QPY))
    ((circuit,),) = found.params["pubs"]
    assert unpacked(circuit) == QPY
    assert {name: value for name, value in found.params.items() if name != "pubs"} == PLAIN


@pytest.mark.parametrize("width", [20, 1000])
def test_qpy_in_base64_is_as_good_as_its_file(file, width):
    one, other = program(circuit=in_base64(QPY, width)), program(circuit_file=file(QPY))
    assert (one.params, one.digest) == (other.params, other.digest)


@pytest.mark.parametrize(
    "text",
    [
        "OPENQASM 3;",
        "OPENQASM 3.0 ;",
        "OPENQASM 3.1;\nqubit q;",
        "\n\n  OPENQASM   3.0;",
        "// a comment\nOPENQASM 3.0;",
        "// a comment\r\nOPENQASM 3.0;\r\n",
        "/* over\n two lines */ OPENQASM 3.0;",
        "/**/\n// OPENQASM 2.0;\n/* OPENQASM 2.0; */\n\nOPENQASM 3.0;",
        "// größer\nOPENQASM 3.0;",
    ],
)
def test_headers(file, text):
    assert program(circuit=text).params["pubs"] == [[text]]
    assert program(circuit_file=file(text)).params["pubs"] == [[text]]


@pytest.mark.parametrize(
    "content, text",
    [
        (b"OPENQASM 2.0;\nqreg q[1];", "is OpenQASM 2, and IBM takes version 3: convert it with qiskit.qasm2.load and"),
        (b"// from 3.0\nOPENQASM 2;", "is OpenQASM 2, and IBM takes version 3"),
        (b"", "is neither OpenQASM 3 nor QPY: such a text begins with 'OPENQASM 3.0;'"),
        (b"qubit[2] q;\nh q[0];", "is neither OpenQASM 3 nor QPY: such a text begins with 'OPENQASM 3.0;'"),
        (b"x = 1; OPENQASM 3.0;", "is neither OpenQASM 3 nor QPY"),
        (b"/* without an end OPENQASM 3.0;", "is neither OpenQASM 3 nor QPY"),
        (b"// OPENQASM 3.0;", "is neither OpenQASM 3 nor QPY"),
        (base64.b64encode(b"something else"), "is neither OpenQASM 3 nor QPY"),
    ],
)
def test_what_is_no_circuit(file, content, text):
    assert refused(circuit=content.decode()).startswith("'circuit' " + text)
    path = file(content)
    assert refused(circuit_file=path).startswith(f"'circuit_file': {path} {text}")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00", "OPENQASM 3.0;".encode("utf-16"), zlib.compress(QPY)])
def test_binary_rubbish(file, content):
    path = file(content)
    assert refused(circuit_file=path) == f"'circuit_file': {path} is neither OpenQASM 3 nor QPY"


@pytest.mark.timeout(1)
def test_many_comments_take_no_time():
    assert "is neither OpenQASM 3 nor QPY" in refused(circuit="/* a licence */\n" * 60 + "qubit q;")


def test_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = f"'circuit_file': bell.qasm cannot be read (No such file or directory), in {tmp_path}"
    assert refused(circuit_file="bell.qasm") == text
    assert refused(circuit_file=str(tmp_path)) == (
        f"'circuit_file': {tmp_path} cannot be read (Is a directory), in {tmp_path}"
    )


def test_a_file_that_is_too_large(file, monkeypatch):
    path = file(FLIP)
    monkeypatch.setattr(_program, "_LARGEST_FILE", len(FLIP))
    assert program(circuit_file=path).params["pubs"] == [[FLIP]]
    monkeypatch.setattr(_program, "_LARGEST_FILE", len(FLIP) - 1)
    assert refused(circuit_file=path) == f"'circuit_file': {path} is larger than the 50 MB that IBM takes"


def test_a_job_that_is_too_large(file, monkeypatch):
    whole = program(circuit=FLIP).size
    monkeypatch.setattr(_program, "LARGEST", whole)
    assert program(circuit=FLIP).size == whole
    for options in ({"circuit": FLIP + " "}, {"program_id": "executor", "params": {"x": "y" * whole}}):
        assert refused(**options).endswith("spread its circuits over several jobs")


# PUBs


@pytest.mark.parametrize(
    "pub, sent",
    [
        ({}, []),
        ({"shots": 100}, [None, 100]),
        ({"parameter_values": [0.5]}, [[0.5]]),
        ({"parameter_values": {"theta": [0, 1]}, "shots": 100}, [{"theta": [0, 1]}, 100]),
        ({"observables": None, "precision": None}, []),
    ],
)
def test_pubs_of_a_sampler(pub, sent):
    assert program(pubs=[{"circuit": FLIP, **pub}]).params == {"pubs": [[FLIP, *sent]], **PLAIN}


@pytest.mark.parametrize(
    "pub, sent",
    [
        ({}, []),
        ({"parameter_values": [[0.1], [0.2]]}, [[[0.1], [0.2]]]),
        ({"precision": 0.01}, [None, 0.01]),
        ({"parameter_values": {"theta": 1}, "precision": 0.01}, [{"theta": 1}, 0.01]),
    ],
)
@pytest.mark.parametrize("observables", ["Z", {"Z": 0.5, "X": 0.5}, ["Z", {"X": 1}]])
def test_pubs_of_an_estimator(pub, sent, observables):
    found = program(program_id="estimator", pubs=[{"circuit": FLIP, "observables": observables, **pub}])
    assert (found.program_id, found.params) == ("estimator", {"pubs": [[FLIP, observables, *sent]], **PLAIN})


def test_several_pubs_with_all_kinds_of_circuits(file):
    pubs = [{"circuit": FLIP}, {"circuit_file": file(QPY), "shots": 7}, {"circuit": in_base64(OTHER_QPY)}]
    first, second, third = program(pubs=pubs).params["pubs"]
    assert (first, unpacked(second[0]), second[1:], unpacked(third[0])) == ([FLIP], QPY, [None, 7], OTHER_QPY)


def test_the_options_of_a_sampler():
    options = {"dynamical_decoupling": {"enable": True}}
    found = program(circuit=FLIP, shots=1000, options=options, support_qiskit=True)
    assert found.params == {"pubs": [[FLIP]], "shots": 1000, "options": options, "support_qiskit": True, "version": 2}


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_options_of_an_estimator(level):
    pubs = [{"circuit": FLIP, "observables": "Z"}]
    found = program(program_id="estimator", pubs=pubs, precision=0.02, resilience_level=level, options={"x": 1})
    rest = {"precision": 0.02, "resilience_level": level, "options": {"x": 1}}
    assert found.params == {"pubs": [[FLIP, "Z"]], **rest, **PLAIN}


ESTIMATOR = {"program_id": "estimator", "pubs": [{"circuit": FLIP, "observables": "Z"}]}


@pytest.mark.parametrize(
    "options, text",
    [
        ({}, "nothing to run: give 'circuit_file', 'circuit', 'pubs' or, for other programs, 'params'"),
        (
            {"circuit": FLIP, "pubs": []},
            "give one of 'circuit', 'circuit_file', 'pubs' and 'params', not 'circuit' and 'pubs'",
        ),
        ({"circuit": FLIP, "circuit_file": "/x", "params": {}}, "not 'circuit' and 'circuit_file' and 'params'"),
        ({"pubs": []}, "'pubs' is empty: give at least one circuit"),
        (
            {"program_id": "executor", "circuit": FLIP},
            "'program_id': circuits are for sampler and estimator; 'executor' takes its whole 'params'",
        ),
        ({"circuit": FLIP, "precision": 0.1}, "'precision' has no meaning with sampler"),
        ({"circuit": FLIP, "resilience_level": 0}, "'resilience_level' has no meaning with sampler"),
        ({**ESTIMATOR, "shots": 100}, "'shots' has no meaning with estimator"),
        ({"circuit": FLIP, "shots": 0}, "'shots' must be above 0 and below 2147483648, not 0"),
        ({"circuit": FLIP, "shots": -1}, "'shots' must be above 0 and below 2147483648, not -1"),
        ({**ESTIMATOR, "precision": 0}, "'precision' must be above 0 and below 2147483648, not 0.0"),
        ({**ESTIMATOR, "precision": "nan"}, "'precision' must be above 0 and below 2147483648, not nan"),
        ({**ESTIMATOR, "resilience_level": 3}, "'resilience_level' must be 0, 1 or 2, not 3"),
        ({**ESTIMATOR, "resilience_level": -1}, "'resilience_level' must be 0, 1 or 2, not -1"),
        (
            {"program_id": "estimator", "circuit": FLIP},
            "'observables' is needed by the estimator: such as ZZ, or {ZZ: 0.5, XX: 0.5}; use 'pubs'",
        ),
        *[
            ({"program_id": "x", "params": {}, name: value}, f"{name!r} has no meaning with 'params'")
            for name, value in (("shots", 1), ("precision", 0.1), ("resilience_level", 1), ("options", {}))
        ],
        ({"program_id": "x", "params": {}, "support_qiskit": True}, "'support_qiskit' has no meaning with 'params'"),
    ],
)
def test_options_that_contradict(options, text):
    assert text in refused(**options)


@pytest.mark.parametrize(
    "program_id, pub, text",
    [
        ("sampler", {}, "give one of 'circuit' and 'circuit_file'"),
        ("sampler", {"circuit": FLIP, "circuit_file": "/x"}, "give one of 'circuit' and 'circuit_file'"),
        ("sampler", {"circuit": "x"}, "'circuit' is neither OpenQASM 3 nor QPY"),
        ("sampler", {"circuit_file": "/nowhere/x"}, "'circuit_file': /nowhere/x cannot be read (No such file or"),
        ("sampler", {"circuit": FLIP, "observables": "Z"}, "'observables' has no meaning with sampler"),
        ("sampler", {"circuit": FLIP, "precision": 0.1}, "'precision' has no meaning with sampler"),
        ("sampler", {"circuit": FLIP, "shots": 0}, "'shots' must be above 0 and below 2147483648, not 0"),
        ("estimator", {"circuit": FLIP}, "'observables' is needed by the estimator"),
        ("estimator", {"circuit": FLIP, "observables": "Z", "shots": 1}, "'shots' has no meaning with estimator"),
        (
            "estimator",
            {"circuit": FLIP, "observables": "Z", "precision": -1},
            "'precision' must be above 0 and below 2147483648, not -1.0",
        ),
    ],
)
def test_a_bad_pub_is_named_with_its_number(program_id, pub, text):
    good = {"circuit": FLIP, **({"observables": "Z"} if program_id == "estimator" else {})}
    found = refused(program_id=program_id, pubs=[good, pub])
    assert found.startswith(f"'pubs', element 2: {text}")


# Params of other programs, and what JSON cannot carry


def test_params_are_sent_as_they_are():
    params = {"schema_version": "v0.2", "quantum_program": {"items": [1, None, "x"]}}
    found = program(program_id="executor", params=params)
    assert (found.program_id, found.params) == ("executor", params)
    assert program(program_id="sampler", params={"pubs": [["x"]]}).params == {"pubs": [["x"]]}


@pytest.mark.parametrize(
    "option, options",
    [
        ("params", {"program_id": "executor", "params": {"x": [NAN]}}),
        ("params", {"program_id": "executor", "params": {"x": float("inf")}}),
        ("options", {"circuit": FLIP, "options": {"x": NAN}}),
        ("pubs", {"pubs": [{"circuit": FLIP, "parameter_values": [NAN]}]}),
        ("pubs", {"program_id": "estimator", "pubs": [{"circuit": FLIP, "observables": {"Z": NAN}}]}),
    ],
)
def test_what_json_cannot_carry(option, options):
    text = refused(**options)
    assert "cannot be sent as JSON" in text
    assert f"'{option}'" in text, "it names the option to look at"


# The digest


def test_the_digest_does_not_depend_on_how_a_circuit_is_given_and_packed(file, monkeypatch):
    digests = {program(circuit_file=file(QPY)).digest}
    monkeypatch.setattr(_program.zlib, "compress", lambda data: b"another zlib's: " + data)
    digests |= {program(circuit=in_base64(QPY)).digest, program(pubs=[{"circuit": in_base64(QPY, 9)}]).digest}
    assert len(digests) == 1


def test_the_digest_does_not_depend_on_the_order_of_keys():
    one = program(program_id="x", params={"a": 1, "b": {"c": 2, "d": 3}})
    other = program(program_id="x", params={"b": {"d": 3, "c": 2}, "a": 1})
    assert one.digest == other.digest


def test_other_content_has_another_digest(file):
    different = [
        {"circuit": FLIP},
        {"circuit": FLIP + "\n"},
        {"circuit": in_base64(QPY)},
        {"circuit": in_base64(OTHER_QPY)},
        {"circuit": FLIP, "shots": 100},
        {"circuit": FLIP, "shots": 101},
        {"pubs": [{"circuit": FLIP, "shots": 100}]},
        {"pubs": [{"circuit": FLIP, "parameter_values": [100]}]},
        {"pubs": [{"circuit": FLIP}, {"circuit": FLIP}]},
        {"circuit": FLIP, "options": {"twirling": {"enable_gates": True}}},
        {"circuit": FLIP, "support_qiskit": True},
        ESTIMATOR,
        {**ESTIMATOR, "resilience_level": 1},
        {**ESTIMATOR, "precision": 0.1},
        {"program_id": "executor", "params": {"x": 1}},
        {"program_id": "noise-learner", "params": {"x": 1}},
        {"program_id": "executor", "params": {"x": "1"}},
    ]
    assert len({program(**options).digest for options in different}) == len(different)


@pytest.mark.parametrize("version, taken", [(16, True), (17, True), (18, False)])
def test_qpy_is_of_a_version_that_ibm_takes(tmp_path, version, taken):
    path = tmp_path / "circuit.qpy"
    path.write_bytes(b"QISKIT" + bytes([version]) + b"rest")
    if taken:
        assert program(circuit_file=str(path)).params["pubs"][0][0]["__type__"] == "QuantumCircuit"
    else:
        text = f"{path} is QPY of version 18, and IBM takes 17 at most: write it with qiskit.qpy.dump(..., version=17)"
        assert text in refused(circuit_file=str(path))
