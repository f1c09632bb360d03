"""Removal of small regions from predictions."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.postprocessing import SmallRegionRemoval

NESTED = {"whole": (1, 2, 3), "core": (2, 3), "enhancing": 3}


class TestRemoval:
    @pytest.mark.parametrize(("voxels", "expected"), [(2, [0, 1, 2, 3, 3]), (3, [0, 1, 2, 2, 2])])
    def test_fewer_voxels_become_the_rest_of_the_region_around(self, voxels, expected):
        prediction = np.array([0, 1, 2, 3, 3])
        removal = SmallRegionRemoval.of("enhancing", voxels, NESTED)
        assert removal(prediction).tolist() == expected
        assert prediction.tolist() == [0, 1, 2, 3, 3]

    def test_core_becomes_oedema_and_all_of_the_tumour_background(self):
        prediction = np.array([0, 1, 2, 3, 3])
        assert SmallRegionRemoval.of("core", 9, NESTED)(prediction).tolist() == [0, 1, 1, 1, 1]
        assert SmallRegionRemoval.of("whole", 9, NESTED)(prediction).tolist() == [0] * 5

    def test_labels_become_background(self):
        removal = SmallRegionRemoval.of("tumor", 9, {"liver": 1, "tumor": 2})
        assert removal(np.array([1, 2, 0])).tolist() == [1, 0, 0]

    def test_it_says_what_it_does(self):
        text = SmallRegionRemoval.of("enhancing", 500, NESTED).convention
        assert "'enhancing' of fewer than 500 voxels" in text and "label 2" in text

    @pytest.mark.parametrize(("name", "voxels", "message"), [("tumor", 5, "no region"), ("core", 0, "1 or more")])
    def test_impossible_ones(self, name, voxels, message):
        with pytest.raises(SettingsError, match=message):
            SmallRegionRemoval.of(name, voxels, NESTED)
