"""How close completed images are to the real ones: PSNR and SSIM in the brain, in the tumour and in healthy tissue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from skimage.metrics import structural_similarity

CONVENTION = (
    "Both images are z-scored inside the brain (voxels where the real image is not zero) first, since the intensities "
    "of MR images have no unit; the data range of PSNR and SSIM is the real image's range there. SSIM is the mean of "
    "its map (7×7×7 windows) over the voxels of the mask."
)


def image_quality(completed: np.ndarray, real: np.ndarray, tumour: np.ndarray) -> dict[str, float]:
    """PSNR in dB and SSIM of a completed image, by `CONVENTION`.

    Args:
        completed: ``(D, H, W)``.
        real: The image that was not given to the model, same shape.
        tumour: Mask of the tumour, same shape.

    Returns:
        ``psnr`` and ``ssim`` by place: ``psnr_brain``, ``psnr_tumour``, ``psnr_healthy`` and the same with ``ssim``;
        NaN for an empty place.
    """
    brain = real != 0
    first, second = _z_scored(completed, brain), _z_scored(real, brain)
    data_range = float(np.ptp(second[brain]))
    window = min(7, *(size - 1 + size % 2 for size in real.shape))
    _, similarity = structural_similarity(second, first, data_range=data_range, win_size=window, full=True)
    error = (first - second) ** 2
    places: Mapping[str, np.ndarray] = {"brain": brain, "tumour": brain & tumour, "healthy": brain & ~tumour}
    result = {}
    for name, mask in places.items():
        mse = np.float64(error[mask].mean() if mask.any() else np.nan)
        with np.errstate(divide="ignore"):  # two equal images: infinite
            result[f"psnr_{name}"] = float(10 * np.log10(data_range**2 / mse))
        result[f"ssim_{name}"] = float(similarity[mask].mean()) if mask.any() else float("nan")
    return result


def _z_scored(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance inside the brain, zero outside of it."""
    inside = image[brain].astype(np.float64)
    result = np.zeros(image.shape)
    result[brain] = (inside - inside.mean()) / max(float(inside.std()), 1e-8)
    return result
