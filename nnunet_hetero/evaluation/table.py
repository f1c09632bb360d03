"""Means over cases, per subset and region, and the table of them in the manner of the paper's Table 1."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from nnunet_hetero.evaluation.metrics import EMPTY_CONVENTION
from nnunet_hetero.evaluation.results import Row
from nnunet_hetero.modalities import Modalities

PRESENT, ABSENT = "●", "○"


def summarise(rows: Sequence[Row], modalities: Modalities, regions: Sequence[str]) -> dict[str, Any]:
    """Means of the Dice, 0 to 1; NaN is left out, and a mean of nothing is None.

    Returns:
        ``modalities``, ``regions``, ``cases`` (how many), ``convention`` (on empty regions), and three kinds of means,
        each with ``dice`` (mean over cases, by region) and ``mean`` (over regions): ``subsets``, a list with ``subset``
        (e.g. ``T1+FLAIR``), ``available`` (bool per modality), ``n_modalities`` and ``cases``; ``sizes``, a list with
        ``n_modalities``, the means over the subsets of that size; ``mean``, the means over all subsets.
    """
    subsets = []
    by_subset: dict[str, list[Row]] = {}
    for row in rows:
        by_subset.setdefault(row["subset"], []).append(row)
    for name in sorted(by_subset, key=lambda text: (len(modalities.parse([text])), modalities.parse([text]))):
        own = by_subset[name]
        channels = modalities.parse([name])
        subsets.append(
            {
                "subset": name,
                "available": [channel in channels for channel in range(len(modalities))],
                "n_modalities": len(channels),
                "cases": len({row["case"] for row in own}),
                **_means({region: [row["dice"] for row in own if row["region"] == region] for region in regions}),
            }
        )
    sizes = [
        {"n_modalities": size, **_means_of([entry for entry in subsets if entry["n_modalities"] == size], regions)}
        for size in sorted({entry["n_modalities"] for entry in subsets})
    ]
    return {
        "modalities": list(modalities.names),
        "regions": list(regions),
        "cases": len({row["case"] for row in rows}),
        "convention": EMPTY_CONVENTION,
        "subsets": subsets,
        "sizes": sizes,
        "mean": _means_of(subsets, regions),
    }


def _means_of(entries: Sequence[dict], regions: Sequence[str]) -> dict[str, Any]:
    return _means({region: [entry["dice"][region] for entry in entries] for region in regions})


def _means(values: dict[str, list[float | None]]) -> dict[str, Any]:
    dice = {region: _mean(numbers) for region, numbers in values.items()}
    return {"dice": dice, "mean": _mean(dice.values())}


def _mean(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None and not math.isnan(number)]
    return math.fsum(known) / len(known) if known else None


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


def _cells(entry: dict[str, Any], regions: Sequence[str]) -> list[str]:
    return [
        "–" if value is None else f"{100 * value:.1f}"
        for value in [*(entry["dice"][region] for region in regions), entry["mean"]]
    ]


def markdown_table(summary: dict[str, Any]) -> str:
    """The table in Markdown, readable as plain text too."""
    rows = table_rows(summary)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    number_of_dots = len(summary["modalities"])

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < number_of_dots else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if column < number_of_dots else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    table = "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])
    note = f"Dice in %, mean over cases. {PRESENT} given to the model, {ABSENT} not. {summary['convention']}"
    return f"{table}\n\n{note}\n"
