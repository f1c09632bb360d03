"""From the folders of a prediction or an evaluation to what a page shows of a case."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from nnunet_hetero.cases.find import find_cases
from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.output.modality_record import read_record
from nnunet_hetero.inference.output.volumes import plain_name
from nnunet_hetero.io.documents import CsvDocument
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.extent import MILLILITRES, SQUARE_MILLIMETRES
from nnunet_hetero.nnunet.json_files import DATASET_JSON
from nnunet_hetero.nnunet.regions import Region
from nnunet_hetero.viewer.facts import (
    AREAS,
    DICE,
    DISAGREEMENT,
    MODALITIES,
    UNITS,
    VOLUMES,
    dice_in_words,
    modalities_in_words,
    number_in_words,
    size_in_words,
    suspicion_in_words,
)
from nnunet_hetero.viewer.layers import Background, CaseView, Overlay
from nnunet_hetero.viewer.picture import Picture
from nnunet_hetero.viewer.sources import changes, images_of, made_from, predicted_images

QUANTITIES = ("entropy", "mutual_information")


@dataclass(frozen=True)
class CaseFolder:
    """The files of predictions, and where the images and the truth are.

    Args:
        output: Folder of predictions, with ``dataset.json``.
        images: Folder of the images; None takes those that each case was predicted from.
        labels: Folder of true label maps; None knows no truth.
        predictions: ``predictions`` of an evaluation, with a folder for each subset; None shows no subsets.
    """

    output: Path
    images: Path | None = None
    labels: Path | None = None
    predictions: Path | None = None

    @property
    def dataset(self) -> dict:
        """Content of ``dataset.json``.

        Raises:
            DataError: If the folder has none.
        """
        return DATASET_JSON.read(self.output / "dataset.json")

    @property
    def modalities(self) -> Modalities:
        """The model's modalities."""
        return Modalities.from_dataset_json(self.dataset)

    @property
    def regions(self) -> dict[str, Region]:
        """Label values by region."""
        found: dict[str, Region] = {}
        for name, labels in self.dataset["labels"].items():
            values = tuple(labels) if isinstance(labels, (list, tuple)) else (labels,)
            if name != "ignore" and set(values) != {0}:
                found[name] = values if len(values) > 1 else values[0]
        return found

    def cases(self) -> list[str]:
        """Names of the cases that were predicted.

        Raises:
            DataError: If there is none.
        """
        ending = self.dataset["file_ending"]
        names = [file.name for file in self.output.iterdir() if file.is_file() and file.name.endswith(ending)]
        cases = sorted(name.removesuffix(ending) for name in names if not name.startswith("."))
        if not cases:
            raise DataError(f"{self.output} has no segmentation CASE{ending}. Give the output folder of a prediction.")
        return cases

    def view(self, case: str) -> CaseView:
        """What is known of a case.

        Raises:
            DataError: If it was not predicted, there is no image of it, or an image lies on another grid.
        """
        file = self.output / f"{case}{self.dataset['file_ending']}"
        if not file.is_file():
            raise DataError(f"Case '{case}': {file} is not there. Predicted are: {', '.join(self.cases()[:5])} ...")
        prediction = Picture.read(file)
        acquired = dict(self._images(case))
        completed, unmarked = self._completed(case)
        backgrounds = [Background(name, "image", picture) for name, picture in acquired.items()]
        backgrounds += [Background(name, "completed", picture) for name, picture in completed.items()]
        for name in completed:
            if name in acquired:
                difference = completed[name].data.astype(np.float32) - acquired[name].data
                backgrounds.append(Background(name, "difference", Picture(difference, prediction.affine)))
        if not backgrounds:
            raise DataError(
                f"Case '{case}': there is no image to show. Name the folder of its images with --images; it may have "
                "moved since the prediction."
            )
        return CaseView(
            case,
            self.regions,
            prediction,
            backgrounds,
            list(self._maps(case)),
            self._truth(case),
            dict(self._subsets(case)),
            self._facts(case),
            [
                *self._not_shown(case, acquired),
                *self._suspicions(case),
                *(f"{name}: nothing says that this completed image is synthetic. It is." for name in unmarked),
            ],
        )

    def numbers_of(self, case: str) -> dict[str, float]:
        """What a list of cases can be sorted by: predicted Dice, volumes and disagreement, as far as they are known."""
        volumes = _row(self.output / "volumes.csv", case)
        disagreement = _row(self.output / "uncertainty" / "uncertainty.csv", case)
        predicted = {row["region"]: row["dice"] for row in _rows(self.output / "quality.csv", QUALITY, case)}
        found = {}
        for name in self.regions:
            for column, text in (
                (f"{name}, predicted Dice", predicted.get(name)),
                *((f"{name}, {words}", volumes.get(f"{plain_name(name)}_{unit}")) for unit, words in UNITS.items()),
                (f"{name}, disagreement", disagreement.get(f"{plain_name(name)}_disagreement")),
            ):
                if text:
                    found[column] = float(text)
        return found

    def _images(self, case: str) -> Iterator[tuple[str, Picture]]:
        if self.images is None:
            folder = images_of(self.output)
            beside = {} if folder is None else self._files_in(folder, case)
            files = predicted_images(made_from(self.output, case), beside)
        else:
            files = self._files_in(self.images, case)
            if not files:
                raise DataError(f"Case '{case}': {self.images} has no image of it. Name the folder with --images.")
        for name in self.modalities.names:
            if name in files:
                picture = Picture.read(files[name])
                if picture.data.any():
                    yield name, picture

    def _files_in(self, folder: Path, case: str) -> dict[str, Path]:
        found = {entry.name: entry.files for entry in find_cases(folder, self.modalities, self.dataset["file_ending"])}
        files = zip(self.modalities.names, found.get(case, ()), strict=False)
        return {name: Path(file) for name, file in files if file is not None}

    def _not_shown(self, case: str, acquired: Collection[str]) -> list[str]:
        """What is wrong with the images that the case was segmented from."""
        known = made_from(self.output, case)
        if self.images is None:
            return [] if known is None else changes(known, "prediction")
        entry = read_record(self.output, case)
        without = [name for name in (entry["used"] if entry else ()) if name not in acquired]
        return [f"{name} was used, but is not shown: {self.images} has no image of it." for name in without]

    def _suspicions(self, case: str) -> list[str]:
        rows = _rows(self.output / "checks.csv", CHECKS, case)
        return [suspicion_in_words(row["modality"], row["looks"]) for row in rows if row["looks"]]

    def _completed(self, case: str) -> tuple[dict[str, Picture], list[str]]:
        """Completed images by modality, and those of them that no file marks as synthetic."""
        found, unmarked = {}, []
        for channel, name in enumerate(self.modalities.names):
            files = sorted((self.output / "completed").glob(f"{_literal(case)}_{channel:04d}.*"))
            images = [file for file in files if file.suffix != ".json"]
            if images:
                found[name] = Picture.read(images[0])
                if len(images) == len(files):
                    unmarked.append(name)
        return found, unmarked

    def _maps(self, case: str) -> Iterator[Overlay]:
        for quantity in QUANTITIES:
            for region in self.regions:
                pattern = f"{_literal(case)}_{quantity}_{plain_name(region)}.*"
                for file in (self.output / "uncertainty").glob(pattern):
                    yield Overlay(region, quantity.replace("_", " "), Picture.read(file))
        probabilities = self.output / f"{case}.npz"
        if probabilities.is_file():
            like = Picture.read(self.output / f"{case}{self.dataset['file_ending']}")
            with np.load(probabilities) as stored:  # without pickles
                maps = stored["probabilities"]
            # Without regions nnU-Net keeps one map per label, the background's first.
            maps = maps if "regions_class_order" in self.dataset else maps[1:]
            for region, values in zip(self.regions, maps, strict=False):
                yield Overlay(region, "probability", Picture.of_array(values, like))

    def _truth(self, case: str) -> Picture | None:
        if self.labels is None:
            return None
        file = self.labels / f"{case}{self.dataset['file_ending']}"
        if not file.is_file():
            raise DataError(f"Case '{case}': the true label map {file} is not there. Name its folder with --labels.")
        return Picture.read(file)

    def _subsets(self, case: str) -> Iterator[tuple[str, Picture]]:
        if self.predictions is None:
            return
        folders = [folder for folder in self.predictions.iterdir() if folder.is_dir()]
        name = f"{case}{self.dataset['file_ending']}"
        files = [folder / name for folder in folders if (folder / name).is_file()]
        if not files:
            raise DataError(
                f"Case '{case}': no folder in {self.predictions} holds {name}. Name the folder 'predictions' of an "
                "evaluation of the case with --save_predictions."
            )
        for file in sorted(files, key=lambda file: (file.parent.name.count("+"), file.parent.name)):
            yield file.parent.name, Picture.read(file)

    def _facts(self, case: str) -> Mapping[str, list[tuple[str, str]]]:
        facts: dict[str, list[tuple[str, str]]] = {}
        entry = read_record(self.output, case)
        if entry is not None:
            facts[MODALITIES] = modalities_in_words(entry["used"], entry["absent"])
        volumes = _row(self.output / "volumes.csv", case)
        if volumes:
            flat = any(column.endswith(f"_{SQUARE_MILLIMETRES}") and number for column, number in volumes.items())
            unit, heading = (SQUARE_MILLIMETRES, AREAS) if flat else (MILLILITRES, VOLUMES)
            facts[heading] = [(name, _size(volumes, plain_name(name), unit)) for name in self.regions]
            if volumes.get("interval_note"):
                facts[heading].append(("no interval", volumes["interval_note"]))
        quality = _rows(self.output / "quality.csv", QUALITY, case)
        if quality:
            facts[DICE] = [
                (row["region"], dice_in_words(row["dice"], row["dice_low"], row["level"])) for row in quality
            ]
        disagreement = _row(self.output / "uncertainty" / "uncertainty.csv", case)
        if disagreement:
            facts[DISAGREEMENT] = [
                (name, number_in_words(disagreement.get(f"{plain_name(name)}_disagreement"))) for name in self.regions
            ]
        return facts


NUMBER = Annotated[str, Field(pattern=r"^$|^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")]
WORDS = {"modalities": str, "interval_note": str}
PREDICTED = CsvDocument({"case": str}, "a table of a prediction, numbers by case", "Predict again.", WORDS, NUMBER)
QUALITY = CsvDocument(
    {"case": str, "region": str, "dice": NUMBER, "dice_low": NUMBER, "level": NUMBER},
    "the Dice that was predicted of each region",
    "Predict again.",
)
CHECKS = CsvDocument(
    {"case": str, "modality": str, "check": str, "looks": str}, "the checks of the input", "Predict again."
)


def _size(row: Mapping[str, str], region: str, unit: str) -> str:
    size, low, high = (row.get(f"{region}_{unit}{end}") for end in ("", "_low", "_high"))
    return size_in_words(size, low, high, unit, row.get("interval_level"))


def _row(file: Path, case: str) -> dict[str, str]:
    """The row of a case in a table that the prediction wrote; empty if there is none."""
    if not os.path.lexists(file):
        return {}
    return next((row for row in PREDICTED.read(file) if row["case"] == case), {})


def _rows(file: Path, document: CsvDocument, case: str) -> list[dict[str, str]]:
    """The rows of a case in a table that has several; none if the prediction wrote no such table."""
    return [row for row in document.read(file) if row["case"] == case] if os.path.lexists(file) else []


def _literal(name: str) -> str:
    """A name for `Path.glob`, in which brackets would mean something."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
