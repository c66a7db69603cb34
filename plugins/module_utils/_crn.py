# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Cloud Resource Names, IBM Cloud's identifiers. Standard library only.

Source: IBM Cloud documentation "Cloud Resource Names":
``crn:v1:CNAME:CTYPE:SERVICE:REGION:SCOPE:INSTANCE:RESOURCE_TYPE:RESOURCE``, ten segments, the scope of an account
being ``a/`` and 32 hexadecimal digits.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import REGIONS

SERVICE = "quantum-computing"
_SHAPE = "crn:v1:bluemix:public:quantum-computing:REGION:a/ACCOUNT:GUID::"


class InvalidCrn(ValueError):
    """Not a CRN, or not one of a quantum instance; the text says what is wrong and what is expected."""


class Crn(NamedTuple):
    """The ten segments of a CRN without the leading ``crn``."""

    version: str
    cname: str
    ctype: str
    service_name: str
    region: str
    scope: str
    service_instance: str
    resource_type: str
    resource: str

    @property
    def account_id(self) -> str:
        """The account, without the ``a/`` of its scope; empty where the scope is no account."""
        return self.scope[2:] if self.scope.startswith("a/") else ""

    def __str__(self) -> str:
        return ":".join(("crn",) + tuple(self))


def parse(text: str) -> Crn:
    """Split a CRN. Raises :class:`InvalidCrn`."""
    segments = text.strip().split(":", 9)
    if segments[0] != "crn":  # the text is not repeated: an API key often lands where the CRN belongs
        raise InvalidCrn(f"not a CRN: it must look like {_SHAPE} (copy it from the instances page)")
    if len(segments) != 10:
        raise InvalidCrn(
            f"the CRN {text!r} has {len(segments)} segments instead of 10: it must look like {_SHAPE}, "
            "with the two colons at the end"
        )
    return Crn(*segments[1:])


def parse_instance(text: str) -> Crn:
    """Parse the CRN of an IBM Quantum instance. Raises :class:`InvalidCrn`, also for an unknown region."""
    crn = parse(text)
    if crn.service_name != SERVICE:
        raise InvalidCrn(f"the CRN is one of the service {crn.service_name!r}, not of {SERVICE!r}")
    if crn.region not in REGIONS:
        raise InvalidCrn(f"the CRN's region {crn.region!r} is unknown: IBM Quantum has {', '.join(REGIONS)}")
    if not crn.account_id or not crn.service_instance:
        missing = "instance" if crn.account_id else "account"
        raise InvalidCrn(f"the CRN names no {missing}: it must look like {_SHAPE}")
    return crn
