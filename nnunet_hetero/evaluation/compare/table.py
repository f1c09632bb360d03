"""The table of a comparison, laid out like ComparisonTable 1 of the paper: Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from nnunet_hetero.evaluation.compare.comparison import Cell, Comparison
from nnunet_hetero.evaluation.compare.published import PublishedMethod
from nnunet_hetero.evaluation.scores.score import Score
from nnunet_hetero.evaluation.sweep.table import ABSENT, PRESENT, markdown_of

BETTER, WORSE = "*", "†"


@dataclass(frozen=True)
class TableCell:
    """One number of the table as it is shown.

    Args:
        mean: Text of the mean.
        sd: Text of the standard deviation; empty where there is none.
        mark: `BETTER` or `WORSE` than the reference if significant, else empty.
        best: Whether no other method of the user has a better mean in this row and region.
        published: Whether the number is from the literature.
    """

    mean: str
    sd: str = ""
    mark: str = ""
    best: bool = False
    published: bool = False

    @property
    def text(self) -> str:
        """E.g. ``83.3 ± 5.1*``."""
        return self.mean + (f" ± {self.sd}" if self.sd else "") + self.mark


@dataclass(frozen=True)
class TableRow:
    """One row.

    Args:
        label: Subset, or what the mean is of.
        available: Whether each modality is given; None for a mean.
        cells: By region, one per method.
    """

    label: str
    available: tuple[bool, ...] | None
    cells: tuple[tuple[TableCell, ...], ...]

    @property
    def all_cells(self) -> tuple[TableCell, ...]:
        """Those of all regions, one after the other."""
        return tuple(chain.from_iterable(self.cells))


@dataclass(frozen=True)
class ComparisonTable:
    """The whole table.

    Args:
        modalities: Names, a column each.
        regions: Names, a group of columns each.
        methods: Names, the columns of every group: the user's runs, then the published ones.
        rows: Subsets, then means.
    """

    modalities: tuple[str, ...]
    regions: tuple[str, ...]
    methods: tuple[str, ...]
    rows: tuple[TableRow, ...]


def lay_out(comparison: Comparison, published: Sequence[PublishedMethod] = ()) -> ComparisonTable:
    """The table of a comparison, with published columns beside the user's."""
    modalities = comparison.modalities
    rows = []
    for row in comparison.rows:
        cells = []
        for region in comparison.regions:
            means = [method.mean(row.subsets, region) for method in published]
            theirs = (TableCell(f"{mean:.1f}", published=True) for mean in means)
            cells.append((*_cells(row.cells[region], comparison.score), *theirs))
        available = None if row.is_mean else tuple(channel in row.subsets[0] for channel in range(len(modalities)))
        rows.append(TableRow(row.label, available, tuple(cells)))
    names = (*comparison.methods, *(f"{method.name} (paper)" for method in published))
    return ComparisonTable(modalities.names, comparison.regions, names, tuple(rows))


def _cells(cells: Sequence[Cell], score: Score) -> list[TableCell]:
    means = [cell.mean for cell in cells if cell.mean is not None]
    best = (max if score.higher_is_better else min)(means, default=None)
    return [
        TableCell(
            score.text(cell.mean),
            "" if cell.sd is None else score.text(cell.sd),
            mark(cell, score),
            cell.mean is not None and cell.mean == best,
        )
        for cell in cells
    ]


def mark(cell: Cell, score: Score) -> str:
    """`BETTER` or `WORSE` if the cell differs significantly from the reference, else nothing."""
    if cell.result is None or cell.result.effect is None or not cell.result.significant:
        return ""
    # The test is on ranks, so their balance says the direction.
    return BETTER if (cell.result.effect > 0) == score.higher_is_better else WORSE


def markdown(table: ComparisonTable) -> str:
    """The table in Markdown, readable as plain text too; the second line of the header is the first of the body."""
    dots = len(table.modalities)
    number = len(table.methods)
    regions = chain.from_iterable([name, *[""] * (number - 1)] for name in table.regions)
    lines = [[*table.modalities, *regions], [*[""] * dots, *table.methods * len(table.regions)]]
    for row in table.rows:
        if row.available is None:
            head = [row.label, *[""] * (dots - 1)]
        else:
            head = [PRESENT if there else ABSENT for there in row.available]
        lines.append([*head, *(cell.text for cell in row.all_cells)])
    return markdown_of(lines, dots) + "\n"


def table_csv(table: ComparisonTable) -> str:
    """The table as CSV: 1 or 0 per modality, then mean, standard deviation and mark of every region and method."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    header = ["row", *table.modalities]
    for region in table.regions:
        for method in table.methods:
            header += [f"{region}, {method}, {what}" for what in ("mean", "sd", "mark")]
    writer.writerow(header)
    for row in table.rows:
        head = [""] * len(table.modalities) if row.available is None else [int(there) for there in row.available]
        numbers = chain.from_iterable((_number(cell.mean), cell.sd, cell.mark) for cell in row.all_cells)
        writer.writerow([row.label, *head, *numbers])
    return stream.getvalue()


def _number(text: str) -> str:
    return "" if text == "–" else text


def statistics_csv(comparison: Comparison) -> str:
    """All numbers unrounded, a line per row, region and method; in the units of the evaluation's own file."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(STATISTICS)
    for row in comparison.rows:
        for region in comparison.regions:
            for method, cell in zip(comparison.methods, row.cells[region], strict=True):
                writer.writerow([row.label, region, method, *_statistics(cell)])
    return stream.getvalue()


STATISTICS = (
    "row",
    "region",
    "method",
    "cases",
    "mean",
    "sd",
    "pairs",
    "difference",
    "ci_low",
    "ci_high",
    "p",
    "p_holm",
    "rank_biserial",
)


def _statistics(cell: Cell) -> list[float | int | str]:
    result = cell.result
    values = [cell.cases, cell.mean, cell.sd]
    if result is not None:
        low, high = result.interval or (None, None)
        values += [result.pairs, result.difference, low, high, result.p, result.p_holm, result.effect]
    values += [None] * (len(STATISTICS) - 3 - len(values))
    return ["" if value is None else value for value in values]


def latex(table: ComparisonTable, caption: str) -> str:
    r"""The table in LaTeX, for ``\usepackage{booktabs,graphicx}``; the best mean of the user's methods is bold.

    Args:
        table: From `lay_out`.
        caption: Plain text.
    """
    dots, number = len(table.modalities), len(table.methods)
    groups = [rf"\multicolumn{{{number}}}{{c}}{{{_escape(region)}}}" for region in table.regions]
    starts = [dots + 1 + place * number for place in range(len(table.regions))]
    rules = " ".join(rf"\cmidrule(lr){{{start}-{start + number - 1}}}" for start in starts)
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{_escape(caption)}}}",
        r"\resizebox{\textwidth}{!}{%",
        rf"\begin{{tabular}}{{{'c' * dots}{'r' * number * len(table.regions)}}}",
        r"\toprule",
        f"{' & ' * dots}{' & '.join(groups)} \\\\",
        rules,
        f"{' & '.join(map(_escape, (*table.modalities, *table.methods * len(table.regions))))} \\\\",
        r"\midrule",
    ]
    previous = None
    for row in table.rows:
        if previous is not None and starts_block(previous, row):
            lines.append(r"\midrule" if row.available is None else r"\addlinespace")
        if row.available is None:
            head = rf"\multicolumn{{{dots}}}{{l}}{{{_escape(row.label)}}}"
        else:
            head = " & ".join(r"$\bullet$" if there else r"$\circ$" for there in row.available)
        lines.append(f"{head} & {' & '.join(map(_latex_cell, row.all_cells))} \\\\")
        previous = row
    lines += [r"\bottomrule", r"\end{tabular}}", r"\end{table*}"]
    return "\n".join(lines) + "\n"


def starts_block(previous: TableRow, row: TableRow) -> bool:
    """Whether a row begins another number of modalities, or the means."""
    if row.available is None or previous.available is None:
        return previous.available is not None
    return sum(row.available) != sum(previous.available)


def _latex_cell(cell: TableCell) -> str:
    mean = "--" if cell.mean == "–" else rf"\textbf{{{cell.mean}}}" if cell.best else cell.mean
    sd = rf" $\pm$ {cell.sd}" if cell.sd else ""
    return mean + sd + {BETTER: "$^{*}$", WORSE: r"$^{\dagger}$", "": ""}[cell.mark]


_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "†": r"$\dagger$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "<": r"$<$",
    ">": r"$>$",
    "–": "--",
    PRESENT: r"$\bullet$",
    ABSENT: r"$\circ$",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}


def _escape(text: str) -> str:
    return re.sub(".", lambda match: _SPECIAL.get(match.group(), match.group()), text, flags=re.DOTALL)
