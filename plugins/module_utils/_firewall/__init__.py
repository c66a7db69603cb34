# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The egress allowlist of a host. Standard library only, Python 3.8 or newer; also runs on the host without Ansible.

docs/architecture.md has the table of the files, from what is declared (:mod:`policy`) to what is in the kernel (the
providers behind :mod:`provider`); :mod:`allowlist` is where all of it comes together.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""
