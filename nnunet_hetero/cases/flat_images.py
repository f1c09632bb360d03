"""Images that nnU-Net's normalisation would flatten: left out before they act, or refused."""

from __future__ import annotations

from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.cases.image_values import CONSTANT, absence, is_two_valued
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.errors import DataError

CT_SCHEME = "CTNormalization"
SHIFTING_SCHEMES = ("ZScoreNormalization", "RescaleTo01Normalization")
"""They make zeros of what is constant where they look."""


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
                f"Case '{images.name}': all of {images.modalities.names[channel]} lies between {image.min():g} and "
                f"{image.max():g}, but the model tells apart what is between {low:g} and {high:g} only. Is it a CT in "
                "Hounsfield units, as the training images? Convert it, or predict without: --missing "
                f"{images.modalities.names[channel]}"
            )


def without_flat(images: CaseImages, configuration_manager) -> CaseImages:
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
            raise DataError(f"Case '{images.name}': its image(s) are constant, there is nothing to segment.")
        images = images.without(flat, CONSTANT)
