// Copyright: (c) 2026, ibm_quantum.platform contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// A Bell circuit, transpiled for IBM's processors with the gates rz, sx and cz: on the connected qubits 0 and 1.
OPENQASM 3.0;
include "stdgates.inc";
bit[2] meas;
rz(pi/2) $0;
sx $0;
rz(pi/2) $0;
rz(pi/2) $1;
sx $1;
rz(pi/2) $1;
cz $0, $1;
rz(pi/2) $1;
sx $1;
rz(pi/2) $1;
barrier $0, $1;
meas[0] = measure $0;
meas[1] = measure $1;
