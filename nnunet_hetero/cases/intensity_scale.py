"""How the normalisation of an image is undone: by the moments of the training images, or by its scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from nnunet_hetero.modalities import Modalities

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
        background: What the image has where there is nothing to see.
    """

    mean: float = 0.0
    sd: float = 1.0
    units: str = NORMALISED_UNITS
    background: float = 0.0


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
            # The network has seen no darker air than this, and zero is water.
            air = properties["percentile_00_5"]
            scales.append(IntensityScale(properties["mean"], properties["std"], COHORT_UNITS, air))
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
    for name in dict.fromkeys(chain.from_iterable(moments)):
        having = [entry[name] for entry in moments if name in entry]
        means, sds = [entry["mean"] for entry in having], [entry["sd"] for entry in having]
        result[name] = {"mean": float(np.mean(means)), "sd": float(np.mean(sds)), "cases": len(having)}
    return result
