# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same with IBM's own client, as its guide writes it: ``python client.py CIRCUIT COUNT``."""

from __future__ import annotations

import sys
from pathlib import Path

from qiskit import qasm3
from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2


def main() -> None:
    circuit, count = qasm3.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2])
    service = QiskitRuntimeService()
    sampler = SamplerV2(mode=service.backend("ibm_fez"))
    jobs = [sampler.run([circuit], shots=100) for _turn in range(count)]
    counts = [job.result()[0].data.meas.get_counts() for job in jobs]
    assert sum(sum(row.values()) for row in counts) == 100 * count


if __name__ == "__main__":
    main()
