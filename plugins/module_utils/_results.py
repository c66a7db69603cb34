# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Results of jobs as plain data, decoded without numpy and Qiskit. Standard library only.

``GET /v1/jobs/{id}/results`` has one of several forms; a result does not say which, so its fields decide:

- of a sampler or an estimator, for REST users (IBM's guides "sampler-rest-api", "estimator-rest-api"):
  ``results[PUB].data.REGISTER.samples``, hexadecimal, and ``results[PUB].data.evs``;
- the same where the job said ``support_qiskit``: a ``PrimitiveResult`` as ``RuntimeEncoder`` of qiskit-ibm-runtime
  writes it (models in ibm-quantum-schemas: ``sampler.version_0_1``, ``estimator.version_0_1``);
- of the executor: a ``QuantumProgramResultModel`` of ibm-quantum-schemas (``executor``, v0.1 to v2.0);
- anything else, as of the noise learner; and for a failed job text, its traceback, which is no JSON at all.

Bit strings are IBM's: the rightmost character is bit 0 of the register.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import Any, Iterator

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _counts
from ansible_collections.ibm_quantum.platform.plugins.module_utils._arrays import (
    ArrayError,
    Budget,
    is_size,
    npy,
    tensor,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError

#: What an estimator gives for a pub; the others come with zero-noise extrapolation (``DataBinObjectModel``).
ESTIMATES = (
    *("evs", "stds", "ensemble_standard_error", "evs_noise_factors", "stds_noise_factors"),
    *("ensemble_stds_noise_factors", "evs_extrapolated", "stds_extrapolated"),
)
#: At least one of these keys is in every dict that `decode` returns.
_KEYS = frozenset(("counts", "tensors", "raw", *ESTIMATES))

_UNCOMPRESSED = ("v0.1", "v0.2", "v1.0", "v1.1")  # executor schemas; those since have compressed tensors
#: The executor's boolean tensors that hold no shots (samplomatic, ``PreSamplex``).
_FLIPS, _SIGNS = "measurement_flips.", "pauli_signs"
#: IBM's decoder takes these for names of extrapolators, where arrays belong (``ExtrapolatorType``).
_EXTRAPOLATOR = re.compile(r"linear|(double_)?exponential|polynomial_degree_\d|fallback")


class ResultError(ValueError):
    """Not a result, or one that cannot be decoded; the text says what is wrong."""


def decode(text: str) -> list[dict[str, Any]]:
    """The text of ``GET /v1/jobs/{id}/results`` as a list, a dict for each pub. Raises ResultError.

    - sampler: ``counts`` {register: {bit string: shots}} and ``metadata``. For a pub with a shape, as a sweep of
      parameters has, each register has lists in lists of that shape with such dicts in them. Registers that were not
      classified into bits (``meas_type`` kerneled) are in ``tensors`` instead, by name.
    - estimator: ``evs``, ``stds`` and, where they are, the other ``ESTIMATES``, as lists in lists of the pub's shape
      (the numbers themselves where it has none), and ``metadata``. They are in units of the observable.
    - executor: ``tensors`` {name: lists in lists} and ``metadata``, for each item of the program. ``counts`` of the
      tensors that are shots, shape (..., shots, bits): where the bits were flipped by twirling, the flips are undone,
      and of IBM's client-side sampler the randomizations are added up, as its client does. What the client-side
      estimator makes of its tensors needs IBM's client.
    - anything else: one dict, ``raw``, with the JSON as it is.

    Arrays in metadata are lists, times text, complex numbers [real, imaginary].
    """
    if not text.strip():
        raise ResultError("there is no result: the text is empty")
    try:
        data = json.loads(text)
    except RecursionError:
        raise ResultError("the result is nested too deeply") from None
    except ValueError:
        last = " ".join(text.strip().splitlines()[-1].split())[:200]
        raise ResultError(f"the result is no JSON but text, as that of a failed job; it ends with: {last}") from None
    return _decoded(data)


def counts_of(result: Any, pub: int = 0, register: str | None = None) -> dict[str, int]:
    """The counts {bit string: shots} of one register of one pub.

    ``result`` is the text, the JSON, what `decode` returned, or a task's result that has one of these in ``results`` or
    ``job.results``. ``register`` may be left out where there is one only. Raises ResultError for a result without
    counts, OptionError where ``pub`` or ``register`` do not name what is there.
    """
    pubs = _pubs(result)
    if not is_size(pub) or pub >= len(pubs):
        has = f"the result has pubs 0 to {len(pubs) - 1}" if pubs else "the result has no pubs"
        raise OptionError(f"'pub': there is no pub {pub!r}, {has}")
    found = pubs[pub].get("counts")
    if not isinstance(found, dict) or not found:
        has = ", ".join(sorted(map(str, pubs[pub].keys() - {"metadata", "counts"}))) or "nothing"
        raise ResultError(f"pub {pub} has no counts, as those of samplers have, but {has}")
    if register is None and len(found) > 1:
        raise OptionError(f"'register': pub {pub} has several, name one of them: {', '.join(map(str, found))}")
    name = next(iter(found)) if register is None else register
    if not isinstance(name, str) or name not in found:
        raise OptionError(f"'register': pub {pub} has no register {name!r} but {', '.join(map(str, found))}")
    counts = found[name]
    if isinstance(counts, list):
        raise ResultError(
            f"register {name!r} of pub {pub} has counts for each set of parameters, and not one for all: take "
            f"results[{pub}].counts[{name!r}] of the decoded result, and from its lists the one that is meant"
        )
    if not isinstance(counts, dict) or not all(map(is_size, counts.values())):
        raise ResultError(f"register {name!r} of pub {pub} has no counts but {str(counts)[:80]!r}")
    return dict(counts)


def _pubs(result: Any) -> list[dict[str, Any]]:
    """The decoded pubs of whatever `counts_of` takes."""
    if isinstance(result, str):
        return decode(result)
    if isinstance(result, list) and all(isinstance(each, dict) and _KEYS & each.keys() for each in result):
        return result
    if isinstance(result, dict):
        holder = result["job"] if isinstance(result.get("job"), dict) else result
        if "__type__" in holder or "schema_version" in holder or _is_plain(holder.get("results")):
            return _decoded(holder)
        if holder.get("results") is not None:
            return _pubs(holder["results"])
        if "results" in holder or "job" in result:
            raise ResultError("the job has no results: it has not completed, or they were not read")
        if _KEYS & result.keys():
            return [result]
    raise ResultError(
        f"this {type(result).__name__} is no result of a job: give the answer of GET /v1/jobs/ID/results, as text or "
        "JSON, or the result of a task, which has them in job.results or results (in a loop, of one of its items)"
    )


def _is_plain(rows: Any) -> bool:
    """Whether these are the ``results`` of the form for REST users."""
    return isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row.get("data"), dict) for row in rows)


def _decoded(data: Any) -> list[dict[str, Any]]:
    try:
        return _Decoder().result(data)
    except RecursionError:
        raise ResultError("the result is nested too deeply") from None


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Say where in a result an array is that cannot be read."""
    try:
        yield
    except ArrayError as error:
        raise ResultError(f"{place}: {error}") from None


class _Decoder:
    """Decodes one result: JSON of any form to a list with a dict for each pub."""

    def __init__(self) -> None:
        self._budget = Budget()

    def result(self, data: Any) -> list[dict[str, Any]]:
        if isinstance(data, dict):
            if data.get("__type__") == "PrimitiveResult":
                rows = _opened(data, "the PrimitiveResult").get("pub_results")
                if not isinstance(rows, list):
                    raise ResultError("the PrimitiveResult has no list 'pub_results'")
                return [self._pub(row, f"pub {number}") for number, row in enumerate(rows)]
            if _is_plain(data.get("results")):
                return [self._pub(row, f"pub {number}") for number, row in enumerate(data["results"])]
            rows = data.get("data")
            if "schema_version" in data and isinstance(rows, list) and all(map(_is_item, rows)):
                return [self._item(row, f"item {number}", data) for number, row in enumerate(rows)]
        return [{"raw": data}]

    def _pub(self, row: Any, place: str) -> dict[str, Any]:
        """What a sampler or an estimator has for one pub."""
        content = _opened(row, place)
        fields = _opened(content.get("data"), f"{place}, 'data'")
        if "field_names" in fields and isinstance(fields.get("fields"), dict):  # a DataBin
            fields = fields["fields"]
        found: dict[str, Any] = {}
        for name, value in fields.items():
            with _at(f"{place}, {name!r}"):
                if isinstance(value, dict) and value.get("__type__") == "BitArray":
                    bits = _opened(value, f"{place}, {name!r}")
                    array = npy(_ndarray(bits.get("array")), self._budget)
                    counts = _counts.of_bytes(array, bits.get("num_bits"), self._budget)
                    found.setdefault("counts", {})[name] = counts
                elif isinstance(value, dict) and "samples" in value:
                    counts = _counts.of_samples(value["samples"], value.get("num_bits"), self._budget)
                    found.setdefault("counts", {})[name] = counts
                elif name in ESTIMATES and value is not None:
                    found[name] = _floats(self._plain(value))
                elif value is not None:
                    found.setdefault("tensors", {})[name] = self._plain(value)
        return {**(found or {"counts": {}}), "metadata": self._metadata(content, place)}

    def _item(self, row: dict[str, Any], place: str, whole: dict[str, Any]) -> dict[str, Any]:
        """What the executor has for one item of its program."""
        arrays, tensors, counts = {}, {}, {}
        for name, model in row["results"].items():
            with _at(f"{place}, {name!r}"):
                arrays[name] = tensor(model, whole["schema_version"] not in _UNCOMPRESSED, self._budget)
                tensors[name] = arrays[name].nested(self._budget)
        for name, array in arrays.items():
            if array.kind != "b" or len(array.shape) < 2 or name.startswith(_FLIPS) or name == _SIGNS:
                continue
            with _at(f"{place}, {name!r}"):
                if _FLIPS + name in arrays:
                    array = _counts.unflipped(array, arrays[_FLIPS + name], self._budget)
                counts[name] = _counts.of_bools(array, self._budget)
            if len(array.shape) > 2 and _is_twirled(whole):
                counts[name] = _counts.added(counts[name])
        found = {"counts": counts} if counts else {}
        return {**found, "tensors": tensors, "metadata": self._metadata(row, place)}

    def _metadata(self, content: dict[str, Any], place: str) -> Any:
        with _at(f"{place}, 'metadata'"):
            return self._plain(content.get("metadata") or {})

    def _plain(self, value: Any) -> Any:
        """JSON with what RuntimeEncoder marked in it as plain as it can be; circuits and the like stay as they are."""
        if isinstance(value, list):
            return [self._plain(each) for each in value]
        if not isinstance(value, dict):
            return value
        kind, content = value.get("__type__"), value.get("__value__")
        if kind == "ndarray" and isinstance(content, str):
            return content if _EXTRAPOLATOR.fullmatch(content) else npy(content, self._budget).nested(self._budget)
        if kind in ("ndarray", "datetime") or (kind and isinstance(content, (dict, list))):
            return self._plain(content)
        return {name: self._plain(each) for name, each in value.items()}


def _opened(value: Any, place: str) -> dict[str, Any]:
    """A dict, out of what RuntimeEncoder wrapped it in. Raises ResultError for anything else."""
    content = value.get("__value__") if isinstance(value, dict) and "__type__" in value else value
    if not isinstance(content, dict):
        raise ResultError(f"{place}: it is {type(content).__name__} where IBM's results have an object")
    return content


def _ndarray(value: Any) -> Any:
    """The text of an array."""
    return value.get("__value__") if isinstance(value, dict) else value


def _is_item(row: Any) -> bool:
    """Whether it is one of the executor."""
    return isinstance(row, dict) and isinstance(row.get("results"), dict)


def _is_twirled(whole: dict[str, Any]) -> bool:
    """Whether it is the twirled program of IBM's client-side sampler, whose first axis is that of randomizations."""
    passed = whole.get("passthrough_data")
    settings = passed.get("post_processor") if isinstance(passed, dict) else None
    return (
        whole.get("semantic_role") == "sampler_v2" and isinstance(settings, dict) and settings.get("twirling") is True
    )


def _floats(value: Any) -> Any:
    """The same lists in lists with floats in them. None stays: JSON has no other number for what there is not."""
    if isinstance(value, list):
        return [_floats(each) for each in value]
    if value is None or isinstance(value, float):
        return value
    try:
        return value + 0.0
    except (TypeError, OverflowError):  # text and the like; an integer that is too large
        raise ArrayError(f"{str(value)[:80]!r} is no number") from None
