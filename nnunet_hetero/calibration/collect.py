"""The records of all cases, each made by folds that have not seen it; what an earlier run has made is kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from nnunet_hetero.calibration.measure import measure_case
from nnunet_hetero.calibration.records import COLLECTED, CaseRecord
from nnunet_hetero.calibration.request import CalibrationRequest
from nnunet_hetero.cases.raw_dataset import CASE_TABLE
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.sweep.groups import CaseGroup, cases_of, entries_of, load_folds, predictor_of
from nnunet_hetero.evaluation.sweep.labelled import LabelledCase, split_of
from nnunet_hetero.evaluation.sweep.request import Fold
from nnunet_hetero.evaluation.sweep.training_copies import RAW, copies_of_training
from nnunet_hetero.inference.model.model_folder import checked_folds
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.atomic_files import clear_drafts
from nnunet_hetero.io.provenance import Provenance
from nnunet_hetero.modalities import parse_subsets
from nnunet_hetero.reliability.calibration_file import TOGETHER, CalibratedModel
from nnunet_hetero.splits.cohort import patients_of, without_row

RECORD_VERSION = 5
"""Changes with what a record means."""


@dataclass
class Collection:
    """What was collected.

    Args:
        model: Which model, and how it predicted.
        modalities: Names, in channel order.
        regions: Names, in order.
        together: Whether all folds predicted each case together.
        records: By case.
        failed: By case, why it has no record.
        seen: Patients without a record of these cases, since the fold that would predict them has trained on others of
            theirs.
        subsets: Labels of those that the model can be given.
        without_row: Cases that ``cases.csv``, if it is there, says nothing of.
    """

    model: CalibratedModel
    modalities: list[str]
    regions: list[str]
    together: bool
    records: dict[str, CaseRecord] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    subsets: list[str] = field(default_factory=list)
    without_row: list[str] = field(default_factory=list)


def collect(request: CalibrationRequest) -> Collection:
    """Predict each case from every subset of its modalities by folds that have not seen it, and measure.

    Args:
        request: Which model, and which cases.

    Raises:
        SettingsError: If the model or a fold does not exist, or has seen the cases.
        DataError: If there are no cases, or a label map is missing.
    """
    folds = checked_folds(Path(request.model_folder), request.folds, request.checkpoint_name)
    if "all" in folds and request.images is None:
        raise SettingsError(
            "Fold 'all' trained on every case, so none is left to calibrate on. Choose other folds with -f, or give "
            "labelled cases that it has not seen with -i and -l."
        )
    groups = request.sweep.groups(folds)
    predictor = predictor_of(request.sweep)
    load_folds(predictor, request.sweep, groups[0])
    _refuse_training_images(request, predictor)
    cases = cases_of(request.sweep, predictor, groups)
    return _Collector(request, predictor, cases).collect(cases)


def _refuse_training_images(request: CalibrationRequest, predictor: HeteroModalPredictor) -> None:
    if request.images is None or RAW not in os.environ:
        return
    training = Path(os.environ[RAW], predictor.plans_manager.dataset_name, "imagesTr")
    if training.is_dir() and training.samefile(request.images):
        raise SettingsError(
            f"-i {request.images} is the folder of the training cases; on them the model is better than on new ones. "
            "Leave -i and -l out, so that each fold predicts its own validation cases, or give cases it has not seen."
        )


class _Collector:
    """One model over cases and subsets."""

    def __init__(self, request: CalibrationRequest, predictor: HeteroModalPredictor, cases: Sequence[CaseGroup]):
        self.request = request
        self.predictor = predictor
        self.folder = request.folder / COLLECTED
        self.subsets = parse_subsets(predictor.modalities, None, predictor.model.network.required)
        names = [entry.case.name for entry in entries_of(cases)]
        self.patients = patients_of(names, self._case_table())
        self.without_row = without_row(names, self._case_table())
        self.copies = self._copies(cases)

    def _copies(self, cases: Sequence[CaseGroup]) -> dict[str, str]:
        """The training cases whose images labelled cases from elsewhere have, by labelled case."""
        if self.request.images is None:
            return {}
        dataset, progress = self.predictor.plans_manager.dataset_name, self.request.progress
        return copies_of_training(entries_of(cases), dataset, cases[0].folds, progress)

    def _case_table(self) -> Path:
        if self.request.images is not None:
            return Path(self.request.images).absolute().parent / CASE_TABLE
        return Path(os.environ[RAW], self.predictor.plans_manager.dataset_name, CASE_TABLE)

    def collect(self, cases: Sequence[CaseGroup]) -> Collection:
        """Go over all groups; the predictor holds the first one's folds already."""
        clear_drafts(self.folder)
        collection = Collection(
            self._describe(cases[0].folds),
            list(self.predictor.modalities.names),
            list(self.predictor.model.regions),
            self.request.images is not None,
            subsets=list(map(self.predictor.modalities.label, self.subsets)),
            without_row=self.without_row,
        )
        total = len(self.subsets) * sum(len(group.cases) for group in cases)
        with tqdm(total=total, desc="Cases × subsets", disable=not self.request.progress) as bar:
            for number, group in enumerate(cases):
                if number:
                    load_folds(self.predictor, self.request.sweep, group.folds)
                own = self._describe(group.folds)
                weights = {**collection.model.weights, **own.weights}
                collection.model = replace(collection.model, weights=weights)
                seen = self._trained_on(group.folds)
                for entry in group.cases:
                    if (patient := self.patients[entry.case.name]) in seen:
                        collection.seen.add(patient)
                        bar.update(len(self.subsets))
                    else:
                        self._collect_case(collection, entry, own, bar)
        return collection

    def _trained_on(self, folds: Sequence[Fold]) -> set[str]:
        """The patients that the folds have trained on; of labelled cases from elsewhere nobody knows."""
        if self.request.images is not None:
            return set()
        dataset = self.predictor.plans_manager.dataset_name
        names: set[str] = set()
        for fold in folds:
            names |= set(split_of(dataset, fold)["train"])
        return set(patients_of(sorted(names), self._case_table()).values())

    def _describe(self, folds: Sequence[Fold]) -> CalibratedModel:
        calibration = self.predictor.calibration
        if calibration is None:
            raise ValueError("The model was not loaded from its folder.")
        return calibration.describe(self.predictor.model, list(map(str, folds)))

    def _collect_case(self, collection: Collection, entry: LabelledCase, own: CalibratedModel, bar: tqdm) -> None:
        name, end = entry.case.name, bar.n + len(self.subsets)
        bar.set_postfix_str(name)
        file = self.folder / f"{name}.json"
        made_from = self._made_from(entry, own)
        fold = TOGETHER if collection.together else next(iter(own.weights))
        try:
            self._refuse_copy(name)
            record = CaseRecord.read(file, made_from, collection.regions)
            if record is None:
                subsets, patient = self.subsets, self.patients[name]
                record = measure_case(self.predictor.model, entry, subsets, fold, patient, bar.update)
                record.write(file, made_from)
            collection.records[name] = record
        except DataError as error:
            collection.failed[name] = str(error)
        bar.update(end - bar.n)

    def _refuse_copy(self, name: str) -> None:
        if name in self.copies:
            raise DataError(
                f"Case '{name}': its images are those of the training case '{self.copies[name]}', which the model has "
                "seen; on it the model is better than on new cases. Leave it out."
            )

    def _made_from(self, entry: LabelledCase, own: CalibratedModel) -> Provenance:
        """What the record of a case depends on."""
        names = self.predictor.modalities.names
        images = dict(zip(names, entry.case.files, strict=False))  # a case with a problem may have any number
        settings = {
            "record": RECORD_VERSION,
            **asdict(own),
            "seed": self.request.sampling.seed,
            "patient": self.patients[entry.case.name],
        }
        return Provenance.of({**images, "label map": entry.label}, settings)
