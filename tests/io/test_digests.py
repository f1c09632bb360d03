"""SHA-256 of files."""

from __future__ import annotations

import hashlib

import pytest

from nnunet_hetero.io.digests import PART, sha256_of


@pytest.mark.parametrize("size", [0, 1, PART, 2 * PART + 3])
def test_of_all_parts(tmp_path, size):
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()
