"""Whether evaluations can be compared: same cases, folds, modalities, regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.sweep.run import Run
from nnunet_hetero.modalities import Subset, by_size


def in_order_of(reference: Run, run: Run) -> Run:
    """A run with channels and regions in the reference's order.

    Raises:
        DataError: If modalities, regions, the regions' labels or the folds are others.
    """
    differences = []
    ours = [name.lower() for name in reference.modalities.names]
    theirs = [name.lower() for name in run.modalities.names]
    for what, one, two in (
        ("modalities", sorted(ours), sorted(theirs)),
        ("regions", sorted(reference.regions), sorted(run.regions)),
        ("folds", sorted(reference.folds), sorted(run.folds)),
    ):
        if one != two:
            differences.append(f"{what}: {', '.join(one) or 'none'} | {', '.join(two) or 'none'}")
    labels = [each.summary.labels for each in (reference, run)]
    if all(labels) and labels[0] != labels[1]:
        differences.append(f"labels of the regions: {labels[0]} | {labels[1]}")
    if differences:
        raise _not_comparable(reference, run, differences)
    channels = [theirs.index(name) for name in ours]
    regions = [run.regions.index(name) for name in reference.regions]
    subsets = tuple(tuple(sorted(map(channels.index, subset))) for subset in run.subsets)
    return replace(
        run,
        modalities=reference.modalities,
        regions=reference.regions,
        subsets=subsets,
        scores={name: values[:, :, regions] for name, values in run.scores.items()},
    )


def common_subsets(runs: Sequence[Run]) -> list[Subset]:
    """The subsets that every run has results of, by size, then by channel numbers.

    Raises:
        DataError: If there is none.
    """
    common = set.intersection(*(set(run.subsets) for run in runs))
    if not common:
        listed = "".join(f"\n  {run.name}: {', '.join(map(run.modalities.label, run.subsets))}" for run in runs)
        raise DataError(f"The runs have no subset in common. They have results of:{listed}")
    return list(by_size(common))


def refuse_different_cases(runs: Sequence[Run], subsets: Sequence[Subset]) -> None:
    """Refuse runs that did not segment the same cases from each of these subsets.

    Raises:
        DataError: Names the cases.
    """
    reference = runs[0]
    for run in runs[1:]:
        differences = _only_in(reference, run, set(reference.cases), set(run.cases))
        for subset in () if differences else subsets:
            found = _only_in(reference, run, reference.cases_of(subset), run.cases_of(subset))
            differences += [f"{reference.modalities.label(subset)}, {text}" for text in found]
        if differences:
            raise _not_comparable(reference, run, differences)


def _only_in(one: Run, two: Run, cases_of_one: set[str], cases_of_two: set[str]) -> list[str]:
    lines = []
    for run, only in ((one, cases_of_one - cases_of_two), (two, cases_of_two - cases_of_one)):
        if only:
            listed = ", ".join(sorted(only)[:10]) + (f" and {len(only) - 10} more" if len(only) > 10 else "")
            lines.append(f"cases only in {run.name}: {listed}")
    return lines


def _not_comparable(reference: Run, run: Run, differences: Sequence[str]) -> DataError:
    listed = "".join(f"\n  {line}" for line in differences)
    return DataError(
        f"{reference.name} ({reference.folder}) and {run.name} ({run.folder}) cannot be compared. They differ in:"
        f"{listed}\nEvaluate both on the same cases and folds, with the same labels."
    )
