"""From the folder of an evaluation to what a page shows of a case: what would the model say from each subset?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.report.ranked_cases import region_labels
from nnunet_hetero.evaluation.sweep.results import SOURCES_FILE
from nnunet_hetero.evaluation.sweep.run import Run, read_run
from nnunet_hetero.io.provenance import Provenance
from nnunet_hetero.viewer.layers import Background, CaseView
from nnunet_hetero.viewer.picture import Picture
from nnunet_hetero.viewer.sources import changes

PREDICTIONS = "predictions"
LABEL_MAP = "label map"


@dataclass(frozen=True)
class EvaluationFolder:
    """An evaluation with its label maps (``--save_predictions``), its images and its truth.

    Args:
        folder: With ``settings.json``, ``metrics.csv``, ``sources.json`` and ``predictions``.
    """

    folder: Path

    @classmethod
    def is_one(cls, folder: Path) -> bool:
        """Whether a folder is that of an evaluation that kept its label maps."""
        return (folder / SOURCES_FILE).is_file() and (folder / PREDICTIONS).is_dir()

    @cached_property
    def run(self) -> Run:
        """The evaluation's results."""
        return read_run(self.folder)

    def cases(self) -> list[str]:
        """Names of the cases."""
        return list(self.run.cases)

    def numbers_of(self, case: str) -> dict[str, float]:
        """What a list of cases can be sorted by: the Dice of each region, mean over the subsets, in %."""
        place = self.run.cases.index(case)
        dice = self.run.scores["dice"][:, place]
        return {
            f"{region}, mean Dice": round(100 * float(dice[:, number].mean()), 1)
            for number, region in enumerate(self.run.regions)
            if dice[:, number].size and dice[:, number].mean() == dice[:, number].mean()
        }

    def view(self, case: str) -> CaseView:
        """What is known of a case.

        Raises:
            DataError: If it was not evaluated, its label maps or images are not there, or they have different grids.
        """
        regions = region_labels(self.run)
        sources = self._sources(case)
        subsets = dict(self._predictions(case))
        if not subsets or regions is None:
            raise DataError(f"Case '{case}': {self.folder} has no label maps of it. Evaluate with --save_predictions.")
        files = {name: Path(entry["path"]) for name, entry in sources.sources.items()}
        names = [name for name in self.run.modalities.names if name in files and files[name].is_file()]
        images = [Background(name, "image", Picture.read(files[name])) for name in names]
        backgrounds = [entry for entry in images if entry.picture.data.any()]
        if not backgrounds:
            raise DataError(f"Case '{case}': its images are gone since the evaluation. Put them back.")
        truth = Picture.read(files[LABEL_MAP]) if LABEL_MAP in files and files[LABEL_MAP].is_file() else None
        # What was segmented from most is shown first.
        whole = max(subsets, key=lambda name: name.count("+"))
        prediction = subsets[whole]
        facts = {"Shown first": [("segmented from", whole)], "Mean Dice over the subsets, %": self._scores(case)}
        warnings = changes(sources, "evaluation")
        return CaseView(case, regions, prediction, backgrounds, (), truth, subsets, facts, warnings)

    def _scores(self, case: str) -> list[tuple[str, str]]:
        return [(name.removesuffix(", mean Dice"), f"{value:.1f}") for name, value in self.numbers_of(case).items()]

    def _sources(self, case: str) -> Provenance:
        known = json.loads((self.folder / SOURCES_FILE).read_text(encoding="utf-8"))
        found = Provenance.from_json(known.get(case)) if isinstance(known, dict) else None
        if found is None:
            raise DataError(f"Case '{case}': {self.folder / SOURCES_FILE} does not say what it was evaluated from.")
        return found

    def _predictions(self, case: str) -> Iterator[tuple[str, Picture]]:
        for subset in self.run.subsets:
            name = self.run.modalities.label(subset)
            for file in sorted((self.folder / PREDICTIONS / name).glob("*")):
                if file.name.split(".")[0] == case.split(".")[0] and file.name.startswith(f"{case}."):
                    yield name, Picture.read(file)
