"""A key pair that is created here: Google gets only the public key, in a certificate that expires.

Sources: "Upload service account keys" (an RSA key of 2048 bits or more in an X.509 v3 certificate; a generic
subject, because the certificate is public: Google's own example is `/CN=unused`); the form of the key file is
that of Google's own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bootstrap.model import clock
from bootstrap.model.secret import Secret

# The clocks here and at Google differ a little: a certificate from now on may not be valid there yet.
_BEGINS_BEFORE = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class KeyPair:
    """A new RSA key of 2048 bits.

    Attributes:
        private: the private key, in PEM.
        certificate: the public key, in a self-signed certificate, in PEM; not secret.
        fingerprint: of the public key, which identifies the key.
        expires: when the certificate expires.
    """

    private: Secret
    certificate: bytes
    fingerprint: str
    expires: dt.datetime


def make_pair(life: dt.timedelta, serial: int) -> KeyPair:
    """Create a pair whose certificate has that serial number and is valid for `life`; takes some tens of
    milliseconds.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    begins = clock.now().replace(microsecond=0) - _BEGINS_BEFORE
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "unused")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begins)
        # Not longer than requested: Google and organisation policies limit the whole span.
        .not_valid_after(begins + life)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(
        private=Secret(private.decode()),
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        fingerprint=_fingerprint(key.public_key()),
        expires=begins + life,
    )


def fingerprint_of(public_key_data: bytes) -> str:
    """The fingerprint of a public key in PEM, as a certificate or bare; "" for anything else."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        if b"BEGIN CERTIFICATE" in public_key_data:
            return _fingerprint(x509.load_pem_x509_certificate(public_key_data).public_key())
        return _fingerprint(serialization.load_pem_public_key(public_key_data))
    except ValueError:
        return ""


def _fingerprint(public_key: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    der = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def key_file(private: Secret, account: Any, key_id: str) -> Secret:
    """The JSON key file of an uploaded key, in one line; Google creates files only for its own keys."""
    fields = {
        "type": "service_account",
        "project_id": account.project_id,
        "private_key_id": key_id,
        "private_key": private.reveal(),
        "client_email": account.email,
        "client_id": account.unique_id,
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{quote(account.email, safe='')}",  # noqa: E501
        "universe_domain": "googleapis.com",
    }
    return Secret(json.dumps(fields, separators=(",", ":")))


SCRIPT = """\
KEY_FOLDER="$(mktemp -d)"
trap 'rm -rf "$KEY_FOLDER"' EXIT
openssl req -x509 -nodes -newkey rsa:2048 -days "$DAYS" -subj /CN=unused \\
  -keyout "$KEY_FOLDER/private.pem" -out "$KEY_FOLDER/certificate.pem" 2>/dev/null
KEY_ID="$(gcloud iam service-accounts keys upload "$KEY_FOLDER/certificate.pem" --iam-account="$EMAIL" --format='value(name.basename())')"
CLIENT_ID="$(gcloud iam service-accounts describe "$EMAIL" --format='value(uniqueId)')"
KEY_PROJECT="$(gcloud iam service-accounts describe "$EMAIL" --format='value(projectId)')"
KEY_FILE="$KEY_FOLDER/keyfile.json"
{
  printf '{"type":"service_account","project_id":"%s","private_key_id":"%s","private_key":"' "$KEY_PROJECT" "$KEY_ID"
  awk '{printf "%s\\\\n", $0}' "$KEY_FOLDER/private.pem"
  printf '","client_email":"%s","client_id":"%s",' "$EMAIL" "$CLIENT_ID"
  printf '"auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token",'
  printf '"auth_provider_x509_cert_url":"https://www.googleapis.com/oauth2/v1/certs",'
  printf '"client_x509_cert_url":"https://www.googleapis.com/robot/v1/metadata/x509/%s",' "${EMAIL/@/%40}"
  printf '"universe_domain":"googleapis.com"}'
} > "$KEY_FILE"
echo "The key is $KEY_ID\""""  # noqa: E501
# A trap would stay set in the user's shell.
TYPED = "\n".join(line for line in SCRIPT.splitlines() if not line.startswith(("trap ", "echo ")))
