"""How close completed images are to the real ones: PSNR and SSIM in the brain, in the tumour and in healthy tissue."""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

from nnunet_hetero.evaluation.scores.geometry import bounding_box

WINDOW = 7
"""Edge of SSIM's window, in voxels."""

TISSUES = ("brain", "tumour", "healthy")

CONVENTION = (
    "Both images are z-scored inside the brain (voxels where the real image is not zero; of CT, where it is no air) "
    "first, since the intensities of MR images have no unit; the data range of PSNR and SSIM is the real image's range "
    "there. SSIM is the mean of its map (7×7×7 windows) over the voxels of the mask."
)


def image_quality(
    completed: np.ndarray, real: np.ndarray, tumour: np.ndarray, brain: np.ndarray | None = None
) -> dict[str, float]:
    """PSNR in dB and SSIM of a completed image, by `CONVENTION`.

    Args:
        completed: ``(D, H, W)``.
        real: The image that was not given to the model, same shape.
        tumour: Mask of the tumour, same shape.
        brain: Where the real image shows tissue, bool, same shape; None is where it is not zero.

    Returns:
        ``psnr`` and ``ssim`` by place: ``psnr_brain``, ``psnr_tumour``, ``psnr_healthy`` and the same with ``ssim``;
        NaN for an empty place or a constant image.
    """
    brain = real != 0 if brain is None else brain
    completed, real, tumour, brain = (np.squeeze(image) for image in (completed, real, tumour, brain))
    # Filters need the neighbourhood of the brain only.
    window = min(WINDOW, *(size - 1 + size % 2 for size in real.shape))
    box = bounding_box(brain, margin=WINDOW)
    completed, real, tumour, brain = (image[box] for image in (completed, real, tumour, brain))
    first, second = z_scored(completed, brain), z_scored(real, brain)
    data_range = float(np.ptp(second[brain]))
    if not data_range:  # a constant image
        columns = [f"psnr_{name}" for name in TISSUES] + [f"ssim_{name}" for name in TISSUES]
        return dict.fromkeys(columns, float("nan"))
    _, similarity = structural_similarity(second, first, data_range=data_range, win_size=window, full=True)
    error = (first - second) ** 2
    result = {}
    for name, mask in zip(TISSUES, (brain, brain & tumour, brain & ~tumour), strict=True):
        mse = np.float64(error[mask].mean() if mask.any() else np.nan)
        with np.errstate(divide="ignore"):  # two equal images: infinite
            result[f"psnr_{name}"] = float(10 * np.log10(data_range**2 / mse))
        result[f"ssim_{name}"] = float(similarity[mask].mean()) if mask.any() else float("nan")
    return result


def completion_scores(
    completed: np.ndarray, real: np.ndarray, tumour: np.ndarray, brain: np.ndarray | None = None
) -> list[dict[str, str | float]]:
    """The same as rows of ``completion.csv``: ``tissue`` (one of `TISSUES`), ``psnr`` and ``ssim``.

    Args:
        completed: ``(D, H, W)``.
        real: The image that was not given to the model, same shape.
        tumour: Mask of the tumour, same shape.
        brain: Where the real image shows tissue, bool, same shape; None is where it is not zero.
    """
    found = image_quality(completed, real, tumour, brain)
    return [{"tissue": name, "psnr": found[f"psnr_{name}"], "ssim": found[f"ssim_{name}"]} for name in TISSUES]


def z_scored(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance inside the brain, zero outside of it."""
    inside = image[brain].astype(np.float64)
    result = np.zeros(image.shape)
    result[brain] = (inside - inside.mean()) / max(float(inside.std()), 1e-8)
    return result
