import numpy as np
import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.reliability.conformal import interval, patients_needed, rank_of, require_level


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5, float("nan")])
def test_impossible_levels(level):
    with pytest.raises(SettingsError, match="greater than 0 and less than 1"):
        require_level(level)


def test_a_level_that_would_be_shown_as_certain():
    with pytest.raises(SettingsError, match=r"0\.9999999999; it must be at most 0\.999999"):
        require_level(0.9999999999)
    assert f"{require_level(0.999999):.6g}" == "0.999999"  # as tables show it


@pytest.mark.parametrize("level", [1e-12, 0.01, 0.5, 0.8, 0.9, 0.95, 0.99])
def test_fewer_patients_than_needed_give_no_interval(level):
    needed = patients_needed(level)
    scores = np.arange(1.0, needed + 1)
    assert needed >= 1
    limits = interval(scores, np.zeros(needed), np.ones(needed), level)
    assert limits == (-needed, needed)  # with just enough it is the largest score
    if needed > 1:
        assert interval(scores[1:], np.zeros(needed - 1), np.ones(needed - 1), level) is None


def test_ranks_are_exact_whatever_floats_do():
    for patients in range(9, 500, 10):
        assert rank_of(0.9, patients) == (patients + 1) * 9 // 10


def test_no_patient_gives_no_interval():
    assert interval(np.array([]), np.array([]), np.array([]), 0.9) is None


def test_split_conformal_is_that_of_an_independent_library():
    crepes = pytest.importorskip("crepes")
    rng = np.random.default_rng(0)
    for patients in (10, 20, 57):
        residuals, sigmas = rng.normal(size=patients), rng.uniform(0.1, 1, patients)
        regressor = crepes.ConformalRegressor().fit(residuals=residuals, sigmas=sigmas)
        prediction, width = rng.normal(), rng.uniform(0.1, 1)
        theirs = regressor.predict_int(y_hat=np.array([prediction]), sigmas=np.array([width]), confidence=0.9)
        scores = np.abs(residuals) / sigmas
        ours = interval(scores, np.full(patients, prediction), np.full(patients, width), 0.9)
        np.testing.assert_allclose(ours, theirs[0], rtol=1e-12)


def test_cv_plus_by_its_definition():
    """Barber et al. 2021, eq. (9): order statistics of the single predictions minus and plus the residuals."""
    rng = np.random.default_rng(1)
    scores, predictions, widths = rng.exponential(size=25), rng.normal(size=25), rng.uniform(0.5, 2, 25)
    lower = sorted(m - s * w for m, s, w in zip(predictions, scores, widths, strict=True))
    upper = sorted(m + s * w for m, s, w in zip(predictions, scores, widths, strict=True))
    # ⌊0.1 · 26⌋ = 2 and ⌈0.9 · 26⌉ = 24
    assert interval(scores, predictions, widths, 0.9) == pytest.approx((lower[1], upper[23]))


def test_split_coverage_is_what_is_promised():
    """2000 data sets of 30 patients and a new one each: k/(n+1) of the new ones are covered, k the quantile's rank."""
    rng = np.random.default_rng(2)
    sets, patients, level = 2000, 30, 0.9
    widths = rng.uniform(0.1, 1, (sets, patients + 1))
    truths = rng.standard_t(3, (sets, patients + 1)) * widths
    covered = 0
    for truth, width in zip(truths, widths, strict=True):
        scores = np.abs(truth[:-1]) / width[:-1]
        low, high = interval(scores, np.zeros(patients), np.full(patients, width[-1]), level)
        covered += low <= truth[-1] <= high
    expected = rank_of(level, patients) / (patients + 1)
    assert expected >= level
    assert abs(covered / sets - expected) < 3 * np.sqrt(expected * (1 - expected) / sets)


def test_cv_plus_coverage_is_near_its_level():
    """2000 data sets, the mean as the model, 5 folds of 6 patients: at least the level within binomial error."""
    rng = np.random.default_rng(3)
    sets, folds, of_fold, level = 2000, 5, 6, 0.9
    data = rng.normal(size=(sets, folds, of_fold))
    new = rng.normal(size=sets)
    totals = data.sum(axis=(1, 2))
    models = (totals[:, None] - data.sum(axis=2)) / ((folds - 1) * of_fold)  # the mean of the other folds
    covered = 0
    for one, model, truth in zip(data, models, new, strict=True):
        scores = np.abs(one - model[:, None]).ravel()
        low, high = interval(scores, np.repeat(model, of_fold), np.ones(folds * of_fold), level)
        covered += low <= truth <= high
    deviation = np.sqrt(level * (1 - level) / sets)
    assert covered / sets > level - 3 * deviation
    assert covered / sets < 0.97  # and not by being far too wide
