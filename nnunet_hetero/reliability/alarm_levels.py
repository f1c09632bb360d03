"""At which level a case is judged, so that good cases are left alone whatever the distribution of their margins.

The limits of `nnunet_hetero.reliability.input_checks` take margins for normal, which those of some images are not. So
the calibration's own patients are judged as new ones would be, by the others, in groups that are left out in turn. Each
gives the least alpha at which there would be an alarm. A new patient alarms below the k-th smallest of these numbers of
n patients, k = ⌊α (n + 1)⌋, and below α. That is a test by a conformal p-value (Bates, Candès, Lei, Romano, Sesia,
"Testing for outliers with conformal p-values", Annals of Statistics 51, 2023): about α of exchangeable good patients
alarm, at most. With fewer than 1/α - 1 of them k is 0, and the smallest number is taken; the share is 1 / (n + 1), and
no rule without an assumption on the distribution can promise less. Bad images among the calibration cases make levels
lower, never higher. All of it is apart for the modalities that a case has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from nnunet_hetero.reliability.input_checks import (
    ALPHA,
    Alphas,
    InputChecks,
    fit_input_checks,
    judge,
    least_alphas,
)
from nnunet_hetero.reliability.input_evidence import Explained, InputSigns, sources_of_pairs
from nnunet_hetero.reliability.input_verdict import SUSPICIOUS, InputVerdict, verdicts

GROUPS = 10
"""Into how many groups the patients are divided at most, at random."""

Case = tuple[str, InputSigns]
"""A patient and the signs of one of the patient's cases."""


class Judged(NamedTuple):
    """The calibration's cases, judged by those of other patients.

    Attributes:
        alphas: The levels, `Alphas`, by the modalities that a case has (``T1+FLAIR``).
        suspicious: What would be said of cases that would alarm, by their number.
    """

    alphas: dict[str, list[float]]
    suspicious: dict[int, list[InputVerdict]]


def judged_by_others(cases: Sequence[Case], names: Sequence[str]) -> Judged:
    """Judge each case as a new one.

    Args:
        cases: Patient and signs of each calibration case.
        names: Of all modalities, in channel order.
    """
    least: dict[str, dict[str, Alphas]] = {}
    suspicious = {}
    for checks, number in _checks_of_others(cases, names):
        patient, signs = cases[number]
        every = [name for name in names if name in signs["posterior"]]
        for present in _subsets(every):
            own = least_alphas(checks, of_modalities(signs, present, names), names)
            of_patients = least.setdefault("+".join(present), {})
            before = of_patients.get(patient, Alphas(1.0, 1.0))
            of_patients[patient] = Alphas(*map(min, zip(before, own, strict=True)))
        seen = of_modalities(signs, every, names)
        found = verdicts(judge(checks, seen, names, ALPHA), seen, every)
        if any(one.check == SUSPICIOUS for one in found):
            suspicious[number] = found
    alphas = {}
    for label, of_patients in least.items():
        exchanged, other = zip(*of_patients.values(), strict=True)
        alphas[label] = [level_of(exchanged, ALPHA.exchanged), level_of(other, ALPHA.other)]
    return Judged(alphas, suspicious)


def level_of(least: Sequence[float], alpha: float) -> float:
    """Below it the least alpha of a new good patient falls with a probability of alpha or, if more, 1 / (n + 1).

    Args:
        least: Of each patient of the calibration, ``(n,)``.
        alpha: Probability; the level is no more than this.

    Examples:
        >>> level_of([0.3, 1.0, 0.001], 0.005), level_of([1.0] * 10, 0.005)
        (0.001, 0.005)
    """
    rank = max(1, math.floor(round(alpha * (len(least) + 1), 9)))
    return min(alpha, sorted(least)[rank - 1])


def of_modalities(signs: InputSigns, present: Sequence[str], names: Sequence[str]) -> InputSigns:
    """What a look at a case that had some of its images only would give.

    Args:
        signs: Of the case, explained by all subsets of its images.
        present: Names of these images, in channel order.
        names: Of all modalities, in channel order.
    """
    explained: dict[str, dict[str, Explained]] = {}
    for channels in sources_of_pairs([names.index(name) for name in present]):
        source = "+".join(names[channel] for channel in channels)
        if source in signs["explained"]:
            of_source = signs["explained"][source].items()
            explained[source] = {name: one for name, one in of_source if name in present}
    contrast: dict[str, dict[str, float]] = {}
    for one, two in combinations(present, 2):
        contrast.setdefault(one, {})[two] = signs["contrast"][one][two]
    posterior = {name: {name: signs["posterior"][name][name]} for name in present}
    return {"explained": explained, "contrast": contrast, "posterior": posterior}


def _checks_of_others(cases: Sequence[Case], names: Sequence[str]) -> Iterator[tuple[InputChecks, int]]:
    """What images of other patients look like, and the case's number; nothing where the others are too few."""
    patients = sorted({patient for patient, _ in cases})
    order = np.random.default_rng(0).permutation(len(patients)).tolist()
    group_of = {patients[place]: number % GROUPS for number, place in enumerate(order)}
    for group in range(min(GROUPS, len(patients))):
        checks = fit_input_checks([case for case in cases if group_of[case[0]] != group], names)
        if checks is not None:
            for number, (patient, _) in enumerate(cases):
                if group_of[patient] == group:
                    yield checks, number


def _subsets(present: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(1, len(present) + 1):
        yield from combinations(present, size)
