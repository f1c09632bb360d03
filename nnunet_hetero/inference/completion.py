"""Completed modalities as images like the real ones: intensities, background, and what is written beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_hetero.modalities import Modalities

FOREGROUND = "nnunet_hetero_foreground"
"""Key of `packed_foreground` in the properties of a preprocessed case."""

Moments = dict[str, dict[str, float]]
"""``{"T1": {"mean": 512.3, "sd": 130.1}, ...}``, modalities that a case or cohort does not have left out."""

COHORT_UNITS = "those of the training images"
NORMALISED_UNITS = "normalised, as the network sees them"


@dataclass(frozen=True)
class IntensityScale:
    """From the network's numbers to those of an image: ``x * sd + mean``.

    Args:
        mean: Added last.
        sd: Factor.
        units: What the numbers then are.
    """

    mean: float = 0.0
    sd: float = 1.0
    units: str = NORMALISED_UNITS


def intensity_scales(
    schemes: Sequence[str],
    modalities: Modalities,
    foreground: Mapping[str, Mapping[str, float]],
    cohort: Moments | None,
) -> tuple[IntensityScale, ...]:
    """How nnU-Net's normalisation of each modality is undone.

    Args:
        schemes: nnU-Net's normalisation scheme of each channel.
        modalities: The modalities.
        foreground: The plans' ``foreground_intensity_properties_per_channel``, by which the CT scheme normalises.
        cohort: Mean and standard deviation of the training images by modality, for the z-score; None if the model was
            trained without.

    Returns:
        One per modality. What cannot be undone keeps its normalised units.
    """
    scales = []
    for channel, (scheme, name) in enumerate(zip(schemes, modalities.names, strict=True)):
        moments = (cohort or {}).get(name)
        if scheme == "ZScoreNormalization" and moments:
            scales.append(IntensityScale(moments["mean"], moments["sd"], COHORT_UNITS))
        elif scheme == "CTNormalization":
            properties = foreground[str(channel)]
            scales.append(IntensityScale(properties["mean"], properties["std"], COHORT_UNITS))
        elif scheme == "RGBTo01Normalization":
            scales.append(IntensityScale(0.0, 255.0, COHORT_UNITS))
        elif scheme == "NoNormalization":
            scales.append(IntensityScale(units=COHORT_UNITS))
        else:
            scales.append(IntensityScale())
    return tuple(scales)


def mean_moments(moments: Sequence[Moments]) -> Moments:
    """Mean of the means and of the standard deviations, by modality, over those that have it."""
    result = {}
    for name in dict.fromkeys(name for entry in moments for name in entry):
        having = [entry[name] for entry in moments if name in entry]
        result[name] = {key: float(np.mean([entry[key] for entry in having])) for key in ("mean", "sd")}
        result[name]["cases"] = len(having)
    return result


def packed_foreground(images: np.ndarray) -> np.ndarray:
    """Where at least one image is not zero, eight voxels to a byte.

    Args:
        images: Those that the case is segmented from, ``(C, *spatial)``, on the case's own grid.
    """
    return np.packbits((images != 0).any(axis=0))


def unpacked_foreground(properties: dict, shape: Sequence[int]) -> np.ndarray:
    """What `packed_foreground` was made from, a bool array of ``shape``."""
    return np.unpackbits(properties[FOREGROUND], count=int(np.prod(shape))).reshape(shape).astype(bool)


def restored(images: np.ndarray, scales: Sequence[IntensityScale], properties: dict) -> np.ndarray:
    """Completed images with the intensities and the background of real ones, ``(C, *spatial)`` float32.

    Args:
        images: On the case's own grid, in the network's units.
        scales: One per image.
        properties: Those of the preprocessed case. Zero is what is zero in all images that it was segmented from.
    """
    shape = images.shape[1:]
    result = np.stack([image * scale.sd + scale.mean for image, scale in zip(images, scales, strict=True)])
    if FOREGROUND in properties:
        result[:, ~unpacked_foreground(properties, shape)] = 0
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
