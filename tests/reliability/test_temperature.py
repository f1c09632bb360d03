import numpy as np
import pytest
from scipy.special import expit

from nnunet_hetero.reliability.temperature import (
    BINS,
    calibration_error,
    fitted_temperature,
    loss,
    reliability,
    scaled,
    shrunk,
    voxel_counts,
)


def voxels(temperature: float, number: int = 20000, seed: int = 0) -> np.ndarray:
    """Counts of a model whose logits are too large by a factor."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=number)
    truth = rng.uniform(size=number) < expit(logits)
    return voxel_counts(expit(logits * temperature), truth)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found(temperature):
    counts = voxels(temperature)
    found = fitted_temperature([counts])
    assert found == pytest.approx(temperature, rel=0.05)
    assert loss(counts, found) <= min(loss(counts, found * 1.1), loss(counts, found / 1.1))
    assert calibration_error(counts, found) < 0.01


def test_each_case_has_equal_weight():
    sharp, blunt = voxels(3.0, 400), voxels(0.5, 40000)
    assert fitted_temperature([sharp, blunt]) == pytest.approx(fitted_temperature([sharp * 100, blunt]), rel=1e-3)


def test_without_voxels_nothing_is_changed():
    assert fitted_temperature([]) == 1.0
    assert fitted_temperature([np.zeros((2, BINS), int)]) == 1.0


def test_a_decision_is_never_changed():
    probability = np.linspace(0, 1, 101)
    for temperature in (0.2, 1.0, 5.0):
        found = scaled(probability, temperature)
        np.testing.assert_array_equal(found > 0.5, probability > 0.5)
        assert np.all(np.diff(found) > 0) or temperature < 1  # in order, up to rounding at the ends
    np.testing.assert_allclose(scaled(probability, 1.0), probability, atol=1e-6)


def test_few_patients_take_the_temperature_of_all():
    assert shrunk(4.0, 1.0, 0) == 1.0
    assert 1.0 < shrunk(4.0, 1.0, 5) < shrunk(4.0, 1.0, 50) < 4.0


def test_reliability_counts_every_voxel_once():
    counts = voxels(1.0, 5000)
    count, probability, inside = reliability(counts)
    assert count.sum() == 5000
    assert inside.sum() == counts[1].sum()
    np.testing.assert_allclose(probability / count, np.arange(0.05, 1, 0.1), atol=0.05)
