"""The certificate of a run, for TLS between a scheduler, its workers and us."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from distributed.security import Security

AHEAD, VALID = timedelta(days=1), timedelta(days=365)
"""It is valid from a day ago: a node whose clock is some seconds behind ours would refuse one of now, for good."""


def new_certificate() -> Security:
    """A key and a certificate that signs itself, in memory, for all roles.

    Dask's ``Security.temporary`` makes the same, valid from the moment on.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nnunet_hetero")])
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - AHEAD).not_valid_after(now + VALID)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    roles = ("client", "scheduler", "worker")
    files = {f"tls_{role}_cert": certificate for role in roles} | {f"tls_{role}_key": secret for role in roles}
    return Security(require_encryption=True, tls_ca_file=certificate, **files)
