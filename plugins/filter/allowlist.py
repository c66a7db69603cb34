# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that renders a list of endpoints for others' firewalls; allowlist.yml documents it."""

from __future__ import annotations

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.ibm_quantum.platform.plugins.module_utils._render import RenderError, render

try:  # up to ansible-core 2.18, whose templates make data of text that looks like it, but not of this kind of text
    from ansible.utils.native_jinja import NativeJinjaText as Text
except ImportError:
    Text = str


def allowlist(value: Any, format: str = "plain", stamp: str | None = None) -> str:
    """The endpoints as text in a format of _render. Raises AnsibleFilterError."""
    try:
        return Text(render(value, format, stamp))
    except RenderError as exc:
        raise AnsibleFilterError(f"allowlist: {exc}") from None


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"allowlist": allowlist}
