"""The Dice that a segmentation is likely to have, predicted from what the model says of it, with a lower bound.

A ridge regression per region takes the disagreement of the draws, the entropy inside the segmentation, its size and the
modalities that it was made from. It is cross-fitted: the patients are divided into groups, and a patient's residual is
that of the regression of all other groups. So the bound is that of CV+ (see `nnunet_hetero.reliability.conformal`),
with a patient's score by how much the prediction promised too much, ŷ_i - y_i, apart for each region and subset.

All patients of a group were predicted by the same fold. At prediction, the regression without a group is given what the
network of that fold says, as it was in the calibration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from nnunet_hetero.reliability.conformal import interval, patients_needed

GROUPS = 30
"""Into how many groups the patients are divided at most: as many in each fold, at random."""

PENALTY = 1.0
"""Of the ridge regression, whose features have unit variance, for each feature; the data count with one per row."""

_Number = Annotated[float, Field(allow_inf_nan=False)]


class Regression(TypedDict):
    """A linear function of standardised features."""

    fold: str
    mean: list[_Number]
    scale: list[_Number]
    coefficients: list[_Number]
    intercept: _Number


class OfRegion(TypedDict):
    """Regressions by group, and scores by subset and group; a group's score is that of the regression without it."""

    regressions: dict[str, Regression]
    scores: dict[str, dict[str, list[_Number]]]


Quality = dict[str, OfRegion]
"""By region; what ``calibration.json`` holds under ``quality``."""


class Signs(NamedTuple):
    """What a network says of a region of a case.

    Attributes:
        place: Of its size, see `VolumeScale.place`.
        disagreement: 1 - Dice between the draws and the segmentation.
        entropy: Mean predictive entropy inside the segmentation, in nats.
    """

    place: float
    disagreement: float
    entropy: float


@dataclass(frozen=True)
class Observation:
    """A region of a case with known truth.

    Args:
        patient: Whose case it is.
        fold: Whose network predicted it, which has not seen it.
        region: Name of the region.
        subset: Label of the modalities that it was predicted from, ``T1+FLAIR``.
        available: Which modalities these are, one bool per channel.
        signs: What the network says.
        dice: The Dice with the truth.
    """

    patient: str
    fold: str
    region: str
    subset: str
    available: tuple[bool, ...]
    signs: Signs
    dice: float


@dataclass(frozen=True)
class PredictedDice:
    """What is predicted of a region of a case.

    Args:
        dice: The Dice, 0 to 1; None if the calibration does not know the region.
        low: Lower bound; None if there is none.
        patients: On how many the bound rests.
        reason: Why there is no bound; "" if there is one.
    """

    dice: float | None
    low: float | None
    patients: int
    reason: str = ""


def features(signs: Signs, available: Sequence[bool]) -> np.ndarray:
    """What the regression takes, ``(F,)``.

    Args:
        signs: What a network says.
        available: Which modalities it was given.
    """
    place, doubt, entropy = signs
    own = [place, doubt, entropy, place**2, doubt**2, entropy**2, place * doubt, place * entropy]
    return np.array([*own, *map(float, available), float(sum(available) == 1)])


def fit_quality(observations: Iterable[Observation]) -> Quality:
    """Regressions and scores of every region.

    Args:
        observations: Of all calibration cases; those whose Dice is NaN are left out.
    """
    by_region: dict[str, list[Observation]] = {}
    for one in observations:
        if np.isfinite(one.dice):
            by_region.setdefault(one.region, []).append(one)
    return {region: _fit_region(rows) for region, rows in by_region.items()}


def _fit_region(rows: Sequence[Observation]) -> OfRegion:
    group_of = groups_of(rows)
    regressions = {}
    for group in sorted(set(group_of.values())):
        others = [row for row in rows if group_of[row.patient] != group]
        fold = next(row.fold for row in rows if group_of[row.patient] == group)
        regressions[group] = _fit(others or rows, fold)
    worst: dict[tuple[str, str], float] = {}
    for row in rows:
        regression = regressions[group_of[row.patient]]
        key = row.subset, row.patient
        too_much = _predict(regression, row.signs, row.available) - row.dice
        worst[key] = max(worst.get(key, -np.inf), too_much)
    scores: dict[str, dict[str, list[float]]] = {}
    # Sorted by score: the order tells nothing of who is who.
    for (subset, patient), score in sorted(worst.items(), key=itemgetter(1)):
        scores.setdefault(subset, {}).setdefault(group_of[patient], []).append(score)
    return {"regressions": regressions, "scores": scores}


def groups_of(rows: Sequence[Observation]) -> dict[str, str]:
    """The group of each patient, ``FOLD.NUMBER``.

    Args:
        rows: Observations of one region.
    """
    of_fold: dict[str, list[str]] = {}
    for patient, fold in sorted({row.patient: row.fold for row in rows}.items()):
        of_fold.setdefault(fold, []).append(patient)
    parts = max(1, GROUPS // len(of_fold))
    groups: dict[str, str] = {}
    for fold, patients in of_fold.items():
        order = np.random.default_rng(0).permutation(len(patients))
        groups |= {patient: f"{fold}.{place % parts}" for patient, place in zip(patients, order.tolist(), strict=True)}
    return groups


def _fit(rows: Sequence[Observation], fold: str) -> Regression:
    values = np.stack([features(row.signs, row.available) for row in rows])
    dice = np.array([row.dice for row in rows])
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale[scale < 1e-9] = 1.0
    standard = (values - mean) / scale
    penalty = PENALTY * np.eye(values.shape[1])
    coefficients = np.linalg.solve(standard.T @ standard + penalty, standard.T @ (dice - dice.mean()))
    return {
        "fold": fold,
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "coefficients": coefficients.tolist(),
        "intercept": float(dice.mean()),
    }


def _predict(regression: Regression, signs: Signs, available: Sequence[bool]) -> float:
    standard = (features(signs, available) - regression["mean"]) / regression["scale"]
    return float(np.clip(regression["intercept"] + standard @ regression["coefficients"], 0.0, 1.0))


def cross_fitted(quality: OfRegion, rows: Sequence[Observation]) -> np.ndarray:
    """The Dice that each calibration case would have been predicted, ``(n,)``, by the regression without its group.

    Args:
        quality: Of the region, fitted on these rows.
        rows: Observations of the region, all that it was fitted on.
    """
    group_of = groups_of(rows)
    return np.array([_predict(quality["regressions"][group_of[row.patient]], row.signs, row.available) for row in rows])


def predicted_dice(
    quality: OfRegion, subset: str, available: Sequence[bool], signs: Mapping[str, Signs], level: float
) -> PredictedDice:
    """What is predicted of a region of a new case.

    Args:
        quality: Of the region.
        subset: Label of the modalities that the case was predicted from.
        available: Which these are, one bool per channel.
        signs: What each fold's network says; folds that do not predict are not there.
        level: 1 - α of the bound.
    """
    regressions = {group: one for group, one in quality["regressions"].items() if one["fold"] in signs}
    if not regressions:
        return PredictedDice(None, None, 0, "the calibration does not know the folds that predict")
    predictions = {group: _predict(one, signs[one["fold"]], available) for group, one in regressions.items()}
    dice = float(np.mean(list(predictions.values())))
    scores = {group: found for group, found in quality["scores"].get(subset, {}).items() if group in predictions}
    numbers = [len(found) for found in scores.values()]
    promised = np.repeat([predictions[group] for group in scores], numbers)
    flat = np.array(list(chain.from_iterable(scores.values())))
    limits = interval(flat, promised, np.ones(len(flat)), level)
    if limits is None:
        needed = f"{100 * level:g} % needs {patients_needed(level)}"
        return PredictedDice(
            dice, None, len(flat), f"{len(flat)} patient(s) with {subset} in the calibration, {needed}"
        )
    return PredictedDice(dice, float(np.clip(limits[0], 0.0, dice)), len(flat))
