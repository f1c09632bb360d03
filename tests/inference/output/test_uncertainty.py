"""The table of how sure the model is."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.inference.output.uncertainty import uncertainty_row


def test_one_plain_column_per_region_in_the_maps_order():
    row = uncertainty_row(["whole tumor", "enhancing tumor"], np.array([0.25, 1.0], np.float32))
    assert row == {"whole_tumor_disagreement": 0.25, "enhancing_tumor_disagreement": 1.0}
    assert all(type(value) is float for value in row.values())


def test_a_number_without_its_region_is_no_row():
    with pytest.raises(ValueError, match="zip"):
        uncertainty_row(["whole tumor"], np.array([0.25, 1.0]))
