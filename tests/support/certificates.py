"""Authorities and certificates made on the spot."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PLAIN = serialization.NoEncryption()


@dataclass
class Pair:
    """Files of a certificate and its key."""

    certificate: str
    key: str

    @property
    def files(self):
        return self.certificate, self.key


class Authority:
    """Signs what it is asked to, into a folder."""

    def __init__(self, folder, name="authority"):
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        made = _builder(self.subject, self.subject, self.key, 1).add_extension(
            constraints, critical=True
        )
        self.certificate = made.sign(self.key, hashes.SHA256())
        self.file = str(_write(folder / f"{name}.pem", _pem(self.certificate)))

    def issue(self, name, *, until_days=1, since_days=-2, password=None):
        """A certificate for this machine's loopback address, and for clients."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, self.subject, key, until_days, since_days)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        uses = x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        builder = builder.add_extension(names, critical=False).add_extension(uses, critical=False)
        lock = PLAIN if password is None else serialization.BestAvailableEncryption(password)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock
        )
        signed = _pem(builder.sign(self.key, hashes.SHA256()))
        return Pair(
            str(_write(self.folder / f"{name}.pem", signed)),
            str(_write(self.folder / f"{name}.key", private)),
        )


def _builder(subject, issuer, key, until_days, since_days=-2):
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=since_days))
        .not_valid_after(now + timedelta(days=until_days))
    )


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path, content):
    path.write_bytes(content)
    return path
