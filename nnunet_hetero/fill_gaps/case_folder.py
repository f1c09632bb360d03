"""The cases of a raw data set or of a folder for prediction, as far as names tell: who lacks which file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

from nnunet_hetero.cases.find import Case, find_cases
from nnunet_hetero.cases.naming.neighbours import meant_instead
from nnunet_hetero.cases.raw_dataset import DATASET_JSON, read_dataset_json
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.model_gate import require_plain_dataset_json

LISTED = 20
"""Problems that an error names one by one."""


@dataclass(frozen=True)
class CaseFolder:
    """Where gaps are filled.

    Args:
        folder: The data set's folder, or the folder for prediction; the record lies in it.
        images: Where the images are, and where all-zero files go.
        dataset_json: Content of ``dataset.json``, which says how many channels there are.
        training: Whether it is a data set to train on: it has labels and a dataset.json of its own.
    """

    folder: Path
    images: Path
    dataset_json: dict
    training: bool

    @classmethod
    def of_dataset(cls, folder: Path) -> CaseFolder:
        """The training cases of ``nnUNet_raw/DatasetNNN_NAME``."""
        return cls(folder, folder / "imagesTr", read_dataset_json(folder), True)

    @classmethod
    def of_folder(cls, folder: Path, dataset_json: dict) -> CaseFolder:
        """Cases to predict, named by the channels of a data set."""
        return cls(folder, folder, dataset_json, False)

    @property
    def modalities(self) -> Modalities:
        """The modalities, in channel order."""
        return Modalities.from_dataset_json(self.dataset_json)

    @property
    def ending(self) -> str:
        """File ending of the images."""
        return self.dataset_json["file_ending"]

    @property
    def listed(self) -> dict | None:
        """The files that dataset.json lists instead of leaving them to their names; None if it does not."""
        return self.dataset_json.get("dataset") if self.training else None

    def name_of(self, case: str, channel: int) -> str:
        """File name of a channel."""
        return f"{case}_{channel:04d}{self.ending}"

    def path_of(self, entry: str) -> str:
        """A path of dataset.json, read as nnU-Net reads it."""
        return os.path.abspath(self.folder / os.path.expandvars(entry))

    def images_by_channel(self, entries: Sequence[str | None]) -> tuple[str | None, ...]:
        """Paths of a case in dataset.json, one per channel, as they are written there; None for what is not there.

        Args:
            entries: As in dataset.json: named ``CASE_XXXX`` in any order, or one per channel, null for an absent one.
        """
        written = {self.path_of(entry): entry for entry in entries if entry is not None}
        (case,) = find_cases([[e and self.path_of(e) for e in entries]], self.modalities, self.ending)
        return tuple(file and written.get(file) for file in case.files)

    def label_of(self, case: str) -> str | None:
        """The file of a case's label; None in a folder for prediction."""
        if not self.training:
            return None
        if self.listed is not None:
            return self.path_of(self.listed[case]["label"])
        return str(self.folder / "labelsTr" / (case + self.ending))

    def reader(self, example: str) -> BaseReaderWriter:
        """nnU-Net's class that reads and writes these images.

        Raises:
            SettingsError: If nnU-Net has none, or dataset.json names one that is none.
        """
        require_plain_dataset_json(self.dataset_json, "dataset.json")
        try:
            return determine_reader_writer_from_dataset_json(self.dataset_json, example, verbose=False)()
        except RuntimeError as error:
            raise SettingsError(
                f"nnU-Net has no reader for {example} (file_ending '{self.ending}' in dataset.json)."
            ) from error


def find(cohort: CaseFolder) -> list[Case]:
    """All cases, None for every file that is not there.

    Raises:
        DataError: If a name is wrong, two files claim one channel, a case has no image or no label, or a label belongs
            to no case. All problems are named together, nothing is changed.
    """
    if cohort.listed is None:
        cases = find_cases(cohort.images, cohort.modalities, cohort.ending)
        problems = []
    else:
        cases = [_listed_case(cohort, name, entry) for name, entry in sorted(cohort.listed.items())]
        problems = _claimed_twice(cases)
    problems += [case.problem for case in cases if case.problem]
    if cohort.training:
        problems += _label_problems(cohort, [case.name for case in cases])
    refuse(problems)
    return cases


def refuse(problems: Sequence[str]) -> None:
    """Raise a `DataError` of all problems, if there are any."""
    if not problems:
        return
    more = [f"... and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
    lines = "".join(f"\n  {problem}" for problem in [*problems[:LISTED], *more])
    raise DataError(f"Nothing was changed, since {len(problems)} thing(s) are wrong:{lines}")


def _listed_case(cohort: CaseFolder, name: str, entry: dict) -> Case:
    files = [None if path is None else cohort.path_of(path) for path in entry["images"]]
    if not any(files):
        return Case(name, (None,) * len(cohort.modalities), _no_image(name))
    (case,) = find_cases([files], cohort.modalities, cohort.ending)
    there = tuple(file if file and os.path.isfile(file) else None for file in case.files)
    if case.problem:
        return Case(name, there, f"{DATASET_JSON} lists wrong images. {case.problem}")
    for file in case.files:
        instead = meant_instead(file) if file and file not in there else []
        if instead:
            problem = f"Case '{name}': {DATASET_JSON} lists {file}; not it, but {instead[0]} is there. Mend one."
            return Case(name, there, problem)
    return Case(name, there, None if any(there) else _no_image(name))


def _no_image(case: str) -> str:
    return f"Case '{case}' has no image at all. At least one modality is needed; add it, or remove the case's label."


def _claimed_twice(cases: Iterable[Case]) -> list[str]:
    claims = Counter(filter(None, chain.from_iterable(case.files for case in cases)))
    return [
        f"{DATASET_JSON} lists {file} {count} times. An image is one channel of one case."
        for file, count in claims.items()
        if count > 1
    ]


def _label_problems(cohort: CaseFolder, cases: Sequence[str]) -> list[str]:
    labels = cohort.folder / "labelsTr"
    problems = []
    for case in cases:
        label = cohort.label_of(case)
        if label is not None and not os.path.isfile(label):
            instead = "".join(f" There is {file}; is it that?" for file in meant_instead(label)[:1])
            problems.append(f"Case '{case}' has no label: expected {label}.{instead} Add it, or remove the case.")
    if cohort.listed is None and labels.is_dir():
        files = sorted(path.name for path in labels.iterdir() if not path.name.startswith("."))
        names = [file.removesuffix(cohort.ending) for file in files if file.endswith(cohort.ending)]
        problems += [
            f"{_no_image(name)} Its label is {labels / (name + cohort.ending)}; or is this the label of another case?"
            for name in names
            if name not in set(cases)
        ]
    return problems
