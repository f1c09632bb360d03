"""Convert Task01_BrainTumour of the Medical Segmentation Decathlon to an nnU-Net dataset.

``nnunet_hetero convert msd -i Task01_BrainTumour -d 504``, or ``python dataset_conversion/msd.py -i ... -d 504``.
Channels, labels and regions come out as from ``convert brats``, so that models can be used across both.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from nnunet_hetero.cases.image_files import is_nifti, read_header
from nnunet_hetero.dataset_conversion.brats import PLAIN_LABELS, REGIONS, REGIONS_CLASS_ORDER
from nnunet_hetero.dataset_conversion.brats_releases import NIFTI
from nnunet_hetero.dataset_conversion.writing.cases import RawCase
from nnunet_hetero.dataset_conversion.writing.command import (
    add_common_arguments,
    add_labels_argument,
    run_alone,
    run_conversion,
)
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec, LabelScheme
from nnunet_hetero.dataset_conversion.writing.unlabelled import TEST_CASES
from nnunet_hetero.errors import DataError

# Absolute, so that the file also runs as a plain script, where it has no parent package.
from nnunet_hetero.io.documents import Document

FOLDER = "Task01_BrainTumour"
# Their names of the volumes, in the order of our channels.
CHANNELS = {"t1w": "T1", "t1gd": "T1c", "t2w": "T2", "flair": "FLAIR"}
# Their names of the labels, and what these are in a converted BraTS dataset.
LABELS = {"background": 0, "edema": 2, "non-enhancing tumor": 1, "enhancing tumour": 3}


class _Training(TypedDict):
    image: str
    label: str


class _Task(TypedDict):
    modality: dict[Annotated[str, Field(pattern=r"^\d+$")], str]
    labels: dict[Annotated[str, Field(pattern=r"^\d+$")], str]
    training: list[_Training]
    test: list[str]


TASK = Document(_Task, f"the dataset.json of {FOLDER}", f"Give the folder {FOLDER}, as unpacked, with -i.")


def find_msd_cases(raw: str | Path) -> tuple[list[RawCase], dict[int, int]]:
    """Read ``dataset.json`` of the task, and compare it with the files.

    Args:
        raw: The folder ``Task01_BrainTumour``, or the one that it is in.

    Returns:
        The cases, test cases among them, sorted by name; and label value in their files → label value in our dataset.

    Raises:
        DataError: If the folder is not the one of this task.
    """
    raw = Path(raw)
    raw = raw / FOLDER if (raw / FOLDER).is_dir() else raw
    content = TASK.read(raw / "dataset.json")
    order = [name.lower() for _, name in sorted(content["modality"].items(), key=lambda item: int(item[0]))]
    if sorted(order) != sorted(CHANNELS):
        raise DataError(
            f"{raw / 'dataset.json'} names the modalities {', '.join(order)}; expected FLAIR, T1w, t1gd and T2w, in "
            f"any order. This converter is for {FOLDER} of the Medical Segmentation Decathlon alone."
        )
    found = {name.lower(): int(value) for value, name in content["labels"].items()}
    if sorted(found) != sorted(LABELS):
        raise DataError(
            f"{raw / 'dataset.json'} names the labels {', '.join(found)}; expected {', '.join(LABELS)}. This converter "
            f"is for {FOLDER} alone."
        )
    volumes = tuple(order.index(name) for name in CHANNELS)
    training = {_stem(entry["image"]): (entry["image"], entry["label"]) for entry in content["training"]}
    test = {_stem(entry): (entry, None) for entry in content["test"]}
    cases = [_case(raw, name, *files, volumes) for name, files in (training | test).items()]
    cases += [
        RawCase(name, (None,) * len(CHANNELS), None, f"{path} is not listed in dataset.json. List it, or remove it.")
        for path in _files(raw)
        if (name := _stem(path)) not in training | test
    ]
    return sorted(cases, key=lambda case: case.name), {found[name]: value for name, value in LABELS.items()}


def _case(raw: Path, name: str, image: str, label: str | None, volumes: tuple[int, ...]) -> RawCase:
    image_file, label_file = _there(raw / image), _there(raw / label) if label else None
    problem = None
    for file in (image_file, label_file):
        if file is not None and not file.is_file():
            problem = f"dataset.json lists {file}, which is not there. Unpack the archive again."
    if label and _stem(label) != name:
        problem = f"dataset.json gives it the label {label} of another case."
    problem = problem or _shape_problem(image_file, len(volumes))
    return RawCase(name, (image_file,) * len(volumes), label_file, problem, volumes, test=label is None)


def _there(listed: Path) -> Path:
    """The file that dataset.json lists; else the same unpacked, or the only one in a folder of its name.

    Sites that unpack archives for their users leave ``BRATS_001.nii``, or ``BRATS_001.nii.gz/any_name.nii``.
    """
    for place in (listed, listed.with_name(listed.name.removesuffix(".gz"))):
        if place.is_file():
            return place
        inside = [path for path in place.glob("*") if is_nifti(path)] if place.is_dir() else []
        if len(inside) == 1:
            return inside[0]
    return listed


def _shape_problem(file: Path, expected: int) -> str | None:
    try:
        shape = read_header(file).get_data_shape()
    except DataError:
        return None  # the conversion reads all of it, and says what is wrong
    if len(shape) != 4 or shape[3] != expected:
        return f"{file} has shape {shape}; expected 4D with {expected} volumes."
    return None


def _files(raw: Path) -> list[Path]:
    """All images there are; the archive is full of hidden companions of macOS, ``._BRATS_001.nii.gz``."""
    found: list[Path] = []
    for folder in ("imagesTr", "imagesTs"):
        found += [path for path in (raw / folder).glob("*") if is_nifti(path)]
    return sorted(path for path in found if not path.name.startswith("."))


def _stem(file: str | Path) -> str:
    nifti = NIFTI.fullmatch(Path(file).name)
    return nifti["stem"] if nifti else Path(file).name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``nnunet_hetero convert msd``."""
    add_common_arguments(parser, "MSDBrainTumour", f"folder {FOLDER}, as unpacked", unlabelled=TEST_CASES)
    add_labels_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Do what the parsed options ask for; returns the exit code, 1 when a case could not be converted."""
    cases, values = find_msd_cases(args.input)
    scheme = LabelScheme(
        labels=PLAIN_LABELS if args.labels else REGIONS,
        values=values,
        regions_class_order=None if args.labels else REGIONS_CLASS_ORDER,
    )
    return run_conversion(DatasetSpec(tuple(CHANNELS.values()), scheme, f"MSD {FOLDER}"), cases, args)


def main(argv: list[str] | None = None) -> int:
    """Command line of the MSD converter alone."""
    return run_alone("msd.py", __doc__.splitlines()[0], add_arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
