# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The egress allowlist of a host. Standard library only, Python 3.8 or newer; also runs on the host without Ansible.

Read in this order: :mod:`policy` (what may leave), :mod:`provider` (what a firewall has to offer), :mod:`nftables` (the
one there is), :mod:`store` (what lies on disk), :mod:`systemd` (units), :mod:`guard` (confirm or roll back),
:mod:`allowlist` (compare, apply, remove), :mod:`host` (the commands that the host's own units run).

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""
