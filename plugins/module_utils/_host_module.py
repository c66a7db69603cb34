# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A module of a host that is given secrets within lists and dictionaries. Needs nothing but Ansible's own basic module.

Its argument spec has ``no_log`` on such an option as a whole: the invocation that goes to the host's journal is a
repr() of it, in which a value with a quote or a backslash would not be recognised. Then it is told what is secret.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable
from urllib.parse import unquote

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import FormatError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import Refused


class HostModule(AnsibleModule):
    """Ansible's module, but no result repeats the ``hidden`` options, and only the secrets in them are censored.

    In arguments of a wrong shape, such as NAME=VALUE in one string, Ansible would not recognise the secrets.
    """

    def __init__(
        self,
        argument_spec: dict[str, Any],
        hidden: tuple[str, ...],
        secrets: Callable[[dict[str, Any]], Iterable[str | None]],
    ) -> None:
        self._hidden = hidden
        super().__init__(argument_spec=argument_spec, supports_check_mode=True)
        self.no_log_values.clear()
        self.no_log_values.update(secret for secret in secrets(self.params) if secret)

    def fail_json(self, msg: str, **kwargs: Any) -> None:
        self._forget()
        super().fail_json(msg, **kwargs)

    def exit_json(self, **kwargs: Any) -> None:
        self._forget()
        super().exit_json(**kwargs)

    def carry_out(self, run: Callable[[Any], dict[str, Any]]) -> None:
        """Run the module's work and end; what it raises becomes one clear message."""
        try:
            result = run(self)
        except (OptionError, FormatError, Refused) as error:
            self.fail_json(msg=str(error))
        except OSError as error:
            self.fail_json(msg=f"Cannot write {error.filename or 'the files'}: {error.strerror or error}")
        else:
            if result.get("failed"):
                self.fail_json(**result)
            self.exit_json(**result)

    def _forget(self) -> None:
        for name in self._hidden:
            self.params.pop(name, None)


def proxy_secrets(params: dict[str, Any]) -> list[str | None]:
    """What is secret about the option ``proxy``: nothing without a password, and then the URL may be shown."""
    url, at, _host = (params["proxy"] or "").rpartition("@")
    password = url.rpartition("/")[2].partition(":")[2] or url
    return [params["proxy"], password, unquote(password)] if at else []


def diff_rows(changes: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
    """The ``diff`` of a result, of (path, before, after)."""
    return [
        {"before_header": path, "after_header": path, "before": before, "after": after}
        for path, before, after in changes
    ]
