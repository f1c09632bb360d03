"""What a reader of a comparison must know: what was left out, not tested, or cannot become significant."""

from __future__ import annotations

from itertools import chain

from nnunet_hetero.evaluation.compare.comparison import ComparedRow, Comparison, tests_of
from nnunet_hetero.evaluation.compare.statistics import LEVEL, smallest_p
from nnunet_hetero.modalities import by_size

NOT_SAID = ("checkpoint_name", "checkpoints", "completion", "metrics", "model", "version", "versions")
"""Settings that differ between two models anyway, or do not touch the scores."""

FEW_CASES = 10


def notes_on(comparison: Comparison) -> list[str]:
    """Sentences, the most important first."""
    return [
        *_one_case(comparison),
        *_power(comparison),
        *_left_out(comparison),
        *_empty(comparison),
        *_without_partner(comparison),
        *_settings(comparison),
    ]


def how_tested(comparison: Comparison) -> str:
    """One paragraph on the table: its numbers, the test, the correction."""
    score, reference = comparison.score, comparison.methods[0]
    number, means = (len(tests_of(rows)) for rows in _families(comparison))
    better = "higher" if score.higher_is_better else "lower"
    text = f"{score.heading}, mean ± standard deviation over {len(comparison.cases)} case(s); {better} is better. "
    if not number:
        return text.rstrip()
    text += (
        f"* significantly better than {reference}, † significantly worse: paired Wilcoxon signed-rank test, two-sided, "
        f"p < {LEVEL} after Holm's correction over the {number} tests of this table (subsets × regions"
        f"{' × methods' if len(comparison.runs) > 2 else ''})"
    )
    if means:
        text += (
            f", and apart from them over the {means} tests of its mean rows, which use each case's mean over subsets"
        )
    return text + "."


def _families(comparison: Comparison) -> tuple[list[ComparedRow], list[ComparedRow]]:
    return [row for row in comparison.rows if not row.is_mean], [row for row in comparison.rows if row.is_mean]


def _one_case(comparison: Comparison) -> list[str]:
    if len(comparison.cases) == 1:
        return [f"There is only one case ({comparison.cases[0]}): no standard deviation and no test."]
    return []


def _power(comparison: Comparison) -> list[str]:
    cases = len(comparison.cases)
    notes = []
    for what, rows in zip(("subsets", "mean rows"), _families(comparison), strict=True):
        number = len(tests_of(rows))
        if number and number * smallest_p(cases) >= LEVEL:
            enough = next(count for count in range(cases, 64) if number * smallest_p(count) < LEVEL)
            notes.append(
                f"{cases} cases are too few for a star in the {what}: the test cannot give less than p = "
                f"{smallest_p(cases):.2g}, and it is multiplied by up to {number}. That takes {enough} cases or more."
            )
    if 1 < cases < FEW_CASES:
        notes.append(f"With {cases} cases the bootstrap intervals are too narrow.")
    return notes


def _left_out(comparison: Comparison) -> list[str]:
    every = by_size(chain.from_iterable(run.subsets for run in comparison.runs))
    notes = []
    for run in comparison.runs:
        absent = [run.modalities.label(subset) for subset in every if subset not in run.subsets]
        if absent:
            notes.append(f"Left out, as {run.name} has no results there: {', '.join(absent)}.")
    return notes


def _empty(comparison: Comparison) -> list[str]:
    notes = []
    for region in comparison.regions:
        cells = chain.from_iterable(row.cells[region] for row in comparison.rows)
        if all(cell.mean is None for cell in cells):
            notes.append(f"{region}: no value in any case, as the region is empty in all of them; no mean and no test.")
    return notes


def _without_partner(comparison: Comparison) -> list[str]:
    rows, _ = _families(comparison)
    notes = []
    for number, name in enumerate(comparison.methods[1:]):
        alone = 0
        for reference, *others in chain.from_iterable(row.cells.values() for row in rows):
            cell = others[number]
            pairs = cell.result.pairs if cell.result is not None else 0
            alone += reference.cases + cell.cases - 2 * pairs
        if alone:
            notes.append(
                f"{alone} value(s) of {comparison.methods[0]} or {name} have no partner: a region that is empty in the "
                "truth has a value only where it was segmented. They count in the means, not in the tests."
            )
    return notes


def _settings(comparison: Comparison) -> list[str]:
    reference, *others = comparison.runs
    notes = []
    for run in others:
        for key in sorted({*reference.settings, *run.settings} - set(NOT_SAID)):
            one, two = reference.settings.get(key), run.settings.get(key)
            if one != two:
                notes.append(f"The evaluations differ in {key}: {one} for {reference.name}, {two} for {run.name}.")
    return notes
