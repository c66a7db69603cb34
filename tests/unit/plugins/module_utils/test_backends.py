# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._backends import (
    CHOICE_SPEC,
    choose,
    is_operational,
    matching,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError


def row(name, qubits=5, queue=0, status="online", **more):
    return {"name": name, "qubits": qubits, "queue_length": queue, "status": {"name": status}, **more}


def family(name):
    return {"processor_type": {"family": name, "revision": "2"}}


FEZ = row("fez", 156, 7, **family("Heron"))
KINGSTON = row("kingston", 156, 3, **family("Nighthawk"))
TORINO = row("torino", 133, 0, "paused", **family("Heron"))
SIMULATOR = row("simulator", 32, 1, is_simulator=True, processor_type=None)
ODD = {"name": "odd", "qubits": None, "status": None}
ALL = [FEZ, KINGSTON, TORINO, SIMULATOR, ODD]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, ALL),
        ({"name": "torino"}, [TORINO]),
        ({"operational": True}, [FEZ, KINGSTON, SIMULATOR]),
        ({"operational": False}, [TORINO, ODD]),
        ({"simulator": True}, [SIMULATOR]),
        ({"simulator": False}, [FEZ, KINGSTON, TORINO, ODD]),
        ({"min_qubits": 133}, [FEZ, KINGSTON, TORINO]),
        ({"min_qubits": 1000}, []),
        ({"name": "fez", "min_qubits": 1000}, []),
        ({"processor_family": "Heron"}, [FEZ, TORINO]),
        ({"processor_family": " heRON "}, [FEZ, TORINO]),
        ({"processor_family": "Condor"}, []),
        ({"max_queue_length": 3}, [KINGSTON, TORINO, SIMULATOR, ODD]),
        ({"max_queue_length": 0}, [TORINO, ODD]),
        ({"max_queue_length": 3, "processor_family": "NIGHTHAWK", "min_qubits": 156}, [KINGSTON]),
        ({"least_busy": True}, [SIMULATOR]),
        ({"least_busy": True, "simulator": False}, [KINGSTON]),
        ({"least_busy": True, "name": "fez"}, [FEZ]),
    ],
)
def test_matching(options, expected):
    assert matching(ALL, **options) == expected


@pytest.mark.parametrize(
    "rows, options, text",
    [
        (ALL, {"name": "nowhere"}, "'name': .* no backend 'nowhere', it has: fez, kingston, odd, simulator, torino"),
        ([], {"name": "fez"}, "it has: none"),
        (ALL, {"least_busy": True, "min_qubits": 1000}, "'least_busy': none of the 5 backends fits and is online"),
        (ALL, {"least_busy": True, "name": "torino"}, "'least_busy': none of the 5"),
        ([], {"least_busy": True}, "'least_busy': none of the 0 .*: the instance has none"),
    ],
)
def test_no_match(rows, options, text):
    with pytest.raises(OptionError, match=text):
        matching(rows, **options)


@pytest.mark.parametrize("status, expected", [("online", True), ("paused", False), ("offline", False)])
def test_operational(status, expected):
    assert is_operational(row("x", status=status)) is expected


class Listing:
    """Stands in for Runtime."""

    def __init__(self, *rows):
        self.rows = list(rows)

    def backends(self):
        return self.rows


def chosen(rows, names=(), **options):
    return choose(Listing(*rows), {**dict.fromkeys(CHOICE_SPEC), **options}, names)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, SIMULATOR),
        ({"simulator": False}, KINGSTON),
        ({"processor_family": "heron"}, FEZ),
        ({"min_qubits": 100, "max_queue_length": 3}, KINGSTON),
        ({"names": ["torino", "fez"]}, FEZ),
        ({"names": ["fez", "kingston"], "processor_family": "Heron"}, FEZ),
    ],
)
def test_a_choice(options, expected):
    assert chosen(ALL, **options) is expected
    assert chosen(ALL[::-1], **options) is expected


def test_of_equal_queues_the_one_with_the_most_qubits_then_the_first_by_name():
    large, first, second = row("z", 9, 2), row("a", 5, 2), row("b", 5, 2)
    assert chosen([second, first, large]) is large
    assert chosen([second, first]) is first
    assert matching([second, first, large], least_busy=True) == [large]


@pytest.mark.parametrize(
    "rows, options, text",
    [
        (
            ALL,
            {"min_qubits": 1000},
            "none of the 5 backends fits and is online: min_qubits=1000 rules out 5, status=online rules out 2; relax "
            "min_qubits=1000 for simulator (unknown family, 32 qubits, queue of 1, online)",
        ),
        (
            ALL,
            {"processor_family": "Heron", "max_queue_length": 5, "simulator": False},
            "none of the 5 backends fits and is online: processor_family=Heron rules out 3, max_queue_length=5 rules "
            "out 1, simulator=false rules out 1, status=online rules out 2; relax processor_family=Heron for kingston "
            "(Nighthawk, 156 qubits, queue of 3, online), or relax max_queue_length=5 for fez (Heron, 156 qubits, "
            "queue of 7, online), or wait for torino (Heron, 133 qubits, queue of 0, paused)",
        ),
        (
            [FEZ, TORINO],
            {"min_qubits": 1000, "processor_family": "Condor"},
            "none of the 2 backends fits and is online: min_qubits=1000 rules out 2, processor_family=Condor rules out "
            "2, status=online rules out 1; relax several, as each backend fails more than one",
        ),
        (
            ALL,
            {"names": ["torino"]},
            "none of the 1 backends fits and is online: status=online rules out 1; wait for torino (Heron, 133 qubits, "
            "queue of 0, paused)",
        ),
        ([], {}, "none of the 0 backends fits and is online: the instance has none"),
        (
            [FEZ, KINGSTON],
            {"names": ["fez", "lost"]},
            "the instance has no backend 'lost', it has: fez, kingston",
        ),
    ],
)
def test_no_choice(rows, options, text):
    with pytest.raises(OptionError) as caught:
        chosen(rows, **options)
    assert str(caught.value) == text
