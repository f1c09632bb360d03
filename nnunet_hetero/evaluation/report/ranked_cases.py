"""The worst, median and best case of every subset, as pictures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnunet_hetero.evaluation.compare.statistics import known_mean
from nnunet_hetero.evaluation.report.figures import OverlayRow, Picture
from nnunet_hetero.evaluation.report.model_files import MODEL_LABELS, read_or_leave_out
from nnunet_hetero.evaluation.sweep.run import Run
from nnunet_hetero.evaluation.sweep.snapshots import Snapshot, load_snapshot
from nnunet_hetero.nnunet.regions import Region

_TITLE_LENGTH = 22


def region_labels(run: Run) -> dict[str, Region] | None:
    """Label values of each region, from the summary or the model's ``dataset.json``; None if both are out of reach."""
    labels = run.summary.labels
    if labels is None and run.model_folder is not None:
        labels = read_or_leave_out(MODEL_LABELS, run.model_folder / "dataset.json").get("labels")
    if labels is None or any(region not in labels for region in run.regions):
        return None
    values = {region: np.atleast_1d(labels[region]).tolist() for region in run.regions}
    return {region: tuple(numbers) for region, numbers in values.items()}


def ranked_overlays(run: Run) -> tuple[list[OverlayRow], list[str]]:
    """Pictures of the worst, median and best case per subset, by the mean Dice over the regions.

    Returns:
        The subsets that have pictures, and what the pictures of each are. With two cases there are worst and best,
        with one case there is one picture.
    """
    snapshots = {case: found for case in run.cases if (found := load_snapshot(run.folder, case)) is not None}
    rows = []
    for place, subset in enumerate(run.subsets):
        name = run.modalities.label(subset)
        means = {case: float(known_mean(run.scores["dice"][place, number])) for number, case in enumerate(run.cases)}
        known = [
            case
            for case in run.cases
            if case in snapshots and name in snapshots[case].predictions and not np.isnan(means[case])
        ]
        ranked = sorted(known, key=lambda case: (means[case], case))
        if ranked:
            shown = {0: ranked[0], 1: ranked[(len(ranked) - 1) // 2], 2: ranked[-1]}
            places = {1: [1], 2: [0, 2]}.get(len(run.cases), [0, 1, 2])
            pictures = [_picture(shown[rank], snapshots[shown[rank]], subset, name, means) for rank in places]
            rows.append(OverlayRow(name, tuple(pictures)))
    columns = {1: ["the only case"], 2: ["worst", "best"]}.get(len(run.cases), ["worst", "median", "best"])
    return rows, columns


def _picture(case: str, snapshot: Snapshot, subset: tuple[int, ...], name: str, dice: Mapping[str, float]) -> Picture:
    available = [channel for channel in subset if snapshot.images[channel].any()]
    short = case if len(case) <= _TITLE_LENGTH else f"…{case[1 - _TITLE_LENGTH :]}"
    return Picture(
        f"{short}\nDice {100 * dice[case]:.1f}",
        snapshot.images[available[-1] if available else subset[-1]],
        snapshot.truth,
        snapshot.predictions[name],
        snapshot.spacing[0] / snapshot.spacing[1],
    )
