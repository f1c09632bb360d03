"""What a comparison leaves behind: tables in three formats, the statistics, the page and the single plots."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.compare.comparison import Cell, ComparedRow, Comparison
from nnunet_hetero.evaluation.compare.notes import how_tested, notes_on
from nnunet_hetero.evaluation.compare.published import (
    AS_PRINTED,
    SOURCE,
    PublishedMethod,
    averages,
    keys_of_regions,
    table_1,
)
from nnunet_hetero.evaluation.compare.statistics import RESAMPLES, PairedResult, known_mean
from nnunet_hetero.evaluation.compare.table import (
    ComparisonTable,
    latex,
    lay_out,
    mark,
    markdown,
    starts_block,
    statistics_csv,
    table_csv,
)
from nnunet_hetero.evaluation.report.case_pages import HEADING, page_links
from nnunet_hetero.evaluation.report.figures import difference_map, method_bars
from nnunet_hetero.evaluation.report.figures.common import own_style
from nnunet_hetero.evaluation.report.page import ExtraTable, NamedFigure, write_figures, write_page
from nnunet_hetero.evaluation.report.run_report import conventions_of
from nnunet_hetero.evaluation.scores.score import Score
from nnunet_hetero.evaluation.sweep.results import METRICS_FILE
from nnunet_hetero.evaluation.sweep.summary import as_number
from nnunet_hetero.io.atomic_files import alone_in, replace_text
from nnunet_hetero.modalities import mask_of

FILES = ("table.md", "table.csv", "table.tex", "statistics.csv", "report.html")


def write_comparison(
    folder: str | os.PathLike, comparison: Comparison, paper: bool = False, plots: bool = False
) -> str:
    """Write `FILES` into a folder, which is made if it is not there.

    Args:
        folder: Output folder.
        comparison: From `nnunet_hetero.evaluation.compare.comparison.compare_runs`.
        paper: Whether published results stand beside; only for the Dice on BraTS's modalities and regions.
        plots: Whether to write the single plots as PNG files too, into ``figures``.

    Returns:
        What is in ``table.md``.

    Raises:
        SettingsError: If the paper's table does not fit, or the folder is that of an evaluation.
    """
    published = _published(comparison) if paper else []
    folder = Path(folder)
    _require_free(folder, comparison)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder, wait=True):
        return _write(folder, comparison, published, paper, plots)


def _require_free(folder: Path, comparison: Comparison) -> None:
    """Refuse the folder of an evaluation, whose own table and page would be replaced."""
    runs = [run.folder for run in comparison.runs if os.path.realpath(run.folder) == os.path.realpath(folder)]
    if runs or (folder / METRICS_FILE).exists():
        raise SettingsError(
            f"The output folder {folder} is that of an evaluation, whose table.md and report.html would be replaced. "
            "Nothing was written; choose another output folder."
        )


@own_style()
def _write(folder: Path, comparison: Comparison, published: Sequence[PublishedMethod], paper: bool, plots: bool) -> str:
    table = lay_out(comparison, published)
    notes = [*notes_on(comparison), *([f"Columns '(paper)': {SOURCE}; other cases, no test."] if paper else [])]
    averages_table = [_averages(comparison)] if paper else []
    text = _markdown(table, comparison, notes, averages_table)
    figures = comparison_figures(comparison)
    replace_text(folder / "table.md", text)
    replace_text(folder / "table.csv", table_csv(table))
    replace_text(folder / "table.tex", latex(table, how_tested(comparison)))
    replace_text(folder / "statistics.csv", statistics_csv(comparison))
    write_page(
        folder / "report.html",
        "comparison.html.j2",
        f"{comparison.score.title}: {', '.join(comparison.methods)}",
        headlines=_headlines(comparison),
        headline_note=f"{comparison.score.heading}, mean over subsets, regions and cases.",
        figures=[(caption, figure) for _, caption, figure in figures],
        facts=_facts(comparison),
        introduction=f"Number of cases: {len(comparison.cases)}. The reference is {comparison.methods[0]}.",
        tables=[*_difference_tables(comparison), *averages_table],
        lists=_lists(comparison, notes, folder),
        table=table,
        is_wide=len(table.regions) * len(table.methods) > 6,
        starts={place for place in range(1, len(table.rows)) if starts_block(*table.rows[place - 1 : place + 1])},
        table_note=how_tested(comparison),
    )
    if plots:
        write_figures(folder / "figures", figures)
    return text


def _lists(comparison: Comparison, notes: Sequence[str], folder: Path) -> list[tuple[str, Sequence[str]]]:
    """What stands below the tables; links to pages of cases only where some were written."""
    links: list[str] = []
    for run in comparison.runs:
        links += page_links(run, folder)
    found = {"To know when reading": notes, HEADING: links, "Conventions": conventions_of(comparison.runs[0])}
    return [(heading, items) for heading, items in found.items() if items]


def comparison_figures(comparison: Comparison) -> list[NamedFigure]:
    """A map of differences for each method, and bars of all of them."""
    score = comparison.score
    subsets = [row for row in comparison.rows if not row.is_mean]
    modalities = comparison.modalities.names
    available = [mask_of(row.subsets[0], len(modalities)).tolist() for row in subsets]
    figures: list[NamedFigure] = []
    for number, method in enumerate(comparison.methods[1:], 1):
        values = np.empty((len(subsets), len(comparison.regions)))
        texts = []
        for place, row in enumerate(subsets):
            cells = [row.cells[region][number] for region in comparison.regions]
            values[place] = [_difference(cell) * score.factor for cell in cells]
            texts.append([_signed(cell, comparison) for cell in cells])
        what = f"{method} minus {comparison.methods[0]}"
        unit = "percentage points" if score.unit == "%" else score.unit
        caption = f"{what}: mean difference of the {score.title}, blue is better for {method}; * and † as in the table."
        below = f"{what},\n{score.title} in {unit}"
        figure = difference_map(modalities, available, comparison.regions, values, texts, below, score.higher_is_better)
        figures.append((f"difference_{number}", caption, figure))
    means = {}
    for region in comparison.regions:
        means[region] = np.array([_shown_means(row.cells[region], score) for row in subsets])
    bars = method_bars(modalities, available, comparison.methods, means, score.heading)
    return [*figures, ("methods", f"{score.heading} of every method, mean over cases.", bars)]


def _shown_means(cells: Sequence[Cell], score: Score) -> list[float]:
    return [score.factor * as_number(cell.mean) for cell in cells]


def _published(comparison: Comparison) -> list[PublishedMethod]:
    if comparison.key != "dice":
        raise SettingsError(f"--paper: the paper's table holds the Dice, not {comparison.key}. Leave --paper out.")
    return table_1(comparison.modalities, comparison.regions)


def _markdown(
    table: ComparisonTable, comparison: Comparison, notes: Sequence[str], tables: Sequence[ExtraTable]
) -> str:
    parts = [markdown(table), f"{how_tested(comparison)}\n"]
    if notes:
        parts.append("".join(f"* {note}\n" for note in notes))
    for title, lines, note in tables:
        header, *body = (f"| {' | '.join(line)} |\n" for line in lines)
        parts.append(f"{title}:\n\n{header}|{' --- |' * len(lines[0])}\n{''.join(body)}\n{note}\n")
    return "\n".join(parts)


def _headlines(comparison: Comparison) -> list[tuple[str, str]]:
    """The mean of all subsets and regions of each method."""
    last = comparison.rows[-1]
    headlines = []
    for number, method in enumerate(comparison.methods):
        means = np.array([as_number(cells[number].mean) for cells in last.cells.values()])
        headlines.append((method, comparison.score.text(float(known_mean(means)))))
    return headlines


def _difference(cell: Cell) -> float:
    return np.nan if cell.result is None or cell.result.difference is None else cell.result.difference


def _signed(cell: Cell, comparison: Comparison) -> str:
    return comparison.score.text(_difference(cell), signed=True) + mark(cell, comparison.score)


def _difference_tables(comparison: Comparison) -> list[ExtraTable]:
    """Per method: difference with its interval, corrected p and effect size, for every row and region."""
    tables: list[ExtraTable] = []
    for number, method in enumerate(comparison.methods[1:], 1):
        header = ["subset"]
        for region in comparison.regions:
            header += [f"{region}: difference [95 % interval]", "p", "effect"]
        rows = [_difference_row(row, number, comparison) for row in comparison.rows]
        note = (
            f"{method} minus {comparison.methods[0]}: mean paired difference; BCa bootstrap interval over the cases "
            f"({RESAMPLES} resamples); p of Wilcoxon's signed-rank test after Holm's correction; effect: matched-pairs "
            "rank-biserial correlation, -1 to 1."
        )
        tables.append((f"{method} against {comparison.methods[0]}", [header, *rows], note))
    return tables


def _difference_row(row: ComparedRow, number: int, comparison: Comparison) -> list[str]:
    line = [row.label]
    for region in comparison.regions:
        cell = row.cells[region][number]
        result, score = cell.result or PairedResult(0), comparison.score
        interval = ""
        if result.interval is not None:
            interval = f" [{', '.join(score.text(limit, signed=True) for limit in result.interval)}]"
        p = "–" if result.p_holm is None else "< 0.001" if result.p_holm < 0.001 else f"{result.p_holm:.3f}"
        effect = "–" if result.effect is None else f"{result.effect:+.2f}"
        line += [_signed(cell, comparison) + interval, p, effect]
    return line


def _averages(comparison: Comparison) -> ExtraTable:
    """Published means over the 15 subsets, below the user's own if they are over the same."""
    rows = [["data", "method", "networks", "WT", "TC", "ET", "mean", "source"]]
    last = comparison.rows[-1]
    keys = keys_of_regions(comparison.regions)
    if len(last.subsets) == 15 and len(keys) == 3:
        for number, method in enumerate(comparison.methods):
            means = [as_number(last.cells[keys[key]][number].mean) for key in ("WT", "TC", "ET")]
            shown = (*means, sum(means) / len(means))
            rows.append(["yours", method, "", *map(comparison.score.text, shown), "this comparison"])
    rows += [list(row.values()) for row in averages()]
    return (
        "Means over the 15 subsets, yours and published",
        [_with_dashes(row) for row in rows],
        "Dice in %. Cases, splits and conventions differ between papers, and from yours. " + AS_PRINTED,
    )


def _with_dashes(row: Sequence[str]) -> list[str]:
    return [cell or "–" for cell in row]


def _facts(comparison: Comparison) -> dict[str, str]:
    facts = {"Folds": ", ".join(comparison.runs[0].folds) or "unknown"}
    for run in comparison.runs:
        version = run.settings.get("version", "unknown version")
        facts[run.name] = f"{run.model}, {run.folder.resolve()}, evaluated by nnunet_hetero {version}"
    return facts
