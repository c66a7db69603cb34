# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.ibm_quantum.platform.plugins.module_utils._backends import is_operational, matching
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError


def row(name, qubits=5, queue=0, status="online", **more):
    return {"name": name, "qubits": qubits, "queue_length": queue, "status": {"name": status}, **more}


FEZ = row("fez", 156, 7)
KINGSTON = row("kingston", 156, 3)
TORINO = row("torino", 133, 0, "paused")
SIMULATOR = row("simulator", 32, 1, is_simulator=True)
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
        ([], {"least_busy": True}, "'least_busy': none of the 0"),
    ],
)
def test_no_match(rows, options, text):
    with pytest.raises(OptionError, match=text):
        matching(rows, **options)


@pytest.mark.parametrize("status, expected", [("online", True), ("paused", False), ("offline", False)])
def test_operational(status, expected):
    assert is_operational(row("x", status=status)) is expected
