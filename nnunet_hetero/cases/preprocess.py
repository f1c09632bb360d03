"""From the files of a case to the network's input: read, check, switch off, preprocess as nnU-Net does.

An absent modality never touches the result: it is a channel of zeros before nnU-Net's cropping and normalisation, and
exactly zero after them. Its file, if there is one, is not even opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nnunet_hetero.cases.case_images import NO_FILE, SWITCHED_OFF, CaseImages
from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.geometry import SHEARED, header_doubts, reader_geometry
from nnunet_hetero.cases.histogram import image_statistics, standardise_case
from nnunet_hetero.cases.image_files import is_nifti, read_nifti, require_whole, with_decimals
from nnunet_hetero.cases.image_values import absence, doubts, require_usable
from nnunet_hetero.cases.naming.neighbours import refuse_mixture
from nnunet_hetero.cases.oriented_reader import as_stored, stored_properties
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.tissue import background_notes, require_tissue, without_flat
from nnunet_hetero.errors import DataError, the_case
from nnunet_hetero.modalities import Modalities, Subset

if TYPE_CHECKING:
    from nnunetv2.imageio.base_reader_writer import BaseReaderWriter

MOST_VOXELS = 1e10
"""Of a case as the model sees it: 40 GB for each modality, more than any scanner makes."""


@dataclass(frozen=True)
class PreparedCase:
    """The network's input of one case.

    Args:
        name: Case identifier.
        data: Preprocessed images, ``(M, *spatial)`` float32, absent channels exactly zero, all others not.
        properties: What nnU-Net's export needs to get back to the original grid.
        used: The channels that the case is encoded from.
        absent: Why each other channel is absent, see `CaseImages`.
    """

    name: str
    data: np.ndarray
    properties: dict
    used: Subset
    absent: dict[int, str]


def read_case(case: Case, modalities: Modalities, kept: Subset, reader: BaseReaderWriter) -> CaseImages:
    """Read and check the images of a case.

    Args:
        case: The case's files.
        modalities: The dataset's modalities.
        kept: Channels that may be used; files of others are not opened.
        reader: nnU-Net's reader, an instance of the plans' ``image_reader_writer_class``.

    Raises:
        DataError: If a file cannot be read, is no single image, has values that nnU-Net cannot compute with or another
            grid than the case's first image, or if no modality is left.
    """
    if case.problem:
        raise DataError(case.problem)
    images: dict[int, np.ndarray] = {}
    properties: dict[int, dict] = {}
    absent: dict[int, str] = {}
    for channel, file in enumerate(case.files):
        if file is None:
            absent[channel] = NO_FILE
        elif channel not in kept:
            absent[channel] = SWITCHED_OFF
        else:
            what = f"{the_case(case.name)}: channel {channel} ({modalities.names[channel]}), file {file},"
            image, grid = read_image(file, what, lambda path: reader.read_images([path]))
            reason = absence(image)
            if reason is not None:
                absent[channel] = reason
                continue
            doubt = doubts(image, {modalities.names[other]: images[other] for other in images})
            if doubt:
                print(f"WARNING: {what} {doubt}.", flush=True)
            if properties:
                first = next(iter(properties))
                _require_same_grid(what, image, grid, modalities.names[first], images[first], properties[first])
                expected = reader_geometry(images[first].shape, properties[first])
                deviation = reader_geometry(image.shape, grid).deviation(expected)
                if deviation:
                    print(f"{what} lies off {modalities.names[first]} by {deviation}; accepted.", flush=True)
            images[channel], properties[channel] = image, grid
    if not images:
        reasons = ", ".join(f"{modalities.names[channel]}: {absent[channel]}" for channel in sorted(absent))
        raise DataError(f"{the_case(case.name)} has no modality left ({reasons}). At least one image is needed.")
    data = np.zeros((len(modalities), *next(iter(images.values())).shape), dtype=np.float32)
    for channel, image in images.items():
        data[channel] = image
    grids = tuple(properties.get(channel) for channel in range(len(modalities)))
    return CaseImages(case.name, modalities, data, grids, absent)


def read_image(file: str, what: str, read: Callable[[str], tuple[np.ndarray, dict]]) -> tuple[np.ndarray, dict]:
    """Read one image and check it.

    Args:
        file: Path.
        what: Case, channel and file, the start of every error's text.
        read: Reads images or a label map as nnU-Net's readers do: ``(1, *spatial)`` and properties.

    Returns:
        The image ``(*spatial)`` float32, and the reader's properties.

    Raises:
        DataError: If the file is damaged, no single image, has values that nnU-Net cannot compute with, or lies beside
            one that a reader could take for it.
    """
    if os.path.islink(file) and not os.path.exists(file):
        raise DataError(
            f"{what} is a link to {os.readlink(file)}, which is not there. Fetch the file, or mend the link."
        )
    refuse_mixture(file, what)
    stored = read_nifti(file, what) if is_nifti(file) else None
    if stored is None:
        require_whole(file, what)
    try:
        image, properties = read(file)
    except Exception as error:  # each of nnU-Net's readers raises its own
        reason = SHEARED if "orthonormal" in str(error) else _last_line(error)
        raise DataError(f"{what} cannot be read: {reason}") from error
    if len(image) != 1 or len(properties.get("sitk_stuff", {}).get("spacing", ())) > 3:
        raise DataError(
            f"{what} holds {len(image)} image(s) in a 4D or colour file. One modality is one 3D image; split the file "
            "into one per modality."
        )
    scaled = None if stored is None else with_decimals(stored)
    # In the order of the file: voxels are named, and its header is looked at.
    as_in_file = as_stored(image[0], properties)
    require_usable(as_in_file if scaled is None else scaled, what, reverse=scaled is None)
    geometry = reader_geometry(as_in_file.shape, stored_properties(properties))
    problem = geometry.problem()
    if problem:
        raise DataError(f"{what} cannot be used: {problem}")
    doubts = header_doubts(file, geometry)
    if doubts:
        # At once: a background process may end without its turn to write.
        print(f"WARNING: {what} {doubts}.", flush=True)
    return image[0], properties


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def grid_difference(image: np.ndarray, grid: dict, other: np.ndarray, other_grid: dict) -> str | None:
    """What differs between the grids of two images as nnU-Net's reader gives them; None if they are one grid.

    Args:
        image: First image.
        grid: Its properties.
        other: Second image.
        other_grid: Its properties.
    """
    return reader_geometry(image.shape, grid).difference(reader_geometry(other.shape, other_grid))


def _require_same_grid(
    what: str, image: np.ndarray, grid: dict, first: str, first_image: np.ndarray, first_grid: dict
) -> None:
    difference = grid_difference(image, grid, first_image, first_grid)
    if difference:
        raise DataError(
            f"{what} lies on another grid than {first}: {difference}. All modalities of a case must share one grid; "
            "register and resample them first."
        )


def _require_extent(images: CaseImages, spacing: Sequence[float], preparation: Preparation) -> None:
    """Refuse a case of which the model's voxels would be none, or more than any computer holds: a header in metres."""
    order = preparation.plans_manager.transpose_forward
    inside = (images.data != 0).any(axis=0)
    places = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis}))) for axis in order]
    extent = [(found[-1] + 1 - found[0]) * spacing[axis] for found, axis in zip(places, order, strict=True)]
    target = [*preparation.configuration_manager.spacing]
    target = [spacing[order[0]]] * (3 - len(target)) + target  # 2D networks keep the slices
    shape = [round(float(length / edge)) for length, edge in zip(extent, target, strict=True)]
    if min(shape) == 0 or np.prod(shape, dtype=float) > MOST_VOXELS:
        raise DataError(
            f"{the_case(images.name)}: its images measure {_product(extent)} mm, which are {_product(shape)} of the "
            f"model's voxels, {_product(target)} mm each. Is the unit, or the spacing, in the header right?"
        )


def _product(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)


def preprocess(images: CaseImages, preparation: Preparation) -> PreparedCase:
    """Preprocess a case as nnU-Net does: transpose, crop, normalise, resample; absent channels are exactly zero.

    Args:
        images: The case.
        preparation: That of the model.

    Raises:
        DataError: If an image, or each of them, is flat once it is normalised, its size in millimetres cannot be right,
            or the model has no landmarks of a
            modality that the case has.
        SettingsError: If the model was trained on images with standardised histograms, and its landmarks are unknown.
    """
    configuration_manager, landmarks = preparation.configuration_manager, preparation.required_landmarks()
    require_tissue(images, preparation)
    images = without_flat(images, configuration_manager)
    preprocessor = configuration_manager.preprocessor_class(verbose=False)
    # nnU-Net writes the crop into the properties.
    properties = deepcopy(next(entry for entry in images.properties if entry is not None))
    _require_extent(images, properties["spacing"], preparation)
    data, segmentation, properties = preprocessor.run_case_npy(
        images.data, None, properties, preparation.plans_manager, configuration_manager, preparation.dataset_json
    )
    if landmarks is not None:
        statistics = image_statistics(images.data, configuration_manager.use_mask_for_norm)
        standardise_case(
            data, segmentation[0] >= 0, statistics, landmarks, images.modalities, configuration_manager, images.name
        )
    # A CT scheme shifts zeros.
    data[list(images.absent)] = 0
    used = images.used
    lost = [channel for channel in used if not data[channel].any()]
    if lost:
        raise DataError(
            f"{the_case(images.name)}: nothing is left of {images.modalities.label(lost)} once it is normalised and "
            "resampled, so that it would count as absent. Mend the image, or predict without: --missing "
            f"{images.modalities.names[lost[0]]}"
        )
    properties |= background_notes(images.data[list(used)], used, preparation)
    return PreparedCase(images.name, data.astype(np.float32, copy=False), properties, used, images.absent)
