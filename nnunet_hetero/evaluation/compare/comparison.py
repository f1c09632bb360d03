"""Compare evaluations of the same cases: means, paired tests against the first of them, and what must be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.compare.checks import common_subsets, in_order_of, refuse_different_cases
from nnunet_hetero.evaluation.compare.statistics import PairedResult, compare_paired, holm, known_mean
from nnunet_hetero.evaluation.scores.score import Score
from nnunet_hetero.evaluation.sweep.run import Run
from nnunet_hetero.modalities import Modalities, Subset


@dataclass(frozen=True)
class Cell:
    """One method in one row and region.

    Args:
        mean: Over the cases with a value; None without.
        sd: Standard deviation over the cases (n - 1); None with fewer than two.
        cases: How many have a value.
        result: Against the reference; None for the reference itself.
    """

    mean: float | None
    sd: float | None
    cases: int
    result: PairedResult | None


@dataclass(frozen=True)
class ComparedRow:
    """A subset, or the mean of several.

    Args:
        label: E.g. ``T1+FLAIR`` or ``mean, 2 modalities``.
        subsets: The subset, or those that the mean is of.
        cells: By region, one cell per method.
    """

    label: str
    subsets: tuple[Subset, ...]
    cells: dict[str, tuple[Cell, ...]]

    @property
    def is_mean(self) -> bool:
        """Whether this is a mean over subsets."""
        return len(self.subsets) > 1

    @property
    def all_cells(self) -> tuple[Cell, ...]:
        """Those of all regions, one after the other."""
        return tuple(chain.from_iterable(self.cells.values()))


@dataclass(frozen=True)
class Comparison:
    """What `compare_runs` found.

    Args:
        runs: The first is the reference.
        key: Which score, a column of ``metrics.csv``.
        rows: A row per common subset, then means over the subsets of each size and over all.
    """

    runs: tuple[Run, ...]
    key: str
    rows: tuple[ComparedRow, ...]

    @property
    def modalities(self) -> Modalities:
        """Of all runs, in the reference's order."""
        return self.runs[0].modalities

    @property
    def regions(self) -> tuple[str, ...]:
        """Of all runs, in the reference's order."""
        return self.runs[0].regions

    @property
    def score(self) -> Score:
        """The score that is compared."""
        return self.runs[0].shown(self.key)

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the runs."""
        return tuple(run.name for run in self.runs)

    @property
    def cases(self) -> tuple[str, ...]:
        """The cases, the same in all runs."""
        return self.runs[0].cases


def compare_runs(runs: Sequence[Run], score: str = "dice", seed: int = 0) -> Comparison:
    """Compare evaluations; the first one is the reference.

    Two families of tests are corrected by Holm, each over all regions and methods: that of the subsets, and that of
    the means over subsets, which are taken for each case before they are tested.

    Args:
        runs: Two or more, over the same cases, folds, modalities and regions.
        score: A column of ``metrics.csv``.
        seed: Of the bootstrap.

    Raises:
        SettingsError: If a run does not have the score, or two runs have the same name.
        DataError: If the runs are not comparable; says in what they differ.
    """
    runs = tuple(runs)
    names = [run.name for run in runs]
    if len(runs) < 2:
        raise SettingsError("A comparison needs at least two runs.")
    if len(set(names)) < len(names):
        raise SettingsError(f"Two runs have the same name: {', '.join(names)}. Give each its own with --names.")
    for run in runs:
        if score not in run.scores:
            raise SettingsError(
                f"The evaluation in {run.folder} has no {score}; it has: {', '.join(run.scores)}. Compare by one of "
                f"these, or evaluate again with that metric."
            )
    runs = (runs[0], *(in_order_of(runs[0], run) for run in runs[1:]))
    subsets = common_subsets(runs)
    refuse_different_cases(runs, subsets)
    rows = [_row(runs, (subset,), runs[0].modalities.label(subset), score, seed) for subset in subsets]
    means = [_row(runs, group, label, score, seed) for label, group in _groups(subsets)]
    return Comparison(runs, score, (*_with_holm(rows), *_with_holm(means)))


def _groups(subsets: Sequence[Subset]) -> list[tuple[str, tuple[Subset, ...]]]:
    """The groups of more than one subset that a mean is shown of, by label."""
    groups = []
    for size in sorted({len(subset) for subset in subsets}):
        group = tuple(subset for subset in subsets if len(subset) == size)
        groups.append((f"mean, {size} {'modality' if size == 1 else 'modalities'}", group))
    if len(subsets) > 1:
        groups.append(("mean of all", tuple(subsets)))
    return [(label, group) for label, group in groups if len(group) > 1]


def _row(runs: Sequence[Run], subsets: tuple[Subset, ...], label: str, score: str, seed: int) -> ComparedRow:
    # (method, subset, case, region)
    values = np.stack([run.values(score)[list(map(run.subsets.index, subsets))] for run in runs])
    cells = {}
    for number, region in enumerate(runs[0].regions):
        reference, *others = values[..., number]
        results = [None, *(_compare(other, reference, seed) for other in others)]
        cells[region] = tuple(map(_cell, values[..., number], results))
    return ComparedRow(label, subsets, cells)


def _cell(values: np.ndarray, result: PairedResult | None) -> Cell:
    """The cell of a method's values, (subset, case)."""
    by_case = known_mean(values, axis=0)
    number = int((~np.isnan(by_case)).sum())
    mean = known_mean(known_mean(values, axis=1))
    return Cell(
        None if np.isnan(mean) else float(mean),
        float(np.nanstd(by_case, ddof=1)) if number > 1 else None,
        number,
        result,
    )


def _compare(method: np.ndarray, reference: np.ndarray, seed: int) -> PairedResult:
    """Compare each case's mean over the subsets where both have a value; the arrays are (subset, case)."""
    both = ~(np.isnan(method) | np.isnan(reference))
    means, expected = (known_mean(np.where(both, values, np.nan), axis=0) for values in (method, reference))
    return compare_paired(means, expected, seed)


def _with_holm(rows: Sequence[ComparedRow]) -> list[ComparedRow]:
    """The rows with p values corrected as one family."""
    corrected = iter(holm(tests_of(rows)))

    def correct(cell: Cell) -> Cell:
        if cell.result is None or cell.result.p is None:
            return cell
        return replace(cell, result=replace(cell.result, p_holm=next(corrected)))

    found = []
    for row in rows:
        cells = {region: tuple(map(correct, of_region)) for region, of_region in row.cells.items()}
        found.append(replace(row, cells=cells))
    return found


def tests_of(rows: Sequence[ComparedRow]) -> list[float]:
    """The p values of some rows, uncorrected, in their order."""
    found = []
    for row in rows:
        for cell in row.all_cells:
            if cell.result is not None and cell.result.p is not None:
                found.append(cell.result.p)
    return found
