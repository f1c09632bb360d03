"""``quality.csv`` beside the predictions: the Dice that each region is likely to have, and whether to look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnunet_hetero.inference.engine.case_result import Statement
from nnunet_hetero.inference.output.volumes import Row
from nnunet_hetero.modalities import Modalities, Subset, mask_of
from nnunet_hetero.reliability.intervals import CalibrationInUse
from nnunet_hetero.reliability.quality import PredictedDice, Signs, predicted_dice

FILE_NAME = "quality.csv"


def predicted_quality(
    use: CalibrationInUse,
    modalities: Modalities,
    used: Subset,
    said: Sequence[Statement],
) -> dict[str, PredictedDice]:
    """What is predicted of each region of a case; empty if the calibration predicts none.

    Args:
        use: The calibration, and which folds predict.
        modalities: The model's.
        used: Channels that the case was predicted from.
        said: What each of these folds says of the case.
    """
    calibration = use.calibration
    found: dict[str, PredictedDice] = {}
    if not calibration.quality:
        return found
    available = mask_of(used, len(modalities)).tolist()
    for place, region in enumerate(calibration.regions):
        quality = calibration.quality.get(region)
        if quality is None:
            found[region] = PredictedDice(None, None, 0, "too few patients of the calibration have this region")
            continue
        signs = dict(zip(use.folds, (_signs(one, place) for one in said), strict=True))
        label = modalities.label(used)
        found[region] = predicted_dice(quality, label, available, signs, calibration.level)
    return found


def _signs(said: Statement, place: int) -> Signs:
    numbers = (said.expected_dice, said.softened_dice, said.disagreement, said.surface)
    return Signs(*(float(values[place]) for values in numbers))


def quality_rows(found: Mapping[str, PredictedDice], level: float, min_dice: float | None) -> list[Row]:
    """The rows of one case, one for each region.

    Args:
        found: By region.
        level: Of the lower bounds.
        min_dice: What the user wants at least; None leaves the column ``look`` empty.

    Returns:
        ``region``, ``dice`` (predicted), ``dice_low`` (its lower bound), ``level``, ``cases`` (patients that the bound
        rests on), ``look`` (yes if the bound is below what the user wants, or if there is none) and ``note`` (why there
        is none).
    """
    return [
        {
            "region": region,
            "dice": one.dice,
            "dice_low": one.low,
            "level": level,
            "cases": one.patients,
            "look": _look(one.low, min_dice),
            "note": one.reason,
        }
        for region, one in found.items()
    ]


def _look(low: float | None, min_dice: float | None) -> str | None:
    if min_dice is None:
        return None
    return "no" if low is not None and low >= min_dice else "yes"
