# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options that say what a backend must be like; _backends.CHOICE_SPEC holds the same, a unit test compares them.
    DOCUMENTATION = r"""
options:
  min_qubits:
    description:
      - Only backends with at least so many qubits.
    type: int
  processor_family:
    description:
      - Only backends whose processor is of this family, such as V(Heron), V(Eagle) or V(Nighthawk), in upper or lower
        case. No backend is of a family that IBM does not know.
    type: str
  max_queue_length:
    description:
      - Only backends that at most so many jobs wait for.
    type: int
  simulator:
    description:
      - Only simulators, or only real quantum computers.
    type: bool
"""
