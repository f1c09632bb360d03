"""Where images show tissue, by the normalisation of each; and images that show none once they are normalised.

In MR images zero is background. In CT it is water: there background is air, and what lies outside of the scanner's
field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask
from scipy.ndimage import binary_fill_holes, label

from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.cases.image_values import CONSTANT, ROUNDING, absence, is_two_valued
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.errors import DataError, the_case

if TYPE_CHECKING:
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

CT_SCHEME = "CTNormalization"
SHIFTING_SCHEMES = ("ZScoreNormalization", "RescaleTo01Normalization")
"""They make zeros of what is constant where they look."""


AIR = -300.0
"""HU; fat, the lightest tissue but lung, has about -100. What is darker is tissue too where a model tells it apart."""

LEAST_BACKGROUND = 0.05
"""An image with one value in all corners is told of if at least this share of its voxels has it too."""

FOREGROUND = "nnunet_hetero_foreground"
"""Key of `background_notes` in the properties of a preprocessed case: where its images show tissue."""

NOT_ZERO = "nnunet_hetero_not_zero"
"""The same for where they are not zero, which is what nnU-Net takes for inside; only where that is something else."""


def tissue(image: np.ndarray, scheme: str, intensities: Mapping[str, float]) -> np.ndarray:
    """Where an image shows tissue, a bool array of its shape.

    Args:
        image: On the case's own grid, as read.
        scheme: nnU-Net's normalisation scheme of its channel.
        intensities: The plans' ``foreground_intensity_properties_per_channel`` of it.
    """
    if scheme != CT_SCHEME:
        return image != 0
    inside = image > min(float(intensities["percentile_00_5"]), AIR)
    # Zeros in the corners were laid around the scanner's field or around the head.
    corners = np.ix_(*([0, -1] for _ in image.shape))
    if not image[corners].all():
        zeros, _ = label(image == 0)
        inside &= ~np.isin(zeros, np.setdiff1d(zeros[corners], [0]))
    return binary_fill_holes(inside)


def tissue_masks(images: np.ndarray, channels: Sequence[int], preparation: Preparation) -> np.ndarray:
    """`tissue` of several images of a case, ``(C, *spatial)`` bool.

    Args:
        images: ``(C, *spatial)``.
        channels: Which modality each of them is.
        preparation: That of the model.
    """
    schemes = preparation.configuration_manager.normalization_schemes
    intensities = preparation.plans_manager.foreground_intensity_properties_per_channel
    masks = [
        tissue(image, schemes[channel], intensities.get(str(channel), {}))
        for image, channel in zip(images, channels, strict=True)
    ]
    return np.stack(masks)


def background_notes(images: np.ndarray, channels: Sequence[int], preparation: Preparation) -> dict[str, np.ndarray]:
    """Where a case has something to see, eight voxels to a byte: kept from reading to writing, for completed images.

    Args:
        images: Those that the case is segmented from, ``(C, *spatial)``, on the case's own grid.
        channels: Which modality each of them is.
        preparation: That of the model.

    Returns:
        Entries for the case's properties, see `unpacked`.
    """
    not_zero = (images != 0).any(axis=0)
    schemes = preparation.configuration_manager.normalization_schemes
    if all(schemes[channel] != CT_SCHEME for channel in channels):
        return {FOREGROUND: np.packbits(not_zero)}
    inside = tissue_masks(images, channels, preparation).any(axis=0)
    return {FOREGROUND: np.packbits(inside), NOT_ZERO: np.packbits(not_zero)}


def unpacked(packed: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """One of `background_notes` as a bool array of ``shape``."""
    return np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape).astype(bool)


def require_tissue(images: CaseImages, preparation: Preparation) -> None:
    """Refuse CT images that the normalisation of CT clips to one value.

    Raises:
        DataError: If all of an image lies below, or above, what the training images' tissue has.
    """
    properties = preparation.plans_manager.foreground_intensity_properties_per_channel
    schemes = preparation.configuration_manager.normalization_schemes
    for channel in images.used:
        if schemes[channel] != CT_SCHEME:
            continue
        low, high = (float(properties[str(channel)][key]) for key in ("percentile_00_5", "percentile_99_5"))
        image = images.data[channel]
        if image.max() <= low or image.min() >= high:
            raise DataError(
                f"{the_case(images.name)}: all of {images.modalities.names[channel]} lies between {image.min():g} and "
                f"{image.max():g}, but the model tells apart what is between {low:g} and {high:g} only. Is it a CT in "
                "Hounsfield units, as the training images? Convert it, or predict without: --missing "
                f"{images.modalities.names[channel]}"
            )


def warn_of_odd_backgrounds(images: CaseImages, preparation: Preparation) -> None:
    """Tell of images that have another value than zero all around, such as -1000 around an MR image.

    nnU-Net's cropping and the z-score take that for tissue. The value is that of all eight corners.

    Args:
        images: The case.
        preparation: That of the model.
    """
    schemes = preparation.configuration_manager.normalization_schemes
    for channel in images.used:
        image = images.data[channel]
        corners = image[np.ix_(*([0, -1] for _ in image.shape))]
        value = float(corners.flat[0])
        if schemes[channel] not in SHIFTING_SCHEMES or not value or absence(corners) is None:
            continue
        share = float(np.mean(np.abs(image - value) <= ROUNDING * abs(value)))
        if share >= LEAST_BACKGROUND:
            # At once: a background process may end without its turn to write.
            print(
                f"WARNING: {the_case(images.name)}: {images.modalities.names[channel]} is {value:g} in all corners "
                f"and in {100 * share:.0f} % of its voxels. Is that its background? nnU-Net takes what is not 0 for "
                "tissue, when it crops and normalises; set it to 0, if the training images have it so.",
                flush=True,
            )


def without_flat(images: CaseImages, configuration_manager: ConfigurationManager) -> CaseImages:
    """The case without images that are constant where nnU-Net normalises them, such as a mask of the head.

    Where that is depends on the other images: inside the box, or the mask, of what is not zero in any of them.

    Raises:
        DataError: If no image is left.
    """
    schemes = configuration_manager.normalization_schemes
    while True:
        suspects = [c for c in images.used if schemes[c] in SHIFTING_SCHEMES and is_two_valued(images.data[c])]
        if not suspects:
            return images
        mask = create_nonzero_mask(images.data[list(images.used)])
        box = tuple(slice(there.min(), there.max() + 1) for there in mask.nonzero())
        flat = []
        for channel in suspects:
            image = images.data[channel]
            masked = configuration_manager.use_mask_for_norm[channel]
            if absence(image[mask] if masked else image[box]) is not None:
                flat.append(channel)
        if not flat:
            return images
        if len(flat) == len(images.used):
            raise DataError(f"{the_case(images.name)}: its image(s) are constant, there is nothing to segment.")
        images = images.without(flat, CONSTANT)
