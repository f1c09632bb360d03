"""Means over cases, per subset and region, and the table of them in the manner of the paper's Table 1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from nnunet_hetero.evaluation.scores.case_scores import SCORES
from nnunet_hetero.evaluation.scores.metric_options import EMPTY_CONVENTION
from nnunet_hetero.evaluation.sweep.results import Row, mean
from nnunet_hetero.modalities import Modalities

PRESENT, ABSENT = "●", "○"


def summarise(
    rows: Sequence[Row], modalities: Modalities, regions: Sequence[str], columns: Sequence[str] = ("dice",)
) -> dict[str, Any]:
    """Means of the scores; NaN is left out, and a mean of nothing is None.

    Args:
        rows: Those of ``metrics.csv``.
        modalities: The model's.
        regions: Names, in order.
        columns: The scores to average; the Dice is one of them.

    Returns:
        ``modalities``, ``regions``, ``cases`` (how many), ``convention`` (on empty regions), ``empty_regions`` (without
        a Dice in any case), and three kinds of means, each with ``dice`` (mean over cases, by region, 0 to 1), ``mean``
        (over regions) and ``metrics``, the same of every score (``regions`` and ``mean``): ``subsets``, a list with
        ``subset`` (e.g. ``T1+FLAIR``), ``available`` (bool per modality), ``n_modalities`` and ``cases``; ``sizes``, a
        list with ``n_modalities``, the means over the subsets of that size; ``mean``, the means over all subsets.
    """
    subsets = []
    by_subset: dict[str, list[Row]] = {}
    for row in rows:
        by_subset.setdefault(row["subset"], []).append(row)
    for name in sorted(by_subset, key=lambda text: (len(modalities.parse([text])), modalities.parse([text]))):
        own = by_subset[name]
        channels = modalities.parse([name])
        of_region = {region: [row for row in own if row["region"] == region] for region in regions}
        subsets.append(
            {
                "subset": name,
                "available": [channel in channels for channel in range(len(modalities))],
                "n_modalities": len(channels),
                "cases": len({row["case"] for row in own}),
                **_means({c: {region: [row[c] for row in of_region[region]] for region in regions} for c in columns}),
            }
        )
    sizes = [
        {"n_modalities": size, **_means_of([e for e in subsets if e["n_modalities"] == size], regions, columns)}
        for size in sorted({entry["n_modalities"] for entry in subsets})
    ]
    return {
        "modalities": list(modalities.names),
        "regions": list(regions),
        "cases": len({row["case"] for row in rows}),
        "convention": EMPTY_CONVENTION,
        "empty_regions": [r for r in regions if all(entry["dice"][r] is None for entry in subsets)],
        "subsets": subsets,
        "sizes": sizes,
        "mean": _means_of(subsets, regions, columns),
    }


def _means_of(entries: Sequence[dict], regions: Sequence[str], columns: Sequence[str]) -> dict[str, Any]:
    return _means(
        {c: {region: [e["metrics"][c]["regions"][region] for e in entries] for region in regions} for c in columns}
    )


def _means(values: dict[str, dict[str, list[float | None]]]) -> dict[str, Any]:
    """Means of the numbers that are there, by column and region."""
    metrics = {}
    for column, by_region in values.items():
        means = {region: _mean(numbers) for region, numbers in by_region.items()}
        metrics[column] = {"regions": means, "mean": _mean(means.values())}
    return {"dice": metrics["dice"]["regions"], "mean": metrics["dice"]["mean"], "metrics": metrics}


def _mean(numbers: Iterable[float | None]) -> float | None:
    result = mean(math.nan if number is None else number for number in numbers)
    return None if math.isnan(result) else result


def table_rows(summary: dict[str, Any]) -> list[list[str]]:
    """The table as text, header first: a dot per modality, the Dice in % per region, their mean, how many cases."""
    regions, modalities = summary["regions"], summary["modalities"]
    header = [*modalities, *regions, "mean", "cases"]
    body = [
        [*(PRESENT if there else ABSENT for there in entry["available"]), *_cells(entry, regions), str(entry["cases"])]
        for entry in summary["subsets"]
    ]
    blank = [""] * (len(modalities) - 1)
    for entry in summary["sizes"]:
        number = entry["n_modalities"]
        label = f"mean, {number} {'modality' if number == 1 else 'modalities'}"
        body.append([label, *blank, *_cells(entry, regions), ""])
    body.append(["mean of all", *blank, *_cells(summary["mean"], regions), ""])
    return [header, *body]


def _cells(entry: dict[str, Any], regions: Sequence[str], column: str = "dice") -> list[str]:
    means = entry["metrics"][column]
    return [SCORES[column].text(value) for value in [*(means["regions"][region] for region in regions), means["mean"]]]


def score_rows(summary: dict[str, Any]) -> list[list[str]]:
    """A second table, header first: the mean over all subsets of every score but the Dice; empty if there is none."""
    columns = [column for column in summary["mean"]["metrics"] if column != "dice"]
    if not columns:
        return []
    body = [
        [f"{SCORES[column].title} in {SCORES[column].unit}", *_cells(summary["mean"], summary["regions"], column)]
        for column in columns
    ]
    return [["mean of all", *summary["regions"], "mean"], *body]


def notes(summary: dict[str, Any]) -> list[str]:
    """What a reader of the table must know, a sentence or two each."""
    found = [f"Dice in %, mean over cases. {PRESENT} given to the model, {ABSENT} not. {summary['convention']}"]
    if summary["cases"] == 1:
        found.append("One case only: the means are this case's own figures.")
    for region in summary["empty_regions"]:
        found.append(f"'{region}' is empty in the truth and the prediction of every case: it has no Dice.")
    if summary.get("subsets_without_results"):
        listed = ", ".join(summary["subsets_without_results"])
        found.append(f"Without results, since no case has all of the modalities: {listed}.")
    if summary.get("postprocessing"):
        found.append(summary["postprocessing"])
    return found


def markdown_table(summary: dict[str, Any]) -> str:
    """The tables in Markdown, readable as plain text too, and the notes."""
    parts = [markdown_of(table_rows(summary), len(summary["modalities"]))]
    others = score_rows(summary)
    if others:
        parts.append(markdown_of(others, 1))
    return "\n\n".join([*parts, *notes(summary)]) + "\n"


def markdown_of(rows: Sequence[Sequence[str]], texts: int) -> str:
    """A table in Markdown that is readable as plain text too.

    Args:
        rows: The header first.
        texts: Number of columns, the first ones, that stand to the left; numbers stand to the right.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if column < texts else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])
