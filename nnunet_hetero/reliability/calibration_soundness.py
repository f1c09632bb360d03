"""Whether the parts of a calibration fit each other: types alone do not say so, and a prediction would fail on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nnunet_hetero.reliability.input_checks import ALONE, InputChecks
from nnunet_hetero.reliability.quality import Quality, Signs, number_of_features

TOGETHER = "together"
"""Key of the scores of folds that predict together."""

ALL_SUBSETS = "all"
"""Key of the temperature over all subsets."""


def flaws(content: Mapping[str, Any]) -> Iterator[str]:
    """What does not fit, in words.

    Args:
        content: Of ``calibration.json``, with the types that its schema asks for.
    """
    yield from _of_scores(content)
    yield from _of_temperatures(content["temperatures"], list(content["scores"]))
    yield from _of_quality(content["quality"] or {}, len(content["modalities"]))
    if content["input_checks"] is not None:
        yield from _of_input_checks(content["input_checks"])


def _of_scores(content: Mapping[str, Any]) -> Iterator[str]:
    known = {TOGETHER} if content["together"] else set(content["model"]["weights"])
    for region, of_subsets in content["scores"].items():
        for subset, of_folds in of_subsets.items():
            for fold in of_folds.keys() - known:
                yield f"scores.{region}.{subset} has scores of {fold}, of which it has no weights"


def _of_temperatures(temperatures: Mapping[str, Mapping[str, float]], regions: list[str]) -> Iterator[str]:
    if temperatures.keys() != set(regions):
        yield f"'temperatures' is of {_listed(temperatures)}, 'scores' of {_listed(regions)}"
    for region, of_subsets in temperatures.items():
        if ALL_SUBSETS not in of_subsets:
            yield f"temperatures.{region} has no '{ALL_SUBSETS}'"


def _of_quality(quality: Quality, modalities: int) -> Iterator[str]:
    expected = number_of_features(modalities)
    for region, one in quality.items():
        if one.get("signs") != list(Signs._fields):
            continue  # of an earlier version, and not used
        for group, regression in one["regressions"].items():
            for numbers in (regression["mean"], regression["scale"], regression["coefficients"]):
                if len(numbers) != expected:
                    yield f"quality.{region}.regressions.{group} needs {expected} numbers, not {len(numbers)}"
        for subset, of_groups in one["scores"].items():
            if of_groups.keys() - one["regressions"].keys():
                yield f"quality.{region}.scores.{subset} has a group without a regression"


def _of_input_checks(checks: InputChecks) -> Iterator[str]:
    for source, of_source in checks["weights"].items():
        expected = 1 if source == ALONE else 2
        for one, others in of_source.items():
            for two, numbers in others.items():
                if len(numbers) != expected:
                    yield f"input_checks.weights.{source}.{one}.{two} needs {expected} numbers, not {len(numbers)}"
    for name, classes in checks["classes"].items():
        lengths = {len(classes["precision"]), *map(len, classes["precision"]), *map(len, classes["means"].values())}
        if name not in classes["means"] or len(lengths) != 1:
            yield f"input_checks.classes.{name} has no means of {name}, or not as many numbers everywhere"


def _listed(names: Any) -> str:
    return ", ".join(names) or "nothing"
