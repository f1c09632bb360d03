"""Intensities of the training images, so that a completed image can be given the numbers of a real one.

nnU-Net's z-score removes mean and standard deviation of each image, and the network never sees them. A completed
modality gets the cohort's: the mean over the training cases of each case's mean and standard deviation, taken where
nnU-Net takes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2.configuration import default_num_processes
from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from tqdm import tqdm
from typing_extensions import TypedDict

from nnunet_hetero.cases.histogram import Statistics, image_statistics
from nnunet_hetero.cases.image_files import require_whole
from nnunet_hetero.cases.image_values import require_usable
from nnunet_hetero.cases.intensity_scale import Moments, mean_moments
from nnunet_hetero.cases.naming.neighbours import refuse_mixture
from nnunet_hetero.cases.raw_dataset import DATASET_JSON, read_dataset_json, training_files
from nnunet_hetero.io.atomic_files import locked, replace_json
from nnunet_hetero.io.documents import Document
from nnunet_hetero.io.processes import threads
from nnunet_hetero.io.provenance import stamp
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.protocols import TrainerOfFold

RAW_FOLDER = "nnUNet_raw"
CACHE_NAME = "hetero_intensity.json"
CACHE_VERSION = 2  # what is kept of a case


class _Image(TypedDict):
    mean: float
    sd: float
    landmarks: list[float]


class _Case(TypedDict):
    stamp: list[Any]
    statistics: dict[str, _Image]


CACHE = Document(dict[str, _Case], "the intensities of the training images", "They are measured anew.")


@dataclass(frozen=True)
class RawImages:
    """The training images of a dataset as they were before preprocessing.

    Args:
        folder: ``nnUNet_raw/DATASET``.
        modalities: The dataset's modalities.
        masked: Per modality, whether nnU-Net normalises it by the voxels that are not zero in all images of a case
            (``use_mask_for_norm`` of the plans), or by the whole cropped image.
        reader: nnU-Net's reader, an instance of the plans' ``image_reader_writer_class``.
    """

    folder: Path
    modalities: Modalities
    masked: Sequence[bool]
    reader: BaseReaderWriter

    def statistics_of_case(self, files: Sequence[str]) -> dict[str, Statistics]:
        """Mean, standard deviation and histogram landmarks of each modality of one case that is not absent.

        Raises:
            DataError: If an image is damaged or cut short, has values that nnU-Net cannot compute with, or lies beside
                one that a reader could take for it.
        """
        for file in files:
            refuse_mixture(file, f"Training image {file}")
            require_whole(file, f"Training image {file}")
        images, _ = self.reader.read_images(files)
        for file, image in zip(files, images, strict=False):
            require_usable(image, f"Training image {file}", reverse=True)
        return {
            self.modalities.names[channel]: statistics
            for channel, statistics in image_statistics(images, self.masked).items()
        }

    @classmethod
    def of_trainer(cls, trainer: TrainerOfFold) -> RawImages:
        """Those of the dataset that a trainer trains on; whether they are there remains to be seen."""
        return cls(
            Path(os.environ.get(RAW_FOLDER) or RAW_FOLDER) / trainer.plans_manager.dataset_name,
            Modalities.from_dataset_json(trainer.dataset_json),
            trainer.configuration_manager.use_mask_for_norm,
            trainer.plans_manager.image_reader_writer_class(),
        )


def training_moments(trainer: TrainerOfFold) -> Moments | None:
    """Those of the cases that a fold trains on; None, with a line in the log, if their raw images cannot be read.

    Only modalities with nnU-Net's z-score have numbers of their own; other schemes are undone without.

    Args:
        trainer: On its way into training.
    """
    configuration = trainer.configuration_manager
    modalities = Modalities.from_dataset_json(trainer.dataset_json)
    names = [
        name
        for name, scheme in zip(modalities.names, configuration.normalization_schemes, strict=True)
        if scheme == "ZScoreNormalization"
    ]
    if not names:
        return None
    raw = RawImages.of_trainer(trainer)
    cases, _ = trainer.do_split()
    try:
        moments = cohort_moments(raw, cases, cache_of(trainer))
    except (OSError, RuntimeError) as error:
        trainer.print_to_log_file(
            f"WARNING: the intensities of the training images are unknown, since the raw images in {raw.folder} cannot "
            f"be read ({error}). Completed images will stay in normalised units. Put the images back and continue the "
            "training (--c) to mend this."
        )
        return None
    return {name: moments[name] for name in names if name in moments}


def cache_of(trainer: TrainerOfFold) -> Path:
    """File that keeps the numbers of each case of a trainer's dataset."""
    return Path(trainer.preprocessed_dataset_folder_base) / CACHE_NAME


def cohort_moments(raw: RawImages, cases: Iterable[str], cache: str | os.PathLike, progress: bool = True) -> Moments:
    """Mean over cases of each case's mean and standard deviation.

    Args:
        raw: Where the images are.
        cases: The cases that count, e.g. the training cases of a fold.
        cache: See `case_statistics`.
        progress: Whether to show a progress bar.

    Returns:
        With ``cases``, the number of cases, beside ``mean`` and ``sd``.
    """
    return mean_moments(list(case_statistics(raw, cases, cache, progress).values()))


def case_statistics(
    raw: RawImages, cases: Iterable[str], cache: str | os.PathLike, progress: bool = True
) -> dict[str, dict[str, Statistics]]:
    """Mean, standard deviation and landmarks of each image, by case and modality.

    Args:
        raw: Where the images are.
        cases: The cases; those that the dataset does not have are left out.
        cache: JSON file that keeps the numbers of each case, so that the next fold does not read it again. An image
            that changed, by path, size or time of its file, is read again.
        progress: Whether to show a progress bar.

    Raises:
        OSError: If the dataset is not there.
        DataError: If its dataset.json is not what it must be.
        RuntimeError: If an image cannot be read; nnU-Net's readers raise it.
    """
    if not (raw.folder / DATASET_JSON).is_file():
        raise FileNotFoundError(f"{raw.folder / DATASET_JSON} is not there")
    dataset_json = read_dataset_json(raw.folder)
    files = {case: entry["images"] for case, entry in training_files(raw.folder, dataset_json).items()}
    cases = [case for case in cases if case in files]
    stamps = {}
    for case in cases:
        stamps[case] = [CACHE_VERSION, list(raw.masked), *(stamp(file) for file in files[case])]
    known = CACHE.or_aside(cache) or {}
    todo = [case for case in cases if known.get(case, {}).get("stamp") != stamps[case]]
    # Readers decompress outside of Python's lock, so threads do.
    with threads(default_num_processes) as pool:
        found = pool.map(raw.statistics_of_case, (files[case] for case in todo))
        bar = tqdm(found, "Intensities of the training images", len(todo), disable=not (progress and todo))
        new = {case: {"stamp": stamps[case], "statistics": moments} for case, moments in zip(todo, bar, strict=True)}
    if new:
        with locked(Path(cache).parent):
            replace_json(cache, dict(sorted({**(CACHE.or_aside(cache) or {}), **new}.items())))
    return {case: {**known, **new}[case]["statistics"] for case in cases}
