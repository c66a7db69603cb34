# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lookups that call IBM share: options checked as those of a module, errors in one clear line.

Note: this plugin_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Callable

from ansible.errors import AnsibleLookupError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import CONNECTION_SPEC

display = Display()


class _Options:
    """The lookup's options in the shape that a module gives them, see ``_module.ModuleLike``."""

    check_mode = False

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.no_log_values: set[str] = set()

    def warn(self, warning: str) -> None:
        display.warning(warning)

    def progress(self, text: str) -> None:
        display.display(text)


def ask(
    lookup: LookupBase,
    name: str,
    own_spec: dict[str, dict[str, Any]],
    question: Callable[[Client, dict[str, Any]], str],
) -> list[str]:
    """The answer to a question to IBM, which gets a client and the checked options. Raises AnsibleLookupError."""
    given = {option: value for option, value in lookup.get_options().items() if value is not None}
    given.pop("_terms", None)
    validated = ArgumentSpecValidator({**CONNECTION_SPEC, **own_spec}).validate(given)
    if validated.error_messages:
        raise AnsibleLookupError(f"{name}: {validated.errors.msg}")
    params = validated.validated_parameters
    try:
        return [question(Client(_Options(params)), params)]
    except (ApiError, OptionError) as exc:
        raise AnsibleLookupError(f"{name}: {exc}") from None
