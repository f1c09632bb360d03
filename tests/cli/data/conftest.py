"""A model that cases are made ready for."""

from __future__ import annotations

import pytest
from helpers.cohorts.moved_case import write_model_of_phantoms


@pytest.fixture
def model(tiny_model, tmp_path):
    """See `write_model_of_phantoms`."""
    return write_model_of_phantoms(tiny_model.folder, tmp_path / "model")
