# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The file that holds the results of a job, byte for byte as IBM sent them.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import File, unlink, write

_MODE = 0o600  # results may be confidential; who wants them wider says so with ansible.builtin.file


class ResultFile:
    """One file. All methods raise OptionError where it cannot be used; ``option`` is the one to look at."""

    def __init__(self, path: str, option: str = "result_file") -> None:
        self.path = os.path.abspath(path)
        self._option = option

    def prepare(self) -> None:
        """Make sure that it can be written, before results are read that IBM sends only once."""
        probe = f"{self.path}.{os.getpid()}.tmp"
        try:
            if os.path.isdir(self.path):
                raise IsADirectoryError(0, "it is a folder")
            if os.path.lexists(self.path) and not os.path.isfile(self.path):
                raise OSError(0, "it is no file")
            unlink(probe)
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
            unlink(probe)
        except OSError as error:
            raise self._unusable(error, "written") from None

    def read(self) -> str | None:
        """What it holds; None where there is no file."""
        try:
            with open(self.path, encoding="utf-8", newline="") as stream:
                return stream.read()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            return ""  # it is no result
        except OSError as error:
            raise self._unusable(error, "read") from None

    def save(self, text: str) -> bool:
        """Write results, all or nothing; whether that changed the file."""
        if self.read() == text:
            return False
        try:
            write(self.path, None, File(text.encode("utf-8"), _MODE, os.geteuid(), -1))
        except OSError as error:
            raise self._unusable(error, "written") from None
        return True

    def _unusable(self, error: OSError, verb: str) -> OptionError:
        return OptionError(f"{self._option!r}: {self.path} cannot be {verb} ({error.strerror}): give another path")
