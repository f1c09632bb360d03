"""All-zero volumes on the grid of a case, and the check of the images that they stand beside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel
import numpy as np

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.image_files import is_nifti, read_nifti
from nnunet_hetero.cases.image_values import CONSTANT, EMPTY
from nnunet_hetero.cases.label_maps.labels import dataset_labels, known_labels, raw_labels
from nnunet_hetero.cases.label_maps.written_image import require_written, write_label_map
from nnunet_hetero.cases.preprocess import grid_difference, read_case, read_image
from nnunet_hetero.cases.raw_dataset import ABSENT
from nnunet_hetero.errors import DataError
from nnunet_hetero.io.atomic_files import Unfinished
from nnunet_hetero.modalities import Modalities

if TYPE_CHECKING:
    from nnunetv2.imageio.base_reader_writer import BaseReaderWriter


@dataclass(frozen=True)
class CaseGrid:
    """Where the voxels of a case lie, and which of its images are empty.

    Args:
        shape: Voxels as nnU-Net's reader orders them.
        properties: The reader's, of the first image.
        reference: File of the first image.
        empty: Channels whose file is there, and zero throughout.
        wrong_labels: What is wrong with the label's values, in words; None if the data set has them all.
    """

    shape: tuple[int, ...]
    properties: dict
    reference: str
    empty: tuple[int, ...]
    wrong_labels: str | None = None


def read_grid(
    case: Case, modalities: Modalities, label: str | None, dataset_json: dict, reader: BaseReaderWriter
) -> CaseGrid:
    """Read and check the images of a case, and its label.

    Args:
        case: Its files.
        modalities: The modalities.
        label: File of its label; None if it needs none.
        dataset_json: Of the data set, which says what labels there are.
        reader: nnU-Net's.

    Raises:
        DataError: If an image cannot be used or is constant, all are empty, or images and label do not share one grid.
    """
    images = read_case(case, modalities, tuple(range(len(modalities))), reader)
    first = images.used[0]
    grid = images.grid_of(first)
    wrong_labels = None
    if label is not None:
        what = f"Case '{case.name}': label {label}"
        truth, found = read_image(label, what, reader.read_seg)
        difference = grid_difference(truth, found, images.data[first], grid)
        if difference:
            raise DataError(
                f"{what} lies on another grid than {modalities.names[first]}: {difference}. It may be the label of "
                "another case."
            )
        try:
            known_labels(truth, what, dataset_labels(dataset_json), raw_labels(dataset_json))
        except DataError as error:
            wrong_labels = str(error)
    constant = [channel for channel, reason in images.absent.items() if reason == CONSTANT]
    if constant:
        raise DataError(
            f"Case '{case.name}': {case.files[constant[0]]} has one value throughout, not 0. It says nothing of the "
            "patient, but nnU-Net would crop and normalise by it. Delete it if the modality is missing; fill-gaps "
            "then writes zeros."
        )
    empty = tuple(channel for channel, reason in images.absent.items() if reason == EMPTY)
    return CaseGrid(images.data.shape[1:], grid, str(case.files[first]), empty, wrong_labels)


def is_zero(file: Path, reader: BaseReaderWriter) -> bool:
    """Whether a file that ``fill-gaps`` wrote is still what it was."""
    image, _ = read_image(str(file), f"File {file}", lambda path: reader.read_images([path]))
    return not image.any()


def write_zeros(folder: Path, case: str, names: list[str], grid: CaseGrid, reader: BaseReaderWriter) -> None:
    """Write the all-zero files of a case; each is there whole or not at all.

    Args:
        folder: Where to.
        case: Case identifier.
        names: File names.
        grid: Of the case.
        reader: nnU-Net's, which writes all formats but NIfTI.

    Raises:
        DataError: If a file cannot be written.
    """
    unfinished = Unfinished(folder / case)
    try:
        for name in names:
            _write(unfinished.folder / name, grid, reader)
        for file in unfinished.folder.iterdir():
            if file.name not in names:  # nnU-Net's writer of 3D TIFF puts the spacing beside it; the case has that
                file.unlink()
        unfinished.publish(names[-1], checked=True)
    except OSError as error:
        raise DataError(
            f"Case '{case}': {folder / names[0]} cannot be written ({error.strerror}). Make room, and run the same "
            "command again: it goes on where it stopped; or undo it with --undo."
        ) from error
    finally:
        unfinished.drop()


def _write(file: Path, grid: CaseGrid, reader: BaseReaderWriter) -> None:
    if not is_nifti(file):
        write_label_map(np.zeros(grid.shape, np.uint8), file, grid.properties, reader)
        return
    # With the header of the real image, so that every reader places both alike, to the last bit.
    like = read_nifti(grid.reference)
    header = like.header.copy()
    header.extensions.clear()
    header.set_data_dtype(np.uint8)
    header["descrip"] = ABSENT
    header["cal_min"] = header["cal_max"] = 0
    zeros = np.zeros(like.shape, np.uint8)
    nibabel.save(type(like)(zeros, like.affine, header), file)
    require_written(file, zeros, lambda path: np.asanyarray(nibabel.Nifti1Image.from_filename(path).dataobj))
