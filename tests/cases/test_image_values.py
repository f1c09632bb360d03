"""What the values of an image say: refused, absent, or an image."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.cases.image_values import (
    CONSTANT,
    EMPTY,
    absence,
    doubts,
    is_like_labels,
    is_two_valued,
    require_usable,
)
from nnunet_hetero.errors import DataError

SHAPE = (12, 14, 16)


def noise(dtype=np.float64) -> np.ndarray:
    return np.random.default_rng(0).normal(100, 20, SHAPE).astype(dtype)


def with_voxel(value: float, dtype=np.float64) -> np.ndarray:
    image = noise(dtype)
    image[2, 3, 4] = value
    return image


class TestAbsence:
    @pytest.mark.parametrize(
        ("image", "reason"),
        [
            (np.zeros(SHAPE), EMPTY),
            (np.zeros((0, 3, 4)), EMPTY),
            (np.full(SHAPE, 7, np.uint8), CONSTANT),
            (np.full(SHAPE, -1000.0), CONSTANT),
            (np.full(SHAPE, np.float32(0.1)), CONSTANT),
            # What resampling leaves of a constant image.
            (1000 + 1e-5 * np.random.default_rng(0).normal(size=SHAPE), CONSTANT),
            (noise(), None),
            (noise(np.float32) * 1e-12, None),
            (1000 + np.random.default_rng(0).normal(size=SHAPE), None),
        ],
    )
    def test_reason(self, image, reason):
        assert absence(image) == reason

    def test_mask_has_two_values(self):
        mask = np.zeros(SHAPE, np.uint8)
        assert not is_two_valued(mask)
        mask[3:6] = 9
        assert is_two_valued(mask)
        mask[4, 4, 4] = 8
        assert not is_two_valued(mask)
        assert not is_two_valued(np.ones(SHAPE))

    def test_label_map_has_few_whole_numbers(self):
        labels = np.zeros(SHAPE, np.float32)
        assert not is_like_labels(labels)
        labels[2:5], labels[3, 3, 3] = 1, 4
        assert is_like_labels(labels)
        assert not is_like_labels(labels + 1)  # no background
        assert not is_like_labels(labels * 0.3) and not is_like_labels(-labels) and not is_like_labels(labels * 100)
        assert not is_like_labels(np.arange(labels.size).reshape(SHAPE) % 200)

    def test_copy_of_another_modality(self):
        image = noise(np.float32)
        assert doubts(image, {}) is None and doubts(image, {"T1": image + 1}) is None
        assert doubts(image, {"T2": image + 1, "T1": image.copy()}).startswith("is voxel by voxel the same as T1.")


class TestUsable:
    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (with_voxel(np.nan), r"has 1 voxel\(s\) that are NaN or infinite as float32.*voxel \(2, 3, 4\) is nan"),
            (with_voxel(-np.inf, np.float32), r"voxel \(2, 3, 4\) is -inf"),
            (with_voxel(1e39), r"voxel \(2, 3, 4\) is 1e\+39"),
            (with_voxel(-1e39), r"voxel \(2, 3, 4\) is -1e\+39"),
            (with_voxel(3e38, np.float32), r"standard deviation is not finite.*voxel \(2, 3, 4\) is 3e\+38"),
            (with_voxel(2e19), r"standard deviation is not finite.*voxel \(2, 3, 4\) is 2e\+19"),
            (with_voxel(1e15), r"more than 100000 times larger.*voxel \(2, 3, 4\) is 1e\+15, others up to 1"),
        ],
    )
    def test_refused_with_voxel_and_value(self, image, message):
        with pytest.raises(DataError, match=f"^file f {message}|^file f has .*{message}"):
            require_usable(image, "file f")

    def test_voxel_as_viewers_name_it(self):
        with pytest.raises(DataError, match=r"voxel \(4, 3, 2\)"):
            require_usable(with_voxel(np.nan), "file f", reverse=True)

    @pytest.mark.parametrize(
        "image",
        [
            noise(),
            noise(np.float32) * 1e15,
            np.zeros(SHAPE),
            np.full(SHAPE, 2**40),
            np.array([0.0, 1e12]),
            with_voxel(30_000, np.int16),  # metal in a CT
        ],
    )
    def test_taken(self, image):
        require_usable(image, "file f")

    def test_deviation_is_finite_if_nnunet_computes_it(self):
        """The limit is where float32 gives up, not before by much."""
        image = np.zeros(SHAPE, np.float32)
        image[0, 0, 0] = 9e18
        assert np.isfinite(image.std())
        require_usable(image, "file f")
