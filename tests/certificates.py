"""Self-signed certificates for servers of tests."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def self_signed(*names: str, is_rsa: bool = False, is_authority: bool = False) -> tuple[bytes, bytes]:
    """(certificate, private key) in PEM, for host names and addresses; good for an hour."""
    key = rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([_name(each) for each in names]), critical=False)
    )
    if is_authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    made = builder.sign(key, hashes.SHA256()).public_bytes(pem)
    return made, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)


def server_context(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """(of a server, file with its certificate)."""
    certificate, key = self_signed(*names)
    (folder / "both.pem").write_bytes(key + certificate)
    (folder / "trusted.pem").write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context, folder / "trusted.pem"


def chain(folder: Path, *names: str) -> tuple[Path, Path]:
    """(file of a server: key, its certificate and that of who signed it; file with the root), as public servers have
    them: RSA, three deep, with the usual extensions."""
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(3)]
    pem = serialization.Encoding.PEM
    now = datetime.datetime.now(datetime.UTC)
    made = []
    for at, common in enumerate(("Root of tests", "Authority of tests", names[0])):
        issuer = "Root of tests" if at < 2 else "Authority of tests"
        signer = keys[max(0, at - 1)]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(keys[at].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=at < 2, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[at].public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if at == 2:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(each) for each in names]), critical=False
            ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        made.append(builder.sign(signer, hashes.SHA256()).public_bytes(pem))
    key = keys[2].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(key + made[2] + made[1])
    (folder / "root.pem").write_bytes(made[0])
    return folder / "server.pem", folder / "root.pem"


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
