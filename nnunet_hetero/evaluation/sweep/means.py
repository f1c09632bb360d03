"""Means over cases, per subset, size and region."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from nnunet_hetero.evaluation.scores.metric_options import DICE
from nnunet_hetero.evaluation.scores.metric_settings import EMPTY_CONVENTION
from nnunet_hetero.evaluation.scores.registry import known_scores
from nnunet_hetero.evaluation.sweep.results import Row, mean
from nnunet_hetero.evaluation.sweep.summary import Means, ScoreMeans, SizeMeans, SubsetMeans, Summary, as_number
from nnunet_hetero.modalities import Modalities


def summarise(
    rows: Sequence[Row], modalities: Modalities, regions: Sequence[str], columns: Sequence[str] = (DICE,)
) -> Summary:
    """Means of the scores; NaN is left out, and a mean of nothing is None.

    Args:
        rows: Those of ``metrics.csv``.
        modalities: The model's.
        regions: Names, in order.
        columns: The scores to average; the Dice is one of them.

    Examples:
        >>> row = {"case": "a", "subset": "T1", "region": "tumour", "dice": 0.5}
        >>> found = summarise([row, {**row, "case": "b", "dice": 0.75}], Modalities(("T1", "T2")), ["tumour"])
        >>> found.overall.dice, found.cases
        ({'tumour': 0.625}, 2)
    """
    by_subset: dict[str, list[Row]] = {}
    for row in rows:
        by_subset.setdefault(row["subset"], []).append(row)
    channels = {name: modalities.parse([name]) for name in by_subset}
    subsets = []
    for name in sorted(by_subset, key=lambda text: (len(channels[text]), channels[text])):
        own = by_subset[name]
        available = tuple(channel in channels[name] for channel in range(len(modalities)))
        scores = _over_cases(own, regions, columns)
        subsets.append(SubsetMeans(scores, name, available, len({row["case"] for row in own})))
    sizes = []
    for size in sorted({entry.n_modalities for entry in subsets}):
        of_size = [entry for entry in subsets if entry.n_modalities == size]
        sizes.append(SizeMeans(_over_subsets(of_size, regions, columns), size))
    known = known_scores()
    return Summary(
        modalities=tuple(modalities.names),
        regions=tuple(regions),
        cases=len({row["case"] for row in rows}),
        convention=EMPTY_CONVENTION,
        empty_regions=tuple(region for region in regions if _is_empty(region, subsets)),
        subsets=tuple(subsets),
        sizes=tuple(sizes),
        overall=Means(_over_subsets(subsets, regions, columns)),
        scores={column: known[column] for column in columns},
    )


def _is_empty(region: str, subsets: Sequence[Means]) -> bool:
    return all(entry.dice[region] is None for entry in subsets)


Values = Callable[[str, str], Iterable[float | None]]
"""The numbers of a column and region."""


def _over_cases(rows: Sequence[Row], regions: Sequence[str], columns: Sequence[str]) -> dict[str, ScoreMeans]:
    return _means(lambda column, region: (row[column] for row in rows if row["region"] == region), regions, columns)


def _over_subsets(entries: Sequence[Means], regions: Sequence[str], columns: Sequence[str]) -> dict[str, ScoreMeans]:
    return _means(lambda column, region: (entry.scores[column].regions[region] for entry in entries), regions, columns)


def _means(values: Values, regions: Sequence[str], columns: Sequence[str]) -> dict[str, ScoreMeans]:
    found = {}
    for column in columns:
        by_region = {region: _mean(values(column, region)) for region in regions}
        found[column] = ScoreMeans(by_region, _mean(by_region.values()))
    return found


def _mean(numbers: Iterable[float | None]) -> float | None:
    result = mean(map(as_number, numbers))
    return None if math.isnan(result) else result
