"""SHA-256 of files, a part at a time: checkpoints and archives are large."""

from __future__ import annotations

import hashlib
import os

PART = 1 << 22
"""Bytes."""


def sha256_of(file: str | os.PathLike) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while part := stream.read(PART):
            digest.update(part)
    return digest.hexdigest()
