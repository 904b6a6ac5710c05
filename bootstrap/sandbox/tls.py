"""The sandbox's own certificate authority, which exists as long as the sandbox."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class ServerCertificate:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    private_key: bytes


class Issuer:
    """The key and the certificate of an authority, and the server certificates that it has signed.

    The private key is in memory only.

    Attributes:
        certificate: what clients trust, as PEM.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pullkey sandbox authority")])
        self._root = (
            self._builder(name, name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(sign_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = self._root.public_bytes(serialization.Encoding.PEM)
        self._issued: dict[tuple[str, ...], ServerCertificate] = {}
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}

    def issue(self, hosts: Iterable[str]) -> ServerCertificate:
        """The certificate for host names (also wildcards, `*.example.com`) and addresses."""
        names = tuple(dict.fromkeys(hosts))
        if names not in self._issued:
            self._issued[names] = self._signed(names)
        return self._issued[names]

    def server_context(self, hosts: Iterable[str], directory: Path) -> ssl.SSLContext:
        """The server-side TLS context for these hosts; `directory` is a private one."""
        names = tuple(dict.fromkeys(hosts))
        if names not in self._contexts:
            issued = self.issue(names)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            # The ssl module loads keys from files only.
            path = directory / "server.pem"
            path.touch(mode=0o600)
            path.write_bytes(issued.private_key + issued.certificate)
            try:
                context.load_cert_chain(path)
            finally:
                path.unlink()
            self._contexts[names] = context
        return self._contexts[names]

    def _signed(self, names: Iterable[str]) -> ServerCertificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pullkey sandbox")])
        authority_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        certificate = (
            self._builder(subject, self._root.subject, key.public_key())
            .add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return ServerCertificate(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    @staticmethod
    def _builder(
        subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


class CertificateAuthority:
    """The authority of one sandbox. Clients that trust the certificate at the path `bundle` accept what it
    signs.

    Args:
        directory: the sandbox's, which is private and temporary.
        issuer: signs for it; one of its own by default. Sandboxes of one process can share one.
    """

    def __init__(self, directory: Path, issuer: Issuer | None = None) -> None:
        self._directory = directory
        self._issuer = issuer or Issuer()
        self.bundle = directory / "ca.pem"
        self.bundle.write_bytes(self._issuer.certificate)

    def issue(self, hosts: Iterable[str]) -> ServerCertificate:
        """The certificate for host names (also wildcards, `*.example.com`) and addresses."""
        return self._issuer.issue(hosts)

    def server_context(self, hosts: Iterable[str]) -> ssl.SSLContext:
        """The server-side TLS context for these hosts."""
        return self._issuer.server_context(hosts, self._directory)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
