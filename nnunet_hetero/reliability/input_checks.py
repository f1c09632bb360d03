"""Whether images are what their names say: what good cases look like to the model, and whether a new one does.

Good are the calibration cases, seen by a fold that has not seen them. Each margin of `input_evidence` has a limit below
which a good image does not come, see `nnunet_hetero.reliability.spread`. Where something else is stated of an image, it
must fit better besides: the margin is below 0. Of each patient the smallest margin counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.reliability.input_evidence import (
    IS,
    ODD,
    SWAPPED,
    UNLIKE,
    InputSigns,
    Number,
    Statement,
    exchanges,
    margins,
    sources_that_cover,
)
from nnunet_hetero.reliability.posterior_classes import Classes, distances, fit_classes
from nnunet_hetero.reliability.spread import NEEDED, Spread, least_alpha, limit_of, spread_of


class Alphas(NamedTuple):
    """Shares of good cases in which something may seem wrong by chance.

    Attributes:
        exchanged: Two images seem exchanged, the mistake that is made most.
        other: Anything else seems wrong.
    """

    exchanged: float
    other: float


ALPHA = Alphas(0.005, 0.005)
"""Together a case in a hundred."""

ALPHA_TO_LOOK_CLOSER = Alphas(0.05, 0.05)
"""The same for a first look, after which everything is looked at."""

ALONE = ""
"""Source of what an image says without others."""

Key = tuple[str, Statement]
"""The modalities that explain, and what is stated."""

Row = tuple[str, float]
"""A patient and a margin."""

_Share = Annotated[float, Field(gt=0, lt=1)]


class InputChecks(TypedDict):
    """What ``calibration.json`` holds under ``input_checks``.

    ``spreads`` are by source, kind of the statement, modality and other modality or view; ``weights`` by source and the
    two modalities that are exchanged; ``classes`` by modality; ``alphas``, two numbers as `Alphas`, by the modalities
    that a case has, see `nnunet_hetero.reliability.alarm_levels`; earlier versions had none.
    """

    spreads: dict[str, dict[str, dict[str, dict[str, Spread]]]]
    weights: dict[str, dict[str, dict[str, list[Number]]]]
    classes: dict[str, Classes]
    alphas: NotRequired[dict[str, Annotated[list[_Share], Field(min_length=2, max_length=2)]]]


class Finding(NamedTuple):
    """What one margin says.

    Attributes:
        statement: What the image may be instead.
        source: Label of the modalities that explain it; "" for none.
        margin: Above 0 the image's name fits better.
        limit: Below it a good image does not come.
        deviation: How much the margins of good images differ.
    """

    statement: Statement
    source: str
    margin: float
    limit: float
    deviation: float

    @property
    def suspicious(self) -> bool:
        """Whether the image is not what its name says, as far as this margin goes."""
        return self.margin < self.limit


def fit_input_checks(cases: Sequence[tuple[str, InputSigns]], names: Sequence[str]) -> InputChecks | None:
    """What good images look like.

    Args:
        cases: Patient and signs of each calibration case.
        names: Of all modalities, in channel order.

    Returns:
        None if there are too few patients for any limit.
    """
    found = _of_single_images(cases, names)
    weights: dict[str, dict[str, dict[str, list[float]]]] = {}
    for key, observed in _of_exchanges(cases, names).items():
        source, statement = key
        patients = [patient for patient, _ in observed]
        numbers = np.array([own for _, own in observed], dtype=float)
        own_weights: list[float] = _weights(numbers).tolist()
        weights.setdefault(source, {}).setdefault(statement.modality, {})[statement.other] = own_weights
        found[key] = list(zip(patients, _left_out(numbers, patients), strict=True))
    for name in names:
        for key, patient, margin in _of_posterior(cases, name):
            found.setdefault(key, []).append((patient, margin))
    spreads: dict[str, dict[str, dict[str, dict[str, Spread]]]] = {}
    for (source, statement), rows in found.items():
        smallest: dict[str, float] = {}
        for patient, margin in rows:
            smallest[patient] = min(margin, smallest.get(patient, np.inf))
        if len(smallest) >= NEEDED:
            of_kind = spreads.setdefault(source, {}).setdefault(statement.kind, {})
            of_kind.setdefault(statement.modality, {})[statement.other] = spread_of(list(smallest.values()))
    if not spreads:
        return None
    classes = {name: fit_classes(own) for name in names if (own := _posteriors(cases, name))}
    return {"spreads": spreads, "weights": weights, "classes": classes}


def alphas_of(checks: InputChecks, signs: InputSigns, names: Sequence[str]) -> Alphas:
    """At which level a case is judged: `ALPHA`, or less where good cases with the same modalities would alarm.

    Args:
        checks: Of the model.
        signs: Of the case.
        names: Of all modalities, in channel order.
    """
    present = "+".join(name for name in names if name in signs["posterior"])
    return Alphas(*checks.get("alphas", {}).get(present, ALPHA))


def judge(checks: InputChecks, signs: InputSigns, names: Sequence[str], alphas: Alphas) -> list[Finding]:
    """What all margins of a case say; those that the calibration knows no limit of are left out.

    Args:
        checks: Of the model.
        signs: Of the case.
        names: Of all modalities, in channel order.
        alphas: Shares of good cases of which any margin is below its limit, at most (Bonferroni); that of other kinds
            than exchanges is divided among them.
    """
    findings = []
    for known in _known(checks, signs, names):
        kind, spread = known.statement.kind, known.spread
        alpha = alphas.exchanged if kind == SWAPPED else alphas.other
        limit = limit_of(spread, alpha * known.share)
        limit = limit if kind in (UNLIKE, ODD) else min(limit, 0.0)
        findings.append(Finding(known.statement, known.source, known.margin, limit, spread["deviation"]))
    return findings


def least_alphas(checks: InputChecks, signs: InputSigns, names: Sequence[str]) -> Alphas:
    """The least shares at which `judge` finds something suspicious in a case; 1 if it does at none.

    Args:
        checks: Of the model.
        signs: Of the case.
        names: Of all modalities, in channel order.
    """
    least = {True: 1.0, False: 1.0}
    for known in _known(checks, signs, names):
        kind = known.statement.kind
        if kind in (UNLIKE, ODD) or known.margin < 0:
            own = least_alpha(known.spread, known.margin) / known.share
            least[kind == SWAPPED] = min(least[kind == SWAPPED], own)
    return Alphas(least[True], least[False])


class _Known(NamedTuple):
    """A margin that the calibration knows the spread of, and its part of alpha."""

    source: str
    statement: Statement
    margin: float
    spread: Spread
    share: float


def _known(checks: InputChecks, signs: InputSigns, names: Sequence[str]) -> list[_Known]:
    margins_of_case = _margins(checks, signs, names).items()
    known = [(key, margin, spread) for key, margin in margins_of_case if (spread := _spread(checks, *key)) is not None]
    of_kind = Counter(statement.kind for (_, statement), _, _ in known)
    kinds = len(of_kind.keys() - {SWAPPED})
    found = []
    for (source, statement), margin, spread in known:
        parts = of_kind[statement.kind] * (1 if statement.kind == SWAPPED else kinds)
        found.append(_Known(source, statement, margin, spread, 1 / parts))
    return found


def _spread(checks: InputChecks, source: str, statement: Statement) -> Spread | None:
    of_kind = checks["spreads"].get(source, {}).get(statement.kind, {})
    return of_kind.get(statement.modality, {}).get(statement.other)


def first_sources(checks: InputChecks, names: Sequence[str], present: Sequence[int]) -> list[tuple[int, ...]]:
    """The subsets whose completed images a first look takes.

    Args:
        checks: Of the model.
        names: Of all modalities, in channel order.
        present: Channels that a case has.
    """
    apart = {}
    for one, two in combinations(present, 2):
        spread = _spread(checks, ALONE, Statement(SWAPPED, names[one], names[two]))
        if spread is not None:
            apart[one, two] = spread["mean"] / max(spread["deviation"], 1e-9)
    return sources_that_cover(present, apart)


def _margins(checks: InputChecks, signs: InputSigns, names: Sequence[str]) -> dict[Key, float]:
    found: dict[Key, float] = {}
    for source, explained in signs["explained"].items():
        of_source = margins(explained, names)
        found |= {(source, statement): margin for statement, margin in of_source.items()}
    explained_together: set[Statement] = set()
    for source in (*signs["explained"], ALONE):
        known = checks["weights"].get(source, {})
        for statement, numbers in exchanges(signs, source, names).items():
            weights = known.get(statement.modality, {}).get(statement.other)
            # What others say of the two counts the contrast in.
            if weights is not None and (source or statement not in explained_together):
                explained_together.add(statement)
                found[source, statement] = float(np.dot(weights, numbers))
    for name, by_image in signs["posterior"].items():
        classes = checks["classes"].get(name)
        if classes is not None and name in by_image and len(classes["precision"]) == len(by_image[name]):
            found |= {(ALONE, key): margin for key, margin in _of_classes(classes, name, by_image[name])}
    return found


def _of_single_images(cases: Sequence[tuple[str, InputSigns]], names: Sequence[str]) -> dict[Key, list[Row]]:
    """Patient and margin of all cases, by statement."""
    found: dict[Key, list[Row]] = {}
    for patient, signs in cases:
        for source, explained in signs["explained"].items():
            for statement, margin in margins(explained, names).items():
                found.setdefault((source, statement), []).append((patient, margin))
    return found


def _of_exchanges(
    cases: Sequence[tuple[str, InputSigns]], names: Sequence[str]
) -> dict[Key, list[tuple[str, list[float]]]]:
    """Patient and numbers of all cases, by exchange."""
    found: dict[Key, list[tuple[str, list[float]]]] = {}
    for patient, signs in cases:
        for source in (ALONE, *signs["explained"]):
            for statement, numbers in exchanges(signs, source, names).items():
                found.setdefault((source, statement), []).append((patient, numbers))
    return found


def _weights(numbers: np.ndarray) -> np.ndarray:
    """The linear discriminant between numbers ``(n, k)`` and the same with the other sign, for margins ``(n,)``."""
    mean = numbers.mean(axis=0)
    covariance = np.atleast_2d(np.cov(numbers, rowvar=False)) if len(numbers) > 1 else np.eye(len(mean))
    covariance = covariance + np.eye(len(mean)) * max(1e-6, 0.01 * float(np.trace(covariance)))
    return np.linalg.solve(covariance, mean)


def _left_out(numbers: np.ndarray, patients: Sequence[str]) -> list[float]:
    """The margin of each case by the discriminant of all other patients."""
    found = []
    for patient, own in zip(patients, numbers, strict=True):
        others = numbers[[other != patient for other in patients]]
        found.append(float(_weights(others if len(others) else numbers) @ own))
    return found


def _posteriors(cases: Sequence[tuple[str, InputSigns]], name: str) -> list[dict[str, list[float]]]:
    return [signs["posterior"][name] for _, signs in cases if name in signs["posterior"]]


def _of_posterior(cases: Sequence[tuple[str, InputSigns]], name: str) -> Iterator[tuple[Key, str, float]]:
    """Margins of one modality's posterior in each case, by the classes of all other patients."""
    own = [(patient, signs["posterior"][name]) for patient, signs in cases if name in signs["posterior"]]
    for patient, by_image in own:
        others = [posterior for other, posterior in own if other != patient]
        if len(others) > 1:
            for statement, margin in _of_classes(fit_classes(others), name, by_image[name]):
                yield (ALONE, statement), patient, margin


def _of_classes(classes: Classes, name: str, numbers: Sequence[float]) -> list[tuple[Statement, float]]:
    by_image: Mapping[str, float] = distances(classes, numbers)
    own = by_image[name]
    # A distance is skewed; its logarithm is about normal.
    found = [(Statement(ODD, name), -float(np.log(max(own, 1e-6))))]
    found += [(Statement(IS, name, image), other - own) for image, other in by_image.items() if image != name]
    return found
