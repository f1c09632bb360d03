"""The report of one evaluation: ``report.html`` in its folder, and the single plots."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_hetero.evaluation.compare.gains import modality_gains
from nnunet_hetero.evaluation.compare.statistics import known_mean
from nnunet_hetero.evaluation.report.case_pages import HEADING, page_links
from nnunet_hetero.evaluation.report.figures import OverlayRow, gain_bars, heat_map, overlay_grid
from nnunet_hetero.evaluation.report.figures.common import own_style
from nnunet_hetero.evaluation.report.model_files import MODEL_PLANS, configuration_of, read_or_leave_out
from nnunet_hetero.evaluation.report.page import ExtraTable, NamedFigure, write_figures, write_report
from nnunet_hetero.evaluation.report.ranked_cases import ranked_overlays, region_labels
from nnunet_hetero.evaluation.scores.metric_options import DICE
from nnunet_hetero.evaluation.sweep.results import COMPLETION_FILE, mean
from nnunet_hetero.evaluation.sweep.run import Run, read_run
from nnunet_hetero.evaluation.sweep.summary import AGAIN
from nnunet_hetero.io.atomic_files import alone_in
from nnunet_hetero.io.documents import NUMBER_OR_BLANK, CsvDocument

COMPLETION = CsvDocument(
    {"tissue": str, "modality": str, "n_modalities": int, "psnr": NUMBER_OR_BLANK, "ssim": NUMBER_OR_BLANK},
    "the scores of completed images",
    AGAIN,
)

_PLANS = ("spacing", "patch_size", "batch_size", "normalization_schemes")


@own_style()
def write_run_report(folder: str | os.PathLike) -> Path:
    """Write ``report.html`` into the folder of a finished evaluation.

    Args:
        folder: Of the evaluation, see `nnunet_hetero.evaluation.sweep.run.find_evaluation`.

    Returns:
        The page.

    Raises:
        SettingsError: If there is no evaluation.
        DataError: If it is not finished, or a file of it is damaged.
    """
    run = read_run(folder)
    with alone_in(run.folder, wait=True):
        return write_report(
            run.folder / "report.html",
            f"{run.name}: every subset of {', '.join(run.modalities.names)}",
            run.summary,
            [(caption, figure) for _, caption, figure in run_figures(run)],
            facts_of(run),
            introduction=f"Number of cases: {len(run.cases)}. Number of subsets of the modalities: {len(run.subsets)}.",
            tables=[*_completion_table(run), *_other_scores(run)],
            lists=[
                *[(HEADING, links) for links in [page_links(run, run.folder)] if links],
                ("Failed and left out", _failures(run)),
                ("Conventions", conventions_of(run)),
            ],
        )


@own_style()
def write_run_figures(folder: str | os.PathLike) -> list[Path]:
    """Write the plots of the report as PNG files, into ``figures`` in the evaluation's folder."""
    run = read_run(folder)
    with alone_in(run.folder, wait=True):
        return write_figures(run.folder / "figures", run_figures(run))


def run_figures(run: Run) -> list[NamedFigure]:
    """Heat map, gain by modality, and the pictures of ranked cases, by the number of modalities."""
    figures: list[NamedFigure] = [("heat_map", "Mean Dice of every subset and region.", heat_map(run.summary))]
    gains = modality_gains(run)
    if gains:
        caption = (
            "What each modality brings: gain in Dice when it is added to a subset that lacks it. The bar is the mean "
            "over all such pairs of subsets, each dot is a pair; both subsets of a pair on the same cases."
        )
        figures.append(("gain_by_modality", caption, gain_bars(gains)))
    rows, columns = ranked_overlays(run)
    if rows:
        sizes = {run.modalities.label(subset): len(subset) for subset in run.subsets}
        labels = region_labels(run) or _label_values(rows)
        for size in sorted(set(sizes.values())):
            of_size = [row for row in rows if sizes[row.subset] == size]
            if of_size:
                caption = (
                    f"From {size} {'modality' if size == 1 else 'modalities'}: {', '.join(columns)} by the mean Dice "
                    "of the regions, in the slice with the largest true foreground. Background: the last of the "
                    "modalities given."
                )
                figures.append((f"overlays_{size}", caption, overlay_grid(of_size, columns, labels)))
    return figures


def facts_of(run: Run) -> dict[str, str]:
    """Model, folds, versions, settings and plans, as text by name."""
    settings = {key: value for key, value in run.settings.items() if value is not None}
    facts = {"Model": str(settings.pop("model", "unknown")), "Folds": ", ".join(run.folds) or "unknown"}
    for fold, time in settings.pop("checkpoints", {}).items():
        facts[f"Checkpoint of fold {fold}"] = (
            f"{datetime.fromtimestamp(time):%Y-%m-%d %H:%M:%S}" if isinstance(time, (int, float)) else str(time)
        )
    facts["Folder"] = str(run.folder.resolve())
    for key, value in settings.items():
        facts[key.replace("_", " ").capitalize()] = _text(value)
    return facts | _plans_of(run)


def conventions_of(run: Run) -> list[str]:
    """What decides the numbers, by metric."""
    scores = run.summary.scores
    titles = {column: scores[column].title if column in scores else column for column in run.summary.conventions}
    return [f"{titles[column]}: {text}" for column, text in run.summary.conventions.items()]


def _plans_of(run: Run) -> dict[str, str]:
    if run.model_folder is None:
        return {}
    plans = read_or_leave_out(MODEL_PLANS, run.model_folder / "plans.json")
    if not plans:
        return {}
    facts = {"Data set": _text(plans.get("dataset_name")), "Plans": _text(plans.get("plans_name"))}
    configuration = configuration_of(plans, run.model.split("__")[-1])
    for key in _PLANS:
        if key in configuration:
            facts[key.replace("_", " ").capitalize()] = _text(configuration[key])
    settings = configuration.get("hetero_modal", plans.get("hetero_modal"))
    if settings:
        facts["Settings of the method"] = _text(settings)
    return facts


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(part)}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return " × ".join(map(_text, value)) if _numbers(value) else ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _label_values(rows: Iterable[OverlayRow]) -> dict[str, tuple[int, ...]]:
    """Each label by its value, where nobody says which regions they make."""
    found: set[int] = set()
    for picture in chain.from_iterable(row.pictures for row in rows):
        found |= set(np.unique(picture.truth).tolist())
    return {f"label {value}": (value,) for value in sorted(found - {0})}


def _failures(run: Run) -> list[str]:
    lines = [f"Failed: {reason}" for reason in run.summary.failed.values()]
    for case, subsets in run.summary.skipped.items():
        lines.append(f"{case} does not have all modalities of {len(subsets)} subset(s): {', '.join(subsets)}.")
    return lines or ["Nothing: every case was segmented from every subset."]


def _other_scores(run: Run) -> list[ExtraTable]:
    tables: list[ExtraTable] = []
    for key in run.scores:
        if key != DICE:
            score = run.shown(key)
            values = known_mean(run.values(key), axis=1)
            rows = [["subset", *run.regions]]
            for subset, means in zip(run.subsets, values, strict=True):
                rows.append([run.modalities.label(subset), *map(score.text, means)])
            rows.append(["mean of all", *map(score.text, known_mean(values, axis=0))])
            better = "higher" if score.higher_is_better else "lower"
            tables.append((score.title, rows, f"{score.heading}, mean over cases; {better} is better."))
    return tables


def _completion_table(run: Run) -> list[ExtraTable]:
    """PSNR and SSIM of completed images by modality, how many were given, and tissue."""
    file = run.folder / COMPLETION_FILE
    if not os.path.lexists(file):
        return []
    lines = COMPLETION.read(file)
    for line in lines:
        run.modalities.parse([line["modality"]], str(file))
    tissues = list(dict.fromkeys(line["tissue"] for line in lines))
    groups: dict[tuple[int, int], dict[str, list[dict[str, Any]]]] = {}
    for line in lines:
        key = run.modalities.index(line["modality"]), line["n_modalities"]
        groups.setdefault(key, {}).setdefault(line["tissue"], []).append(line)
    rows = [["completed", "given"]]
    for tissue in tissues:
        rows[0] += [f"PSNR, {tissue}", f"SSIM, {tissue}"]
    for (channel, given), by_tissue in sorted(groups.items()):
        row = [run.modalities.names[channel], str(given)]
        for tissue in tissues:
            own = by_tissue.get(tissue, [])
            row += [_mean_text(own, "psnr", 1), _mean_text(own, "ssim", 3)]
        rows.append(row)
    note = "Mean over cases and subsets of that many given modalities. PSNR in dB, SSIM up to 1; higher is better."
    return [("Completed images", rows, note)] if lines else []


def _mean_text(lines: Iterable[dict[str, Any]], column: str, digits: int) -> str:
    value = mean(line[column] for line in lines)
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
