"""Completed modalities as images like the real ones: intensities, background, and what is written beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nnunet_hetero.cases.intensity_scale import IntensityScale
from nnunet_hetero.cases.tissue import FOREGROUND, unpacked


def restored(images: np.ndarray, scales: Sequence[IntensityScale], properties: dict) -> np.ndarray:
    """Completed images with the intensities and the background of real ones, ``(C, *spatial)`` float32.

    Args:
        images: On the case's own grid, in the network's units.
        scales: One per image.
        properties: Those of the preprocessed case. Background is what shows no tissue in any image that it was
            segmented from.
    """
    shape = images.shape[1:]
    result = np.stack([image * scale.sd + scale.mean for image, scale in zip(images, scales, strict=True)])
    if FOREGROUND in properties:
        outside = ~unpacked(properties[FOREGROUND], shape)
        for image, scale in zip(result, scales, strict=True):
            image[outside] = scale.background
    return result.astype(np.float32, copy=False)


def description(name: str, used: Iterable[str], scale: IntensityScale, draws: int) -> dict[str, Any]:
    """What stands beside a completed image, in a JSON file.

    Args:
        name: The modality.
        used: The modalities that the case was encoded from.
        scale: How its intensities came about.
        draws: Number of draws of the latents whose images were averaged; 0 is the posterior's mean.
    """
    used = list(used)
    return {
        "modality": name,
        "kind": "reconstructed from itself and others" if name in used else "completed, was not there",
        "from": used,
        "units": scale.units,
        "mean": scale.mean,
        "sd": scale.sd,
        "draws": draws,
        "note": "Synthesised by a neural network. Not an acquired image.",
    }
