# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # The options that choose from the catalogue; _endpoints holds the same, a unit test compares them.
    DOCUMENTATION = r"""
options:
  regions:
    description:
      - The regions of IBM Quantum whose endpoints are meant.
    type: list
    elements: str
    choices: [us-east, eu-de]
    default: [us-east]
  features:
    description:
      - What the host is to do, which decides on the endpoints. An empty list stands for none of IBM's endpoints.
      - The default is IBM's firewall list without its preview and private names.
    type: list
    elements: str
    choices:
      rest: Token exchange and the Runtime REST API; enough for a host that knows its instance's CRN.
      cloud: Finding instances by name, with IBM Cloud, Global Search, Global Catalog and Resource Controller.
      storage: IBM Cloud Object Storage as IBM lists it; for eu-de that is the name for hosts inside an IBM VPC.
      storage_public: The public object storage name of eu-de, for hosts outside IBM Cloud.
      functions: Qiskit Functions (preview).
      private: The private endpoints, for hosts in an IBM Cloud VPC.
    default: [rest, cloud, storage]
"""
