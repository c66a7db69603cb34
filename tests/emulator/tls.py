# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private CA and a server certificate with every name that the emulator answers to."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.emulator.data import HOSTS

_CA_NAME = "Emulator of the IBM Quantum Platform, test CA"


def _write(path: Path, content: bytes, mode: int, keep: bool = False) -> None:
    """Write a file atomically; with ``keep``, leave a file that is there already (another process won the race)."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        os.fchmod(handle, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        if keep:
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        else:
            os.replace(name, path)
    finally:
        if os.path.exists(name):
            os.unlink(name)


def _pem(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _load(path: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    content = path.read_bytes()
    key = serialization.load_pem_private_key(content, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} was not made by the emulator")
    return key, x509.load_pem_x509_certificate(content)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _make_ca() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _CA_NAME)])
    certificate = (
        _builder(name, name, key, 3650)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pem(key, certificate)


def certificates(folder: Path, addresses: Iterable[str] = (), names: Iterable[str] = ()) -> tuple[Path, Path]:
    """Make or reuse the CA in ``folder``, make a server certificate. Returns (ca.pem, server.pem with its key).

    The server certificate has the catalogue's names, localhost, the loopback addresses, ``addresses`` and ``names``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca_key_file, ca_file, server_file = folder / "ca-key.pem", folder / "ca.pem", folder / "server.pem"
    if not ca_key_file.exists():
        _write(ca_key_file, _make_ca(), 0o600, keep=True)
    ca_key, ca = _load(ca_key_file)
    _write(ca_file, ca.public_bytes(serialization.Encoding.PEM), 0o644)
    own = {"127.0.0.1", "::1"}
    for address in addresses:
        if not ipaddress.ip_address(address).is_unspecified:
            own.add(address)
    subjects: list[x509.GeneralName] = [x509.DNSName(name) for name in ("localhost", *HOSTS, *names)]
    subjects += [x509.IPAddress(ipaddress.ip_address(address)) for address in sorted(own)]
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "emulator")]), ca.subject, key, 397)
        .add_extension(x509.SubjectAlternativeName(subjects), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    _write(server_file, _pem(key, certificate), 0o600)
    return ca_file, server_file
