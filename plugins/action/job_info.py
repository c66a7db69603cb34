# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin ``api`` under this module's name: Ansible looks ``module_defaults`` up by the plugin's name."""

from __future__ import annotations

from ansible_collections.ibm_quantum.platform.plugins.action.api import ActionModule

__all__ = ("ActionModule",)
