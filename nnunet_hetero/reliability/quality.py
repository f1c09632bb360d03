"""The Dice that a segmentation is likely to have, predicted from what the model says of it, with a lower bound.

The logit of the Dice is a ridge regression per region on the Dice that the model's own probabilities promise, the
disagreement of the draws, how much of the segmentation is surface, and the modalities that it was made from. So it says
by how much these promises are to be corrected. It is cross-fitted: the patients are divided into groups, and a
patient's residual is that of the regression of all other groups. So the bound is that of CV+ (see
`nnunet_hetero.reliability.conformal`), with a patient's score by how much the prediction promised too much, ŷ_i - y_i,
apart for each region and subset.

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
from scipy.special import expit, logit
from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.reliability.conformal import interval, patients_needed

GROUPS = 30
"""Into how many groups the patients are divided at most: as many in each fold, at random."""

PENALTY = 1.0
"""Of the ridge regression, whose features have unit variance, for each feature; the data count with one per row."""

CLOSEST = 0.02
"""A Dice is taken for at least this and at most 1 less this, so that its logit is finite and 0 is no outlier."""

_Number = Annotated[float, Field(allow_inf_nan=False)]


class Regression(TypedDict):
    """The logit of the Dice as a linear function of standardised features."""

    fold: str
    mean: list[_Number]
    scale: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]]
    coefficients: list[_Number]
    intercept: _Number


class OfRegion(TypedDict):
    """Regressions by group, and scores by subset and group; a group's score is that of the regression without it.

    ``signs`` names what the regressions take, see `Signs`; earlier versions, which took other numbers, did not say.
    """

    signs: NotRequired[list[str]]
    regressions: dict[str, Regression]
    scores: dict[str, dict[str, list[_Number]]]


Quality = dict[str, OfRegion]
"""By region; what ``calibration.json`` holds under ``quality``."""


class Signs(NamedTuple):
    """What a network says of a region of a case.

    Attributes:
        expected_dice: Of the segmentation with a truth drawn from the probabilities.
        softened_dice: The same from softened probabilities.
        disagreement: 1 - Dice between the draws and the segmentation.
        surface: The part of its voxels that lie on its surface.
    """

    expected_dice: float
    softened_dice: float
    disagreement: float
    surface: float


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
    promised, agreed = _logit(signs.expected_dice), _logit(1 - signs.disagreement)
    own = [promised, signs.softened_dice, agreed, signs.surface]
    return np.array([*own, *map(float, available), float(sum(available) == 1)])


def number_of_features(modalities: int) -> int:
    """F, see `features`.

    Args:
        modalities: Of the model.
    """
    return len(Signs._fields) + modalities + 1


def _logit(dice: float) -> float:
    """Of a Dice, which is taken for one of `CLOSEST` to 1 - `CLOSEST`."""
    return float(logit(np.clip(dice, CLOSEST, 1 - CLOSEST)))


def knows_signs(quality: Quality | None) -> bool:
    """Whether a calibration can predict the Dice from the signs that a network gives now."""
    regions = (quality or {}).values()
    return bool(regions) and all(one.get("signs") == list(Signs._fields) for one in regions)


def fit_quality(observations: Iterable[Observation]) -> Quality:
    """Regressions and scores of every region.

    Args:
        observations: Of all calibration cases; those whose Dice is NaN are left out. A region that only one group of
            patients has is left out, too: nothing would predict it without having seen it.
    """
    by_region: dict[str, list[Observation]] = {}
    for one in observations:
        if np.isfinite(one.dice):
            by_region.setdefault(one.region, []).append(one)
    groups = {region: groups_of(rows) for region, rows in by_region.items()}
    several = [region for region, group_of in groups.items() if len(set(group_of.values())) > 1]
    return {region: _fit_region(by_region[region], groups[region]) for region in several}


def _fit_region(rows: Sequence[Observation], group_of: Mapping[str, str]) -> OfRegion:
    regressions = {}
    for group in sorted(set(group_of.values())):
        others = [row for row in rows if group_of[row.patient] != group]
        fold = next(row.fold for row in rows if group_of[row.patient] == group)
        regressions[group] = _fit(others, fold)
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
    return {"signs": list(Signs._fields), "regressions": regressions, "scores": scores}


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
    dice = np.array([_logit(row.dice) for row in rows])
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
    return float(expit(regression["intercept"] + standard @ regression["coefficients"]))


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
    if quality.get("signs") != list(Signs._fields):
        return PredictedDice(None, None, 0, "the calibration is of an earlier version; calibrate again")
    regressions = {group: one for group, one in quality["regressions"].items() if one["fold"] in signs}
    if not regressions:
        return PredictedDice(None, None, 0, "the calibration does not know the folds that predict")
    predictions = {group: _predict(one, signs[one["fold"]], available) for group, one in regressions.items()}
    dice = float(np.mean(list(predictions.values())))
    if not np.isfinite(dice):
        return PredictedDice(None, None, 0, "the calibration's regressions give no number")
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
