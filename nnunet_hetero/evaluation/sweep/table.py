"""The table of an evaluation, in the manner of the paper's Table 1."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_hetero.evaluation.scores.metric_options import DICE
from nnunet_hetero.evaluation.sweep.summary import Means, Summary, shown_scores

PRESENT, ABSENT = "●", "○"


def table_rows(summary: Summary) -> list[list[str]]:
    """The table as text, header first: a dot per modality, the Dice in % per region, their mean, how many cases."""
    body = []
    for entry in summary.subsets:
        dots = [PRESENT if there else ABSENT for there in entry.available]
        body.append([*dots, *_cells(entry, summary), str(entry.cases)])
    blank = [""] * (len(summary.modalities) - 1)
    for of_size in summary.sizes:
        number = of_size.n_modalities
        label = f"mean, {number} {'modality' if number == 1 else 'modalities'}"
        body.append([label, *blank, *_cells(of_size, summary), ""])
    body.append(["mean of all", *blank, *_cells(summary.overall, summary), ""])
    return [[*summary.modalities, *summary.regions, "mean", "cases"], *body]


def _cells(entry: Means, summary: Summary, column: str = DICE) -> list[str]:
    means, score = entry.scores[column], summary.scores[column]
    return [*(score.text(means.regions[region]) for region in summary.regions), score.text(means.mean)]


def score_rows(summary: Summary) -> list[list[str]]:
    """A second table, header first: the mean over all subsets of every score but the Dice; empty if there is none."""
    rows = [["mean of all", *summary.regions, "mean"]]
    for column in shown_scores(summary):
        if column != DICE:
            score = summary.scores[column]
            rows.append([f"{score.title} in {score.unit}", *_cells(summary.overall, summary, column)])
    return rows if len(rows) > 1 else []


def notes(summary: Summary) -> list[str]:
    """What a reader of the table must know, a sentence or two each."""
    found = [f"Dice in %, mean over cases. {PRESENT} given to the model, {ABSENT} not. {summary.convention}"]
    if summary.cases == 1:
        found.append("One case only: the means are this case's own figures.")
    for region in summary.empty_regions:
        found.append(f"'{region}' is empty in the truth and the prediction of every case: it has no Dice.")
    if summary.subsets_without_results:
        listed = ", ".join(summary.subsets_without_results)
        found.append(f"Without results, since no case has all of the modalities: {listed}.")
    if summary.postprocessing:
        found.append(summary.postprocessing)
    return found


def markdown_table(summary: Summary) -> str:
    """The tables in Markdown, readable as plain text too, and the notes."""
    parts = [markdown_of(table_rows(summary), len(summary.modalities))]
    others = score_rows(summary)
    if others:
        parts.append(markdown_of(others, 1))
    return "\n\n".join([*parts, *notes(summary)]) + "\n"


def markdown_of(rows: Sequence[Sequence[str]], texts: int) -> str:
    """A table in Markdown that is readable as plain text too.

    Args:
        rows: The header first.
        texts: Number of columns, the first ones, that stand to the left; numbers stand to the right.

    Examples:
        >>> print(markdown_of([["subset", "Dice"], ["T1", "81.2"]], texts=1))
        | subset | Dice |
        | ------ | ---: |
        | T1     | 81.2 |
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if column < texts else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])
