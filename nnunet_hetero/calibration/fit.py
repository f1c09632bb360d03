"""From the records of all cases to what ``calibration.json`` holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from nnunet_hetero.calibration.records import CaseRecord, Row, counts_of
from nnunet_hetero.modalities import Modalities, mask_of
from nnunet_hetero.reliability.alarm_levels import judged_by_others
from nnunet_hetero.reliability.calibration_file import ALL_SUBSETS, Scores
from nnunet_hetero.reliability.input_checks import InputChecks, fit_input_checks
from nnunet_hetero.reliability.input_verdict import InputVerdict
from nnunet_hetero.reliability.quality import Observation, Signs
from nnunet_hetero.reliability.temperature import fitted_temperature, shrunk
from nnunet_hetero.reliability.volume_scale import VolumeScale, stated_width


def score_of(row: Row, by_disagreement: bool) -> float:
    """How far off the size is, in units of the width that the model states, see `volume_scale`."""
    scale = VolumeScale(row["voxel"], row["unit"])
    distance = np.abs(np.diff(scale.place(np.array([row["true_size"], row["size"]]))))
    return float((distance / stated_width(np.array([row["disagreement"]]), by_disagreement))[0])


def of_several_folds(rows: Iterable[Row]) -> set[str]:
    """Patients whom several folds have predicted: they would count more than once."""
    folds: dict[str, set[str]] = {}
    for row in rows:
        folds.setdefault(row["patient"], set()).add(row["fold"])
    return {patient for patient, of_patient in folds.items() if len(of_patient) > 1}


def fitted_scores(rows: Sequence[Row], regions: Sequence[str], by_disagreement: bool, joint: bool) -> Scores:
    """The scores by region, subset and fold, one for each patient: the largest of the patient's cases.

    Args:
        rows: Of all cases.
        regions: Names, in order.
        by_disagreement: See `score_of`.
        joint: Whether a patient's score is the largest over the regions, too, and the same for all of them.
    """
    largest: dict[tuple[str, str, str, str], float] = {}
    for row in rows:
        score = score_of(row, by_disagreement)
        for region in regions if joint else [row["region"]]:
            key = (region, row["subset"], row["fold"], row["patient"])
            largest[key] = max(score, largest.get(key, 0.0))
    scores: Scores = {region: {} for region in regions}
    # Sorted by score: the order tells nothing of who is who.
    for (region, subset, fold, _), score in sorted(largest.items(), key=lambda entry: entry[1]):
        scores[region].setdefault(subset, {}).setdefault(fold, []).append(score)
    return scores


def fitted_temperatures(records: Sequence[CaseRecord], regions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Temperatures by region and subset, see `nnunet_hetero.reliability.temperature`; `ALL_SUBSETS` is that of all.

    Fitted on voxels in or near the region or its prediction, see `records.NEAR`; each case counts the same.
    """
    found: dict[str, dict[str, float]] = {}
    for region in regions:
        by_subset: dict[str, list[np.ndarray]] = {}
        of_cases = []
        for record in records:
            shares = _shares(record, region)
            if shares:
                of_cases.append(np.mean(list(shares.values()), axis=0))
            for subset, share in shares.items():
                by_subset.setdefault(subset, []).append(share)
        of_all = fitted_temperature(of_cases)
        own = {subset: shrunk(fitted_temperature(cases), of_all, len(cases)) for subset, cases in by_subset.items()}
        found[region] = {ALL_SUBSETS: of_all, **own}
    return found


def _shares(record: CaseRecord, region: str) -> dict[str, np.ndarray]:
    """By subset, which part of the voxels near the region is where; subsets without any are left out."""
    counts = {subset: counts_of(voxels, "near") for subset, voxels in record.voxels[region].items()}
    return {subset: one / one.sum() for subset, one in counts.items() if one.sum()}


def observations(rows: Iterable[Row], names: Sequence[str]) -> list[Observation]:
    """What the regression of the Dice is fitted on; rows without a Dice are left out.

    Args:
        rows: Of all cases.
        names: Of all modalities, in channel order.
    """
    modalities = Modalities(tuple(names))
    found = []
    for row in rows:
        if row["dice"] is not None:
            signs = Signs(row["expected_dice"], row["softened_dice"], row["disagreement"], row["surface"])
            available = tuple(mask_of(modalities.parse([row["subset"]]), len(names)).tolist())
            who = row["patient"], row["fold"], row["region"], row["subset"]
            found.append(Observation(*who, available, signs, row["dice"]))
    return found


def fitted_input_checks(
    records: Iterable[CaseRecord], names: Sequence[str]
) -> tuple[InputChecks | None, dict[str, list[InputVerdict]]]:
    """What good images look like to the model, see `fit_input_checks`, and which cases of these are suspicious.

    Args:
        records: Of all cases.
        names: Of all modalities, in channel order.

    Returns:
        The checks, None without enough patients, and by case what would be said of it if it were new.
    """
    known = [(record.rows[0]["case"], record.rows[0]["patient"], record.input_statistics) for record in records]
    cases = [(case, (patient, signs)) for case, patient, signs in known if signs is not None]
    signs_of_cases = [signs for _, signs in cases]
    checks = fit_input_checks(signs_of_cases, names)
    if checks is None:
        return None, {}
    judged = judged_by_others(signs_of_cases, names)
    checks["alphas"] = judged.alphas
    return checks, {cases[number][0]: found for number, found in judged.suspicious.items()}
