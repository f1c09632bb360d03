"""The network's inputs for the subsets of a case, each preprocessed as if the other modalities were not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.preprocess import PreparedCase, preprocess
from nnunet_hetero.cases.tissue import background_notes, require_tissue
from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.scores.geometry import bounding_box
from nnunet_hetero.modalities import Subset


class SharedInput(NamedTuple):
    """One preprocessing, and whom it serves.

    Attributes:
        prepared: With the modalities of all these subsets; for each of them the others are but channels of zeros.
        subsets: Those that would be preprocessed like this alone.
    """

    prepared: PreparedCase
    subsets: list[Subset]

    def properties_of(self, subset: Subset, images: CaseImages, preparation: Preparation) -> dict:
        """What the export of this subset's prediction needs: the grid is that of its own first image."""
        own = background_notes(images.data[list(subset)], subset, preparation)
        return {**self.prepared.properties, **images.grid_of(subset[0]), **own}


def shared_inputs(images: CaseImages, subsets: Sequence[Subset], preparation: Preparation) -> Iterator[SharedInput]:
    """Preprocess a case as often as its subsets differ, and no more.

    nnU-Net crops to where any image is not zero, normalises inside of that, and resamples by the first image's spacing.
    Modalities that are constant count as absent, as in prediction. Subsets that cannot be preprocessed are left out.

    Args:
        images: The case.
        subsets: Those wanted, of modalities that the case has.
        preparation: That of the model.

    Raises:
        DataError: If no subset can be preprocessed; the reason of the first. Or if a CT image cannot be used.
    """
    require_tissue(images, preparation)
    nonzero = images.data != 0
    groups: dict[tuple, list[Subset]] = {}
    for subset in subsets:
        groups.setdefault(_key(images, nonzero, subset, preparation), []).append(subset)
    unusable: list[DataError] = []
    for group in groups.values():
        try:
            yield _shared(images, group, preparation)
        except DataError:
            # One image spoils the group, but not every subset has it.
            for subset in group:
                try:
                    yield _shared(images, [subset], preparation)
                except DataError as error:
                    unusable.append(error)
    if unusable and len(unusable) == len(subsets):
        raise unusable[0]


def _shared(images: CaseImages, group: list[Subset], preparation: Preparation) -> SharedInput:
    channels = sorted(set().union(*group))
    prepared = preprocess(images.restricted_to(channels), preparation)
    return SharedInput(prepared, [subset for subset in group if set(subset) <= set(prepared.used)])


def _key(images: CaseImages, nonzero: np.ndarray, subset: Subset, preparation: Preparation) -> tuple:
    """Equal for subsets that nnU-Net preprocesses alike."""
    mask = np.asarray(nonzero[list(subset)].any(axis=0))
    box = tuple((part.start, part.stop) for part in bounding_box(mask))
    masked = any(preparation.configuration_manager.use_mask_for_norm[channel] for channel in subset)
    digest = hashlib.sha256(np.packbits(mask).tobytes()).digest() if masked else b""
    return box, digest, tuple(images.grid_of(subset[0])["spacing"])
