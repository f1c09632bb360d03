"""What tests of whole predictions share."""

from __future__ import annotations

import pytest
from helpers.tiny_model import write_case


@pytest.fixture
def images(tmp_path):
    """A folder with a case of T1 and T2, and one of T1c, whose name begins with the other's."""
    folder = tmp_path / "images"
    write_case(folder, "a", present=(0, 2))
    write_case(folder, "a_b", present=(1,), seed=1)
    return folder
