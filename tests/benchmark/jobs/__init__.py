# Copyright: (c) 2026, ibm_quantum.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
