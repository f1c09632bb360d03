"""PSNR and SSIM of completed images."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.evaluation.scores.image_quality import image_quality

SHAPE = (12, 14, 16)


@pytest.fixture
def real() -> np.ndarray:
    image = np.random.default_rng(0).normal(100, 20, SHAPE)
    image[:, :, :4] = 0
    return image


@pytest.fixture
def tumour() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[4:8, 4:8, 8:12] = True
    return mask


def noisy(image: np.ndarray, sd: float, where: np.ndarray | bool = True) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, sd, image.shape)
    return image + noise * (image != 0) * where


class TestImageQuality:
    def test_psnr_by_hand(self, real, tumour):
        completed = noisy(real, 10)
        brain = real != 0
        first, second = ((x - x[brain].mean()) / x[brain].std() for x in (completed, real))
        for place, mask in (("brain", brain), ("tumour", brain & tumour), ("healthy", brain & ~tumour)):
            mse = ((first - second)[mask] ** 2).mean()
            expected = 10 * np.log10(np.ptp(second[brain]) ** 2 / mse)
            assert image_quality(completed, real, tumour)[f"psnr_{place}"] == pytest.approx(expected)

    def test_the_scale_of_the_intensities_does_not_matter(self, real, tumour):
        completed = noisy(real, 10)
        scaled = np.where(real != 0, 3 * completed + 7, 0)
        assert image_quality(scaled, real, tumour) == pytest.approx(image_quality(completed, real, tumour))

    def test_more_noise_is_worse(self, real, tumour):
        good, bad = (image_quality(noisy(real, sd), real, tumour) for sd in (2, 20))
        assert all(good[key] > bad[key] for key in good)

    def test_an_error_in_the_tumour_shows_there(self, real, tumour):
        result = image_quality(noisy(real, 20, tumour), real, tumour)
        assert result["psnr_tumour"] < result["psnr_brain"] < result["psnr_healthy"]
        assert result["ssim_tumour"] < result["ssim_healthy"]

    def test_the_same_image(self, real, tumour):
        result = image_quality(real.copy(), real, tumour)
        assert result["ssim_brain"] == pytest.approx(1)
        assert np.isinf(result["psnr_brain"])

    def test_no_tumour(self, real):
        result = image_quality(noisy(real, 5), real, np.zeros(SHAPE, dtype=bool))
        assert np.isnan(result["psnr_tumour"]) and np.isnan(result["ssim_tumour"])
        assert result["psnr_healthy"] == result["psnr_brain"]
