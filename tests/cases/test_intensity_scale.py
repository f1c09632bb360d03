"""From preprocessed intensities back to those of images."""

from __future__ import annotations

import numpy as np

from nnunet_hetero.cases.intensity_scale import (
    COHORT_UNITS,
    NORMALISED_UNITS,
    intensity_scales,
    mean_moments,
)
from nnunet_hetero.cases.tissue import FOREGROUND
from nnunet_hetero.inference.output.completed_images import restored
from nnunet_hetero.modalities import Modalities

MODALITIES = Modalities(("T1", "CT", "RGB", "PET", "T2", "ADC"))
SCHEMES = ["ZScoreNormalization", "CTNormalization", "RGBTo01Normalization", "NoNormalization"]
SCHEMES += ["ZScoreNormalization", "RescaleTo01Normalization"]


class TestIntensities:
    def test_each_scheme_is_undone_where_it_can_be(self):
        foreground = {"1": {"mean": 40.0, "std": 20.0, "percentile_00_5": -80.0}}
        scales = intensity_scales(SCHEMES, MODALITIES, foreground, {"T1": {"mean": 5.0, "sd": 2.0}})
        assert [(scale.mean, scale.sd) for scale in scales] == [(5, 2), (40, 20), (0, 255), (0, 1), (0, 1), (0, 1)]
        assert [scale.units for scale in scales] == [COHORT_UNITS] * 4 + [NORMALISED_UNITS] * 2
        assert [scale.background for scale in scales] == [0, -80, 0, 0, 0, 0]

    def test_mean_over_folds(self):
        folds = [{"T1": {"mean": 1.0, "sd": 2.0}, "T2": {"mean": 7.0, "sd": 1.0}}, {"T1": {"mean": 3.0, "sd": 4.0}}]
        found = mean_moments(folds)
        assert found["T1"] == {"mean": 2.0, "sd": 3.0, "cases": 2}
        assert found["T2"] == {"mean": 7.0, "sd": 1.0, "cases": 1}

    def test_restored(self):
        images = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
        present = np.zeros((2, 3, 4, 5), np.float32)
        present[0, 1:, 1:, 1:] = 3
        present[1, 0, 0, 0] = -1
        of_ct = {"mean": 1.0, "std": 2.0, "percentile_00_5": -70.0}
        scales = intensity_scales(SCHEMES[:2], Modalities(("T1", "CT")), {"1": of_ct}, None)
        inside = (present != 0).any(axis=0)
        found = restored(images, scales, {FOREGROUND: np.packbits(inside)})
        assert found.dtype == np.float32 and (found[0][~inside] == 0).all() and (found[1][~inside] == -70).all()
        np.testing.assert_allclose(found[1][inside], images[1][inside] * 2 + 1)
