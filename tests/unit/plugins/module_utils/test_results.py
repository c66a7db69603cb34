# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results decoded. What is written out here is what IBM's own encoder wrote; tests/clients/test_results.py compares
with IBM's decoder at random."""

from __future__ import annotations

import base64
import json
import math
import struct
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.ibm_quantum.platform.plugins.module_utils._arrays import ArrayError, Budget, npy, tensor
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._results import ResultError, counts_of, decode

#: BitArrays of 0x1ff, 0x100, 0x100, 1 and of 3, 0, 0, 3; the metadata has a numpy.int64, a complex, an array of text.
SAMPLER = """{"__type__": "PrimitiveResult", "__value__": {"pub_results": [{"__type__": "SamplerPubResult", "__value__":
{"data": {"__type__": "DataBin", "__value__": {"field_names": ["a", "b"], "shape": [], "fields": {"a": {"__type__":
"BitArray", "__value__": {"array": {"__type__": "ndarray", "__value__":
"eJyb7BfqGxDJyFDGUK2eklqcXKRupaBeU2qorqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RomOgpGmjoKtQpkAy7G/4wMjAwMjABbVRy8"},
"num_bits": 9}}, "b": {"__type__": "BitArray", "__value__": {"array": {"__type__": "ndarray", "__value__":
"eJyb7BfqGxDJyFDGUK2eklqcXKRupaBeU2qorqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RomOgqGmjoKtQpkAy5mBgZmAOUhG74="},
"num_bits": 2}}}}}, "metadata": {"circuit_metadata": {"n": 3, "z": {"__type__": "complex", "__value__": [0.0, 1.0]},
"x": {"__type__": "ndarray", "__value__":
"eJyb7BfqGxDJyFDGUK2eklqcXKRupaBuE2qkrqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RqGOgpGmjoKtQpkA65EBghIAuJkIAYADkwcfQ=="
}, "f": 0.5}}}}], "metadata": {"version": 2}}}"""
#: A pub without a shape, whose evs became a number of JSON, and one of shape (1, 2).
ESTIMATOR = """{"__type__": "PrimitiveResult", "__value__": {"pub_results": [{"__type__": "PubResult", "__value__":
{"data": {"__type__": "DataBin", "__value__": {"field_names": ["evs", "stds"], "shape": [], "fields": {"evs": 0.5,
"stds": {"__type__": "ndarray", "__value__":
"eJyb7BfqGxDJyFDGUK2eklqcXKRupaBuk2ahrqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RqaOgq1ChQBLgYwuGAPACk1HE4="}}}},
"metadata": {"target_precision": 0.01}}}, {"__type__": "PubResult", "__value__": {"data": {"__type__": "DataBin",
"__value__": {"field_names": ["evs", "stds"], "shape": [1, 2], "fields": {"evs": {"__type__": "ndarray", "__value__":
"eJyb7BfqGxDJyFDGUK2eklqcXKRupaBuk2ahrqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RqGOgpGmjoKtQpkAy4GMPhgD6X3AwAcxh5M"},
"stds": {"__type__": "ndarray", "__value__":
"eJyb7BfqGxDJyFDGUK2eklqcXKRupaBuk2ahrqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RqGOgpGmjoKtQpkA65ZM0Fgpz2EPmkPAF4MJJw="
}}}}, "metadata": {}}}], "metadata": {}}}"""
#: [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[0, 1], [0, 1]]], with the first axis fastest, and 10 bits a shot.
TRANSPOSED = (
    "eJyb7BfqGxDJyFDGUK2eklqcXKRupaBeU2qorqOgnpZfVFKUmBefX5SSChIPKSpNBQoXZyQWpAK5GsY6CkZApKmjUKtAJuBiZGVgZmdgYmNk4WAE"
    "AL54G9E="
)
#: Booleans [[1, 0, 1], [1, 1, 1], [1, 0, 1]] as TensorModel and as CompressedTensorModel.
BOOLS = {"data": "fQE=", "shape": [3, 3], "dtype": "bool"}
COMPRESSED_BOOLS = {"data": "eJyrZQQAAP0Afw==", "shape": [3, 3], "dtype": "bool"}


def b64(data):
    return base64.b64encode(data).decode()


def npy_file(descr, shape, data, fortran=False, version=1, header=None):
    """An .npy file as numpy writes it, compressed and in base64."""
    text = header or f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {tuple(shape)}, }}"
    body = text.encode().ljust(117) + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(body))
    return b64(zlib.compress(b"\x93NUMPY" + bytes([version, 0]) + length + body + data))


def wrapped(kind, value):
    return {"__type__": kind, "__value__": value}


def sampler(shape=(), registers=None, metadata=None):
    """A PrimitiveResult of one pub, its registers name -> (num_bits, shape, bytes)."""
    fields = {
        name: wrapped("BitArray", {"array": wrapped("ndarray", npy_file("|u1", size, data)), "num_bits": bits})
        for name, (bits, size, data) in (registers or {}).items()
    }
    data = wrapped("DataBin", {"field_names": list(fields), "shape": list(shape), "fields": fields})
    row = wrapped("SamplerPubResult", {"data": data, "metadata": metadata or {}})
    return wrapped("PrimitiveResult", {"pub_results": [row], "metadata": {}})


def rest(**fields):
    """The form for REST users, with one pub."""
    return {"results": [{"data": fields, "metadata": {"shots": 3}}], "metadata": {}}


def executor(version="v1.1", role=None, passed=None, **tensors):
    """The executor's form, with one item."""
    item = {"results": tensors, "metadata": {"scheduler_timing": None}}
    return {"schema_version": version, "data": [item], "semantic_role": role, "passthrough_data": passed}


def bools(shape, bits):
    """A TensorModel of text of 0 and 1."""
    whole = [bits[at : at + 8][::-1] for at in range(0, len(bits), 8)]
    return {"data": b64(bytes(int(byte, 2) for byte in whole)), "shape": list(shape), "dtype": "bool"}


def one(data):
    (pub,) = decode(json.dumps(data))
    return pub


# What IBM's encoder wrote


def test_a_sampler_of_qiskit():
    assert decode(SAMPLER) == [
        {
            "counts": {
                "a": {"000000001": 1, "100000000": 2, "111111111": 1},
                "b": {"00": 2, "11": 2},
            },
            "metadata": {"circuit_metadata": {"n": 3, "z": [0.0, 1.0], "x": [["a", "bc"]], "f": 0.5}},
        }
    ]


def test_an_estimator_of_qiskit():
    assert decode(ESTIMATOR) == [
        {"evs": 0.5, "stds": 0.25, "metadata": {"target_precision": 0.01}},
        {"evs": [[1.0, -1.0]], "stds": [[0.1, 0.2]], "metadata": {}},
    ]


def test_an_array_that_is_stored_column_by_column():
    data = sampler((3,), {"c": (10, (0, 0), b"")})
    content = data["__value__"]["pub_results"][0]["__value__"]["data"]["__value__"]["fields"]["c"]["__value__"]
    content["array"]["__value__"] = TRANSPOSED
    assert one(data)["counts"]["c"] == [
        {"0100000010": 1, "1100000100": 1},
        {"0100000110": 1, "1100001000": 1},  # the bits in front of the ten are not read
        {"0000000001": 2},
    ]


@pytest.mark.parametrize("version, tensor", [("v0.1", BOOLS), ("v1.1", BOOLS), ("v2.0", COMPRESSED_BOOLS)])
def test_the_executor(version, tensor):
    assert one(executor(version, c=tensor)) == {
        "counts": {"c": {"101": 2, "111": 1}},
        "tensors": {"c": [[True, False, True], [True, True, True], [True, False, True]]},
        "metadata": {"scheduler_timing": None},
    }


# Samplers


def test_the_form_for_rest_users():
    data = rest(c={"samples": ["0x3", "0x0", "0x3"], "num_bits": 3}, d={"samples": ["0x2", "0x0", "0x1"]})
    assert one(data) == {
        "counts": {"c": {"000": 1, "011": 2}, "d": {"00": 1, "01": 1, "10": 1}},  # as long as the largest needs
        "metadata": {"shots": 3},
    }


@pytest.mark.parametrize(
    "register, counts",
    [
        ({"samples": []}, {}),
        ({"samples": ["0x0"]}, {"0": 1}),
        ({"samples": ["0x00", "0x0"], "num_bits": 2}, {"00": 2}),  # one value, spelled twice
        ({"samples": ["0xA", "0xa"]}, {"1010": 2}),
        ({"samples": ["0x0"] * 3, "num_bits": 0}, {"0": 3}),
        ({"samples": ["0x" + "f" * 39], "num_bits": 156}, {"1" * 156: 1}),
        ({"samples": [["0x1"], ["0x0"]], "num_bits": 1}, [{"1": 1}, {"0": 1}]),
        ({"samples": [[["0x1", "0x2"]], [["0x4", "0x4"]]]}, [[{"001": 1, "010": 1}], [{"100": 2}]]),
    ],
)
def test_samples(register, counts):
    assert one(rest(c=register))["counts"] == {"c": counts}


@pytest.mark.parametrize(
    "register, text",
    [
        ({"samples": "0x1"}, "pub 0, 'c': its samples are no list of text such as '0x3'"),
        ({"samples": [1]}, "its samples are no list of text"),
        ({"samples": ["0x1", ["0x1"]]}, "its samples are no list of text"),
        ({"samples": ["1"]}, "'1' is no sample such as '0x3'"),
        ({"samples": ["0x_1"]}, "'0x_1' is no sample"),
        ({"samples": [" 0x1"]}, "' 0x1' is no sample"),
        ({"samples": ["-0x1"]}, "'-0x1' is no sample"),
        ({"samples": ["0x" + "g" * 500]}, "'0x" + "g" * 78 + "' is no sample"),
        ({"samples": ["0x4"], "num_bits": 2}, "it has samples of 3 bits, more than its num_bits 2"),
        ({"samples": ["0x0"], "num_bits": "2"}, "its num_bits is 2"),
        ({"samples": ["0x0"], "num_bits": True}, "its num_bits is True"),
        ({"samples": ["0x0"], "num_bits": -1}, "its num_bits is -1"),
        ({"samples": ["0x0"], "num_bits": 10**9}, "its num_bits is 1000000000"),
    ],
)
def test_samples_that_are_none(register, text):
    with pytest.raises(ResultError) as caught:
        decode(json.dumps(rest(c=register)))
    assert text in str(caught.value)


def test_a_sweep_has_counts_of_its_shape():
    data = bytes([0, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0, 0])
    found = one(sampler((2, 3), {"c": (2, (2, 3, 2, 1), data)}))["counts"]["c"]
    assert found == [
        [{"00": 1, "01": 1}, {"01": 1, "10": 1}, {"10": 2}],
        [{"11": 2}, {"00": 1, "11": 1}, {"00": 2}],
    ]


@pytest.mark.parametrize(
    "bits, shape, data, counts",
    [
        (0, (3, 0), b"", {"0": 3}),
        (0, (0, 0), b"", {}),
        (1, (0, 1), b"", {}),
        (8, (2, 1), b"\xff\x01", {"11111111": 1, "00000001": 1}),
        (1, (2, 1), b"\xff\x01", {"1": 2}),  # two that are one without the bits in front
        (12, (1, 2), b"\x0a\x01", {"101000000001": 1}),
        (3, (0, 2, 1), b"", []),
        (3, (2, 0, 1), b"", [{}, {}]),
    ],
)
def test_bit_arrays(bits, shape, data, counts):
    assert one(sampler(registers={"c": (bits, shape, data)}))["counts"] == {"c": counts}


@pytest.mark.parametrize(
    "bits, shape, data, text",
    [
        (9, (2, 1), b"\1\2", "pub 0, 'c': its num_bits is 9, with 1 bytes a shot"),
        (1, (2, 2), b"\1\2\3\4", "its num_bits is 1, with 2 bytes a shot"),
        (None, (2, 1), b"\1\2", "its num_bits is None"),
        (True, (2, 1), b"\1\2", "its num_bits is True"),
        (10**12, (0, 125 * 10**9), b"", "its num_bits is 1000000000000"),
        (1, (2,), b"\1\2", "its array is not one of bytes with an axis for shots and one for bits"),
        (1, (2, 1), b"\1\2\3", "its 3 bytes are not 1 for each item of its shape [2, 1]"),
        (1, (10**12, 1), b"\1", "its 1 bytes are not 1 for each item"),
        (1, (10**12, 0, 1), b"", "more than 256 MiB"),  # no items, and yet that many lists
        (1, (*[1] * 65, 1), b"\1", "it has 66 axes"),
    ],
)
def test_bit_arrays_that_are_none(bits, shape, data, text):
    with pytest.raises(ResultError) as caught:
        decode(json.dumps(sampler(registers={"c": (bits, shape, data)})))
    assert text in str(caught.value)


def test_a_bit_array_of_floats():
    data = sampler(registers={"c": (1, (1, 1), b"\1")})
    fields = data["__value__"]["pub_results"][0]["__value__"]["data"]["__value__"]["fields"]
    fields["c"]["__value__"]["array"] = wrapped("ndarray", npy_file("<f8", (1, 1), bytes(8)))
    with pytest.raises(ResultError, match="its array is not one of bytes"):
        decode(json.dumps(data))
    fields["c"]["__value__"] = None
    with pytest.raises(ResultError, match="pub 0, 'c': it is NoneType where IBM's results have an object"):
        decode(json.dumps(data))


def test_registers_that_are_not_classified():
    points = wrapped("ndarray", npy_file("<c16", (2, 1), struct.pack("<4d", 1, 2, 3, 4)))
    assert one(rest(c=points, d=[0.5])) == {
        "tensors": {"c": [[[1.0, 2.0]], [[3.0, 4.0]]], "d": [0.5]},
        "metadata": {"shots": 3},
    }


def test_a_pub_without_registers():
    assert one(rest()) == {"counts": {}, "metadata": {"shots": 3}}
    assert one({"results": [{"data": {}}]}) == {"counts": {}, "metadata": {}}
    assert decode('{"results": []}') == []


# Estimators


def test_an_estimator_for_rest_users():
    assert one(rest(evs=1, stds=[[0.5, 1], [None, 2e-3]], ensemble_standard_error=None)) == {
        "evs": 1.0,
        "stds": [[0.5, 1.0], [None, 0.002]],
        "metadata": {"shots": 3},
    }


def test_numbers_that_are_no_numbers_of_json():
    found = one(rest(evs=[math.nan, -math.inf]))["evs"]  # Python's json writes and reads them
    assert math.isnan(found[0]) and found[1] == -math.inf


@pytest.mark.parametrize("value", ["1.0", ["a"], {"a": 1}, [10**400]])
def test_estimates_that_are_no_numbers(value):
    with pytest.raises(ResultError, match="pub 0, 'evs': .* is no number"):
        decode(json.dumps(rest(evs=value)))


def test_extrapolation():
    fields = {name: wrapped("ndarray", [1, 2.5]) for name in ("evs", "evs_noise_factors", "stds_extrapolated")}
    names = wrapped("ndarray", npy_file("<U3", (2,), "ab\0xyz".encode("utf-32-le")))
    data = {"data": fields, "metadata": {"extrapolators": names, "one": wrapped("ndarray", "polynomial_degree_3")}}
    assert one({"results": [data]}) == {
        **dict.fromkeys(fields, [1.0, 2.5]),
        "metadata": {"extrapolators": ["ab", "xyz"], "one": "polynomial_degree_3"},
    }


def test_metadata():
    circuit = wrapped("QuantumCircuit", "eJw=")
    span = {"start": wrapped("datetime", "2026-07-04T16:13:56+00:00"), "data_slices": {"0": [[1], 0, 1]}}
    spans = wrapped("ExecutionSpans", {"spans": [wrapped("DoubleSliceSpan", span)]})
    metadata = {
        "spans": spans,
        "set": wrapped("set", [1, 2]),
        "circuit": circuit,
        "none": None,
        "0-d": wrapped("ndarray", 3),
    }
    assert one(sampler(metadata=metadata))["metadata"] == {
        "spans": {"spans": [{"start": "2026-07-04T16:13:56+00:00", "data_slices": {"0": [[1], 0, 1]}}]},
        "set": [1, 2],
        "circuit": circuit,
        "none": None,
        "0-d": 3,
    }
    with pytest.raises(ResultError, match="pub 0, 'metadata': its data is no base64"):
        decode(json.dumps(sampler(metadata={"a": wrapped("ndarray", "?")})))


# The executor


def test_tensors_of_all_types():
    tensors = {
        "f64": {"data": b64(struct.pack("<2d", 0.5, -2)), "shape": [2], "dtype": "f64"},
        "c128": {"data": b64(struct.pack("<2d", 0.5, -2)), "shape": [1, 1], "dtype": "c128"},
        "u8": {"data": "AQL/", "shape": [3], "dtype": "u8"},
        "bits": bools([3], "101"),
        "none": {"data": "", "shape": [2, 0], "dtype": "f64"},
        "one": {"data": b64(struct.pack("<d", 7)), "shape": [], "dtype": "f64"},
    }
    assert one(executor(**tensors)) == {
        "tensors": {
            "f64": [0.5, -2.0],
            "c128": [[[0.5, -2.0]]],
            "u8": [1, 2, 255],
            "bits": [True, False, True],  # one axis: no shots
            "none": [[], []],
            "one": 7.0,
        },
        "metadata": {"scheduler_timing": None},
    }


def test_bit_0_comes_first_in_a_tensor_and_last_in_a_bit_string():
    assert one(executor(c=bools([2, 3], "100110")))["counts"] == {"c": {"001": 1, "011": 1}}


def test_the_first_version_has_no_metadata_of_items():
    data = executor("v0.1", c=BOOLS)
    del data["data"][0]["metadata"]
    assert one(data)["metadata"] == {}


def test_flips_are_undone():
    """Two randomizations, two shots, two bits; the flips have one shot, for all of a randomization."""
    tensors = {"c": bools([2, 2, 2], "11100001"), "measurement_flips.c": bools([2, 1, 2], "1001")}
    found = one(executor(**tensors))
    assert found["counts"] == {"c": [{"10": 1, "00": 1}, {"10": 1, "00": 1}]}
    assert found["tensors"]["c"][0] == [[True, True], [True, False]]  # the tensors are as they came


@pytest.mark.parametrize(
    "role, twirling, together", [("sampler_v2", True, True), ("sampler_v2", False, False), (None, True, False)]
)
def test_the_client_side_samplers_randomizations_are_added_up(role, twirling, together):
    """Shape (randomizations, sweep, shots, bits)."""
    data = executor(role=role, passed={"post_processor": {"twirling": twirling}}, c=bools([2, 3, 2, 1], "001101010001"))
    first, second = [{"0": 2}, {"1": 2}, {"0": 1, "1": 1}], [{"0": 1, "1": 1}, {"0": 2}, {"0": 1, "1": 1}]
    added = [{"0": 3, "1": 1}, {"0": 2, "1": 2}, {"0": 2, "1": 2}]
    assert one(data)["counts"]["c"] == (added if together else [first, second])


def test_the_client_side_sampler_without_a_sweep():
    data = executor(role="sampler_v2", passed={"post_processor": {"twirling": True}}, c=bools([2, 2, 1], "0010"))
    assert one(data)["counts"] == {"c": {"0": 3, "1": 1}}


def test_what_is_boolean_and_no_shots():
    found = one(executor(pauli_signs=bools([2, 2], "1010"), **{"measurement_flips.c": bools([1, 1], "1")}))
    assert "counts" not in found and set(found["tensors"]) == {"pauli_signs", "measurement_flips.c"}


@pytest.mark.parametrize(
    "model, text",
    [
        (None, "item 0, 'c': it is no tensor with data, shape and dtype"),
        ({"data": "", "shape": [0]}, "it is no tensor"),
        ({"data": "", "shape": 0, "dtype": "u8"}, "its shape is 0"),
        ({"data": "", "shape": [-1], "dtype": "u8"}, "its shape is [-1]"),
        ({"data": "", "shape": [True], "dtype": "u8"}, "its shape is [True]"),
        ({"data": "", "shape": [0.5], "dtype": "u8"}, "its shape is [0.5]"),
        ({"data": "", "shape": [0], "dtype": "u128"}, "its dtype 'u128' is unknown"),
        ({"data": "", "shape": [0], "dtype": "O"}, "its dtype 'O' is unknown"),
        ({"data": "", "shape": [0], "dtype": None}, "its dtype 'None' is unknown"),
        ({"data": 1, "shape": [1], "dtype": "u8"}, "its data is int, not text in base64"),
        ({"data": "AQ", "shape": [1], "dtype": "u8"}, "its data is no base64"),
        ({"data": "é", "shape": [1], "dtype": "u8"}, "its data is no base64"),
        ({"data": "AQ==", "shape": [2], "dtype": "u8"}, "its 1 bytes are not 1 for each item of its shape [2]"),
        ({"data": "AQ==", "shape": [9], "dtype": "bool"}, "its 1 bytes are not the 9 bits of its shape [9]"),
        ({"data": "", "shape": [0, 10**9], "dtype": "f64"}, "its arrays are more than 256 MiB"),
        ({"data": "", "shape": [0] * 65, "dtype": "f64"}, "it has 65 axes"),
    ],
)
def test_tensors_that_are_none(model, text):
    with pytest.raises(ResultError) as caught:
        decode(json.dumps(executor(c=model)))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "flips", [bools([2, 2], "1111"), bools([2, 3, 2], "1" * 12), {"data": "AQ==", "shape": [1, 1, 1], "dtype": "u8"}]
)
def test_flips_that_do_not_fit(flips):
    tensors = {"c": bools([2, 2, 2], "0" * 8), "measurement_flips.c": flips}
    with pytest.raises(ResultError, match="item 0, 'c': its measurement flips have the shape"):
        decode(json.dumps(executor(**tensors)))


def test_flips_of_no_shots_at_all():
    tensors = {"c": bools([0, 2, 1], ""), "measurement_flips.c": bools([1, 1, 1], "1")}
    assert one(executor(**tensors))["counts"] == {"c": []}


# Anything else


@pytest.mark.parametrize(
    "data",
    [
        {"schema_version": "v0.3", "data": [{"generators_sparse": [], "num_qubits": 2, "rates": {"data": ""}}]},
        {"data": [wrapped("_json", {})], "metadata": {}},
        {"schema_version": "v0.1", "data": "text"},
        {"quasi_dists": [{"0": 1}], "metadata": [{}]},
        {"results": [1]},
        {},
        [],
        "text",
        None,
        1.5,
    ],
)
def test_what_has_no_pubs_comes_as_it_is(data):
    assert decode(json.dumps(data)) == [{"raw": data}]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "there is no result: the text is empty"),
        (" \n", "there is no result: the text is empty"),
        (
            "Traceback (most recent call last):\n  File ...\nValueError:  too many\tqubits\n",
            "it ends with: ValueError: too many qubits",
        ),
        ('{"results": [', 'is no JSON but text, as that of a failed job; it ends with: {"results": ['),
        ("x" * 300, "it ends with: " + "x" * 200),
        ("[" * 100_000, "the result is nested too deeply"),
        ('{"a":' * 100_000, "the result is nested too deeply"),
    ],
)
def test_text_that_is_no_result(text, message):
    with pytest.raises(ResultError) as caught:
        decode(text)
    assert str(caught.value).endswith(message) and "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [100, 600, 900, 5000])
def test_what_is_nested_deeply_is_decoded_or_refused(depth):
    """Where Python's limit is, and whether its JSON parser or this decoder meets it first, depends on its version."""
    try:
        (pub,) = decode('{"results": [{"data": {"a": ' + "[" * depth + "]" * depth + "}}]}")
    except ResultError as error:
        assert str(error) == "the result is nested too deeply" and depth > 100
    else:
        assert isinstance(pub["tensors"]["a"], list) and depth < 5000


@pytest.mark.parametrize(
    "data, message",
    [
        (wrapped("PrimitiveResult", None), "the PrimitiveResult: it is NoneType where IBM's results have an object"),
        (wrapped("PrimitiveResult", {}), "the PrimitiveResult has no list 'pub_results'"),
        (wrapped("PrimitiveResult", {"pub_results": [3]}), "pub 0: it is int where"),
        (wrapped("PrimitiveResult", {"pub_results": [{}]}), "pub 0, 'data': it is NoneType where"),
        (
            wrapped("PrimitiveResult", {"pub_results": [{"data": wrapped("DataBin", [])}]}),
            "pub 0, 'data': it is list where",
        ),
        (rest(c=wrapped("BitArray", {})), "pub 0, 'c': its data is NoneType, not text in base64"),
        (rest(c=wrapped("BitArray", {"array": [1]})), "pub 0, 'c': its data is list, not text in base64"),
    ],
)
def test_json_that_is_no_result(data, message):
    with pytest.raises(ResultError) as caught:
        decode(json.dumps(data))
    assert message in str(caught.value)


# The format of numpy


@pytest.mark.parametrize(
    "descr, data, values",
    [
        ("|b1", b"\0\1\2", [False, True, True]),
        ("|i1", b"\xff\1", [-1, 1]),
        ("<i2", b"\xfe\xff", [-2]),
        (">u4", b"\0\0\1\0", [256]),
        ("<i8", struct.pack("<q", -(2**63)), [-(2**63)]),
        ("<u8", b"\xff" * 8, [2**64 - 1]),
        ("<f2", struct.pack("<e", 0.5), [0.5]),
        (">f4", struct.pack(">f", 0.25), [0.25]),
        ("<f8", struct.pack("<d", 1e300), [1e300]),
        ("<c8", struct.pack("<4f", 1, 2, 3, 4), [[1.0, 2.0], [3.0, 4.0]]),
        (">c16", struct.pack(">2d", 1, -0.5), [[1.0, -0.5]]),
        ("<U2", "a\0éz".encode("utf-32-le"), ["a", "éz"]),
        (">U1", "é".encode("utf-32-be"), ["é"]),
        ("|S3", b"ab\0\0\0\0", ["ab", ""]),
    ],
)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_types_of_numpy(descr, data, values, version):
    found = npy(npy_file(descr, (len(values),), data, version=version), Budget())
    assert found.nested(Budget()) == values
    assert [type(value) for value in found.nested(Budget())] == [type(value) for value in values]


def test_a_file_that_is_not_compressed():
    file = zlib.decompress(base64.b64decode(npy_file("|u1", (2, 1), b"\1\2")))
    assert npy(b64(file), Budget()).nested(Budget()) == [[1], [2]]


@pytest.mark.parametrize(
    "text, message",
    [
        (b64(b"abc"), "its data is not compressed with zlib"),
        (b64(zlib.compress(b"abc")), "it is no .npy file"),
        (b64(zlib.compress(b"\x93NUMPY\1\0")), "it is no .npy file"),
        (b64(zlib.compress(bytes(1000))[:8]), "its compressed data is cut off"),
        (b64(b"\x93NUMPY\1\0\xff\xff{}"), "its .npy header is not understood: '{}'"),
        (npy_file("|O", (1,), b"cposix\nsystem\n(S'id'\ntR."), "it holds pickled Python objects, which are not read"),
        (npy_file("<f16", (1,), bytes(16)), "its type f16 is not read here"),
        (npy_file("<M8", (1,), bytes(8)), "its type M8 is not read here"),
        (npy_file("<U0", (1,), b""), "its type U0 is not read here"),
        (npy_file("", (), b"", header="__import__('os').system('id')"), "its .npy header is not understood"),
        (
            npy_file("", (), b"", header="{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (), }"),
            "not understood",
        ),
        (
            npy_file("<f8", (), b"", header="{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"),
            "not understood",
        ),
        (npy_file("<U1", (1,), b"\xff\xff\xff\xff"), "its text is no Unicode"),
        (npy_file("<f8", (2,), bytes(8)), "its 8 bytes are not 8 for each item of its shape [2]"),
        (npy_file("<f8", (), bytes(16)), "its 16 bytes are not 8 for each item of its shape []"),
    ],
)
def test_files_of_numpy_that_are_not_read(text, message):
    with pytest.raises(ArrayError) as caught:
        npy(text, Budget()).nested(Budget())
    assert message in str(caught.value)


def test_a_small_text_cannot_fill_the_memory():
    bomb = b64(zlib.compress(bytes(1 << 24)))
    start = time.process_time()
    for read in (
        lambda: npy(bomb, Budget(1 << 20)),
        lambda: tensor({"data": bomb, "shape": [1 << 24], "dtype": "u8"}, True, Budget(1 << 20)),
    ):
        with pytest.raises(ArrayError, match="more than 1 MiB"):
            read()
    assert time.process_time() - start < 1
    # the limit is that of the whole result: each of these would be well below it
    part = {"data": b64(zlib.compress(bytes(1 << 18))), "shape": [1 << 18], "dtype": "u8"}
    budget = Budget(1 << 20)
    for _turn in range(4):
        tensor(part, True, budget)
    with pytest.raises(ArrayError, match="more than 1 MiB"):
        tensor(part, True, budget)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=4), st.booleans(), st.randoms())
def test_the_order_of_axes(shape, fortran, random):
    """Each item says where it belongs."""
    places = [()]
    for length in shape:
        places = [(*place, at) for place in places for at in range(length)]
    stored = sorted(places, key=lambda place: place[::-1]) if fortran else places
    numbers = {place: random.randrange(-(2**15), 2**15) for place in places}
    data = struct.pack(f"<{len(stored)}h", *(numbers[place] for place in stored))
    array = npy(npy_file("<i2", shape, data, fortran=fortran), Budget())
    nested = array.nested(Budget())
    assert array.shape == tuple(shape)
    for place in places:
        found = nested
        for at in place:
            found = found[at]
        assert found == numbers[place]


NAMES = (
    *("__type__", "__value__", "results", "data", "samples", "num_bits", "evs", "metadata", "pub_results", "fields"),
    *("field_names", "array", "schema_version", "shape", "dtype", "job", "counts"),
)
NPY = npy_file("|u1", (1, 1), b"\1")
WORDS = ("", "0x1", "AQ==", "v0.1", "bool", "u8", "BitArray", "DataBin", "PrimitiveResult", "ndarray", NPY)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON, st.sampled_from(["as it is", "rest", "qiskit", "field", "executor"]))
def test_odd_json_is_a_result_error_or_a_result(data, place):
    whole = {
        "as it is": data,
        "rest": {"results": [data, {"data": data}]},
        "qiskit": wrapped("PrimitiveResult", {"pub_results": [data, {"data": data}]}),
        "field": rest(c=data, d=wrapped("BitArray", data), evs=data),
        "executor": executor(c=data, d={"data": data, "shape": [1], "dtype": "u8"}),
    }[place]
    try:
        pubs = decode(json.dumps(whole))
    except ResultError as error:
        assert str(error)
    else:
        assert all(isinstance(pub, dict) for pub in pubs)
        json.dumps(pubs)
    try:
        counts_of(whole)
    except ValueError as error:
        assert str(error)


# The counts of a register

COUNTS = {"00": 1, "11": 2}
REST = {"results": [{"data": {"c": {"samples": ["0x3", "0x0", "0x3"], "num_bits": 2}}, "metadata": {}}], "metadata": {}}
DECODED = [{"counts": {"c": COUNTS}, "metadata": {}}]


@pytest.mark.parametrize(
    "result",
    [
        json.dumps(REST),
        REST,
        DECODED,
        DECODED[0],
        {"changed": False, "results": DECODED},
        {"changed": False, "results": REST},
        {"changed": False, "results": json.dumps(REST)},
        {"job": {"id": "a", "results": DECODED}},
        {"job": {"id": "a", "results": REST}},
        {"job": {"id": "a", **REST}},
        {"job": "an-id", "results": DECODED},
        {"id": "a", "results": json.dumps(REST)},
        executor(c=bools([3, 2], "110011")),
        sampler(registers={"c": (2, (3, 1), b"\3\0\3")}),
    ],
)
def test_counts_of_whatever_has_a_result(result):
    assert counts_of(result) == COUNTS


def test_the_pub_and_the_register():
    result = [{"counts": {"a": {"0": 1}, "b": {"1": 2}}}, {"counts": {"c": {"0": 3}}}]
    assert counts_of(result, 0, "b") == {"1": 2}
    assert counts_of(result, pub=1) == counts_of(result, pub=1, register="c") == {"0": 3}
    assert decode(SAMPLER)[0]["counts"]["b"] == counts_of(SAMPLER, register="b")


def test_what_is_returned_is_the_callers():
    counts_of(DECODED).clear()
    assert counts_of(DECODED) == COUNTS


@pytest.mark.parametrize(
    "result, options, kind, text",
    [
        (DECODED, {"pub": 1}, OptionError, "'pub': there is no pub 1, the result has pubs 0 to 0"),
        (DECODED, {"pub": -1}, OptionError, "'pub': there is no pub -1"),
        (DECODED, {"pub": "0"}, OptionError, "'pub': there is no pub '0'"),
        ([], {}, OptionError, "'pub': there is no pub 0, the result has no pubs"),
        (SAMPLER, {}, OptionError, "'register': pub 0 has several, name one of them: a, b"),
        (SAMPLER, {"register": "c"}, OptionError, "'register': pub 0 has no register 'c' but a, b"),
        (SAMPLER, {"register": ["a"]}, OptionError, "'register': pub 0 has no register ['a'] but a, b"),
        (ESTIMATOR, {}, ResultError, "pub 0 has no counts, as those of samplers have, but evs, stds"),
        (rest(), {}, ResultError, "pub 0 has no counts, as those of samplers have, but nothing"),
        ({"a": 1}, {}, ResultError, "this dict is no result of a job: give the answer of GET /v1/jobs/ID/results"),
        ('{"a": 1}', {}, ResultError, "pub 0 has no counts, as those of samplers have, but raw"),
        (None, {}, ResultError, "this NoneType is no result of a job"),
        ([1], {}, ResultError, "this list is no result of a job"),
        ({"results": [{"job": {"results": DECODED}}]}, {}, ResultError, "(in a loop, of one of its items)"),
        ({"job": {"id": "a"}}, {}, ResultError, "the job has no results: it has not completed, or they were not read"),
        ({"job": {"id": "a", "results": None}}, {}, ResultError, "the job has no results"),
        ({"results": None}, {}, ResultError, "the job has no results"),
        ("Traceback:\nKeyError: 'a'", {}, ResultError, "the result is no JSON but text"),
        (rest(c={"samples": [["0x0"]]}), {}, ResultError, "take results[0].counts['c'] of the decoded result"),
        ([{"counts": {"c": 3}}], {}, ResultError, "register 'c' of pub 0 has no counts but '3'"),
        ([{"counts": {"c": {"0": "1"}}}], {}, ResultError, "register 'c' of pub 0 has no counts but"),
    ],
)
def test_counts_that_there_are_not(result, options, kind, text):
    with pytest.raises(ValueError) as caught:
        counts_of(result, **options)
    assert caught.type is kind and text in str(caught.value) and "\n" not in str(caught.value)


def test_many_shots():
    """A hundred thousand shots of 156 bits, most of them different, are counted in about a second of CPU at most."""
    rows = b"".join(struct.pack(">20xQ", number * 2654435761 % 2**40)[8:] for number in range(100_000))
    start = time.process_time()
    counts = counts_of(sampler(registers={"c": (156, (100_000, 20), rows)}))
    assert len(counts) == 100_000 and time.process_time() - start < 5
