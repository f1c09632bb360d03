"""The phantom keeps a missing-modality task honest: each image carries what it carries in the clinic.

A quadratic discriminant on single voxels, fitted on some patients and tested on others, says how much each set of
images knows. It sees no shape and no place, so what it cannot tell apart has to be inferred from context.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from nnunet_hetero.dataset_conversion.phantom import make_phantom

MODALITIES = ("t1", "t1ce", "t2", "flair")
WITHOUT_T1C = ("t1", "t2", "flair")


def _voxels(indices: range) -> tuple[np.ndarray, np.ndarray]:
    """Brain voxels of several patients: z-scored intensities (N, 4) and raw labels (N,)."""
    features, labels = [], []
    for index in indices:
        patient = make_phantom(index, size=48, seed=11)
        brain = patient["t1"] > 0
        images = np.stack([patient[modality][brain].astype(float) for modality in MODALITIES], axis=1)
        features.append((images - images.mean(0)) / images.std(0))
        labels.append(patient["seg"][brain])
    return np.concatenate(features), np.concatenate(labels)


@pytest.fixture(scope="module")
def cohort() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Voxels to fit on and voxels to test on."""
    return _voxels(range(1, 6)), _voxels(range(6, 11))


def _log_density(samples: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Log density, up to a constant, at `points` (P, M) of the Gaussian fitted to `samples` (N, M)."""
    covariance = np.atleast_2d(np.cov(samples.T))
    offset = points - samples.mean(0)
    distance = np.einsum("pi,ij,pj->p", offset, np.linalg.inv(covariance), offset)
    return -0.5 * (distance + np.linalg.slogdet(covariance)[1])


def _auc(cohort, modalities: tuple[str, ...], positive: int, negatives: tuple[int, ...]) -> float:
    """Area under the ROC curve for label `positive` against the labels `negatives` on unseen patients."""
    (x_fit, y_fit), (x_test, y_test) = cohort
    columns = [MODALITIES.index(modality) for modality in modalities]
    x_fit, x_test = x_fit[:, columns], x_test[:, columns]
    chosen = np.isin(y_test, (positive, *negatives))
    x_test, truth = x_test[chosen], y_test[chosen] == positive
    score = _log_density(x_fit[y_fit == positive], x_test) - _log_density(x_fit[np.isin(y_fit, negatives)], x_test)
    ranks, hits = rankdata(score), truth.sum()
    return float((ranks[truth].sum() - hits * (hits + 1) / 2) / (hits * (len(truth) - hits)))


class TestEnhancingTumour:
    def test_t1c_shows_it(self, cohort):
        assert _auc(cohort, ("t1ce",), 4, (1, 2)) > 0.97

    @pytest.mark.parametrize("modality", WITHOUT_T1C)
    def test_no_other_image_alone_does(self, cohort, modality):
        assert 0.5 < _auc(cohort, (modality,), 4, (1, 2)) < 0.8

    def test_all_others_together_barely_do(self, cohort):
        others = _auc(cohort, WITHOUT_T1C, 4, (1, 2))
        assert 0.6 < others < 0.85
        assert _auc(cohort, MODALITIES, 4, (1, 2)) > others + 0.12


class TestOedema:
    def test_flair_shows_it_best(self, cohort):
        auc = {modality: _auc(cohort, (modality,), 2, (0,)) for modality in MODALITIES}
        assert auc["flair"] > 0.95
        assert all(auc["flair"] > value + 0.04 for modality, value in auc.items() if modality != "flair")

    @pytest.mark.parametrize("modality", ["t1", "t1ce", "t2"])
    def test_every_image_knows_something_of_it(self, cohort, modality):
        assert _auc(cohort, (modality,), 2, (0,)) > 0.65


class TestNecrosis:
    @pytest.mark.parametrize("modality", MODALITIES)
    def test_every_image_tells_it_from_the_rest_of_the_tumour(self, cohort, modality):
        assert _auc(cohort, (modality,), 1, (2, 4)) > 0.75
