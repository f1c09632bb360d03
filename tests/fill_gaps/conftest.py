"""The data set with gaps that the tests of this room fill."""

from __future__ import annotations

import pytest
from helpers.cohorts.gaps import write_dataset


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "Dataset501_Gaps")
