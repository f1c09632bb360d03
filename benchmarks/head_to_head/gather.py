"""Collects what the finished trainings of a benchmark found, and what its reader must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from head_to_head.records import COMPLETION_RECORD
from head_to_head.report import Findings
from head_to_head.runs import COMPLETION, EVALUATION, TrainingRun
from head_to_head.scores import ScoredRun
from nnunet_hetero.evaluation.sweep.run import read_run


def gather(runs: Sequence[TrainingRun], cost: Mapping[str, Any], against: str) -> Findings:
    """All numbers of finished trainings, and the notes."""
    scored, completion, why_not = [], [], {}
    for training in runs:
        key = {"method": training.method.name, "seed": training.seed, "fold": training.fold}
        scored.append(ScoredRun(*key.values(), read_run(training.folder / EVALUATION, training.method.name)))
        images = COMPLETION_RECORD.read(training.folder / COMPLETION)
        completion += [{**key, **row} for row in images["rows"]]
        if images["note"]:
            why_not.setdefault(images["note"], []).append(training.method.name)
    notes = [_about_trainings(runs), _about_cost(cost), *_about_methods(runs, cost["found"])]
    for note, names in why_not.items():
        notes.append(f"No completed images of {', '.join(dict.fromkeys(names))}: {note}")
    return Findings(scored, cost["found"], completion, notes, against)


def _about_trainings(runs: Sequence[TrainingRun]) -> str:
    record = runs[0].record
    folds, seeds = (len({getattr(training, what) for training in runs}) for what in ("fold", "seed"))
    steps = record["num_epochs"] * record["num_iterations_per_epoch"]
    patch, features = "×".join(map(str, record["patch"])), "/".join(map(str, record["features"]))
    return (
        f"{folds} fold(s), {seeds} seed(s); {steps} steps, patch {patch}, batch {record['batch']}, features "
        f"{features}. Means over the held-out cases of a fold, then over folds and seeds; ± is the standard deviation "
        "over these."
    )


def _about_cost(cost: Mapping[str, Any]) -> str:
    return (
        f"Cost on {cost['machine']}: median of {cost['work']['repeats']} steps of each method, taken in turns, with "
        "the optimiser, without loading; memory in a step with all modalities."
    )


def _about_methods(runs: Sequence[TrainingRun], found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    notes = []
    for method in {training.method.name: training.method for training in runs}.values():
        entry = found[method.name]
        changed = ", ".join(f"{key} {value}" for key, value in method.settings.items())
        text = (
            f"{method.name}: {method.trainer}, {entry['optimizer']} {entry['lr']:g}, {entry['schedule']}, weight decay "
            f"{entry['weight_decay']:g}{'; settings: ' + changed if changed else ''}. {method.note}"
        )
        notes.append(text.rstrip())
    return notes
