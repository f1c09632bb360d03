"""Histogram standardisation: the landmarks of an image's histogram are moved to those of the training images.

Nyúl, Udupa, Zhang, "New variants of a method of MRI scale standardization", IEEE TMI 2000, doi:10.1109/42.836373, with
the 1st and 99th percentile as ends of the scale and the deciles between them. Voxels that are zero are background.

nnU-Net's z-score is affine, so it moves an image's landmarks along with its voxels, and what is standardised here are
images that nnU-Net has preprocessed. Their landmarks are measured in the images as they are on disk, where the
background is exactly zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero

from nnunet_hetero.cases.image_values import absence
from nnunet_hetero.errors import DataError, the_case
from nnunet_hetero.modalities import Modalities

if TYPE_CHECKING:
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

PERCENTILES = (1, *range(10, 100, 10), 99)

STANDARDISED_SCHEME = "ZScoreNormalization"
"""The normalisation of MR images. Others, as that of CT, keep their scale: it means something."""

Statistics = dict[str, Any]
"""Of one image: ``mean`` and ``sd`` where nnU-Net's z-score takes them, and ``landmarks``."""

Landmarks = dict[str, list[float]]
"""The standard scale by modality, in units of the preprocessed images."""


def image_statistics(images: np.ndarray, masked: Sequence[bool]) -> dict[int, Statistics]:
    """What nnU-Net's z-score takes off each image of a case, and the landmarks of its histogram.

    Args:
        images: As on disk, ``(M, *spatial)``; absent modalities are zero.
        masked: Per modality, whether nnU-Net normalises it by the voxels that are not zero in all images of a case
            (``use_mask_for_norm`` of the plans), or by the whole cropped image.

    Returns:
        By channel, of those that are not absent. Landmarks are the `PERCENTILES` of the image's voxels that
        are not zero.
    """
    images, segmentation, _ = crop_to_nonzero(images)
    inside = segmentation[0] >= 0
    found = {}
    for channel, image in enumerate(images):
        if absence(image) is None:
            values = (image[inside] if masked[channel] else image).astype(np.float64)
            landmarks = np.percentile(image[image != 0].astype(np.float64), PERCENTILES)
            found[channel] = {
                "mean": float(values.mean()),
                "sd": float(values.std()),
                "landmarks": landmarks.tolist(),
            }
    return found


def standard_scale(cases: Sequence[Statistics]) -> list[float]:
    """The landmarks of a cohort: those of each image stretched to common ends, then averaged.

    The ends are the mean 1st and the mean 99th percentile of the images as nnU-Net normalises them. So standardised
    images have about mean 0 and standard deviation 1, as all inputs of nnU-Net's networks, and ``x · sd + mean`` gives
    completed images the intensities of the cohort, as without standardisation.

    Args:
        cases: Of one modality; an image whose 1st and 99th percentile are equal does not count.

    Returns:
        One number per percentile; none if no image counts.
    """
    cases = [case for case in cases if case["landmarks"][-1] > case["landmarks"][0]]
    if not cases:
        return []
    landmarks = np.array([preprocessed_landmarks(case) for case in cases])
    low, high = landmarks[:, :1], landmarks[:, -1:]
    shape = ((landmarks - low) / (high - low)).mean(axis=0)
    return (low.mean() + (high.mean() - low.mean()) * shape).tolist()


def preprocessed_landmarks(statistics: Statistics) -> np.ndarray:
    """Landmarks of an image after nnU-Net's z-score, one per percentile."""
    return (np.array(statistics["landmarks"]) - statistics["mean"]) / max(statistics["sd"], 1e-8)


def standardise(values: np.ndarray, landmarks: np.ndarray, standard: Sequence[float]) -> np.ndarray:
    """Move an image's landmarks to the standard ones; linear between them, and on beyond the first and the last.

    Args:
        values: Intensities, of any shape.
        landmarks: Of the image, in the same units, ascending.
        standard: The standard scale, ascending.

    Returns:
        Of the same shape, float32. An image whose landmarks are all equal stays as it is.
    """
    # An image with few grey levels has landmarks that coincide.
    source, place = np.unique(np.asarray(landmarks, np.float64), return_inverse=True)
    if len(source) < 2:
        return values.astype(np.float32)
    target = np.bincount(place, standard) / np.bincount(place)
    result = np.interp(values, source, target)
    for end, beyond in ((0, values < source[0]), (-1, values > source[-1])):
        inner = 1 if end == 0 else -2
        slope = (target[inner] - target[end]) / (source[inner] - source[end])
        result[beyond] = target[end] + slope * (values[beyond] - source[end])
    return result.astype(np.float32)


def standardise_case(
    data: np.ndarray,
    inside: np.ndarray,
    statistics: Mapping[int, Statistics],
    standard: Landmarks,
    modalities: Modalities,
    configuration_manager: ConfigurationManager,
    case: str,
) -> None:
    """Standardise the preprocessed images of a case, in place.

    Args:
        data: Preprocessed images, ``(M, *spatial)``.
        inside: Where nnU-Net's mask of the case is, ``(*spatial)`` bool. Outside of it, images that nnU-Net normalises
            by the mask stay at zero.
        statistics: Of the images that the case has, by channel.
        standard: The standard scale of the model.
        modalities: The modalities.
        configuration_manager: nnU-Net's.
        case: Name of the case, for errors.

    Raises:
        DataError: If the model has no landmarks of a modality that the case has.
    """
    masked = configuration_manager.use_mask_for_norm
    for channel in standardised_channels(statistics, configuration_manager):
        name = modalities.names[channel]
        if name not in standard:
            raise DataError(
                f"{the_case(case)}: the model has no histogram landmarks of {name}, since no case that it was trained "
                f"on has it; what it would make of the image is anybody's guess. Predict without: --missing {name}"
            )
        where = inside if masked[channel] else slice(None)
        landmarks = preprocessed_landmarks(statistics[channel])
        data[channel][where] = standardise(data[channel][where], landmarks, standard[name])


def standardised_channels(channels: Iterable[int], configuration_manager: ConfigurationManager) -> list[int]:
    """Those of some channels that are standardised: MR images, by their normalisation."""
    schemes = configuration_manager.normalization_schemes
    return [channel for channel in channels if schemes[channel] == STANDARDISED_SCHEME]


def mean_landmarks(folds: Sequence[Landmarks]) -> Landmarks:
    """The standard scale of an ensemble: the mean over those of its folds that have the modality."""
    found: Landmarks = {}
    for name in dict.fromkeys(chain.from_iterable(folds)):
        found[name] = np.mean([fold[name] for fold in folds if name in fold], axis=0).tolist()
    return found
