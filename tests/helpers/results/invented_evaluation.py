"""Folders as ``nnunet_hetero evaluate`` leaves them, made in a moment from invented scores."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nnunet_hetero.evaluation.sweep.means import summarise
from nnunet_hetero.evaluation.sweep.snapshots import save_snapshot
from nnunet_hetero.modalities import Modalities, all_subsets

BRATS = ("T1", "T1c", "T2", "FLAIR")
REGIONS = {"whole_tumor": (1, 2, 3), "tumor_core": (2, 3), "enhancing_tumor": (3,)}

Score = Callable[[int, tuple[int, ...], str], float | None]
"""From case number, subset and region to the Dice, None for no value."""


def random_scores(seed: int, shift: float = 0.0) -> Score:
    """Scores between 0 and 1 that grow with the subset; the same call gives the same score."""

    def score(case: int, subset: tuple[int, ...], region: str) -> float:
        noise = np.random.default_rng([seed, case, *subset, 99, len(region)]).normal(0, 0.03)
        return float(np.clip(0.5 + 0.08 * len(subset) + 0.02 * case / 10 + shift + noise, 0, 1))

    return score


def additive(case: int, subset: tuple[int, ...], region: str) -> float | None:
    """T1 brings 1, CT 20 percentage points, and 5 more for cases with an odd number; one case has no core."""
    if region == "core" and case == 2:
        return None
    return 0.3 + 0.01 * (0 in subset) + (0.2 + 0.05 * (case % 2)) * (1 in subset) + case / 1000


def write_additive(folder: Path) -> Path:
    """The evaluation in a model's fold of four cases with the scores of `additive`, and pictures."""
    place = folder / "model" / "fold_0" / "evaluation"
    return write_evaluation(place, additive, ("T1", "CT"), ("whole", "core"), cases=4, pictures=True)


def write_evaluation(
    folder: Path,
    score: Score,
    modalities: Sequence[str] = BRATS,
    regions: Sequence[str] = tuple(REGIONS),
    cases: int = 6,
    subsets: Sequence[tuple[int, ...]] | None = None,
    trainer: str = "HeteroModalVAETrainer",
    folds: Sequence[str] = ("0",),
    pictures: bool = False,
    **settings,
) -> Path:
    """Write ``metrics.csv``, ``summary.json`` and ``settings.json``, with an HD95 of 10 mm times what the Dice lacks.

    Args:
        folder: Where to; made if it is not there.
        score: The Dice.
        modalities: Names.
        regions: Names.
        cases: How many.
        subsets: Default: all.
        trainer: Name of the model's trainer.
        folds: Names of the folds.
        pictures: Whether to keep slices too.
        settings: More settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = Modalities(tuple(modalities))
    rows = []
    for number in range(cases):
        for subset in subsets or all_subsets(len(modalities)):
            for region in regions:
                dice = score(number, subset, region)
                rows.append(
                    {
                        "case": f"case_{number:02d}",
                        "subset": known.label(subset),
                        "n_modalities": len(subset),
                        "region": region,
                        "dice": float("nan") if dice is None else dice,
                        "hd95": float("nan") if dice is None else 10 * (1 - dice),
                    }
                )
            if pictures:
                _save(folder, f"case_{number:02d}", known.label(subset), number, len(modalities))
    with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({key: "" if value != value else value for key, value in row.items()} for row in rows)
    settings = {
        "model": f"{trainer}__nnUNetPlans__3d_fullres",
        "version": "0.1.0",
        "checkpoints": {fold: 1.7e9 for fold in folds},
        "mirroring": True,
        **settings,
    }
    summary = replace(
        summarise(rows, known, list(regions), ("dice", "hd95")),
        conventions={"dice": "as invented"},
        folds=tuple(folds),
        labels={region: list(REGIONS.get(region, (1,))) for region in regions},
    )
    for name, content in (("settings", settings), ("summary", summary.to_json())):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def _save(folder: Path, case: str, subset: str, number: int, modalities: int) -> None:
    images = np.zeros((modalities, 3, 40, 32), np.float32)
    images[:, :, 4:36, 4:28] = np.random.default_rng(number).uniform(1, 2, (modalities, 3, 32, 24))
    truth = np.zeros(images.shape[1:], np.uint8)
    truth[1, 10:26, 10:22] = 1
    truth[1, 14:22, 12:20] = 2
    truth[1, 16:20, 14:18] = 3
    save_snapshot(folder, case, subset, images, truth, np.roll(truth, number, axis=1), (1.0, 1.0, 1.0))
