"""Whether the volumes of two scans decide for progression, response or stability.

Each volume is known as an interval. With L1, H1 before and L2, H2 after, the ratio of the true volumes lies between
L2 / H1 and H2 / L1 whenever both volumes lie in theirs. If each interval holds its volume with a probability of at
least 1 - α/2, both do with at least 1 - α (Bonferroni), so the ratio's interval has the level 1 - α.

The thresholds are those for volumes of RANO 2.0 (Wen et al., "RANO 2.0: update to the Response Assessment in
Neuro-Oncology criteria for high- and low-grade gliomas in adults", Journal of Clinical Oncology 41, 2023, 5187-5199):
progression from an increase of 40 % on, partial response from a decrease of 65 % on, stable strictly between. They are
Macdonald's and RANO's 25 % and 50 % of the product of two diameters, for spheres: 1.25^1.5 = 1.40 and 0.5^1.5 = 0.35.
An increase counts from the smallest volume since the baseline (the nadir), a decrease from the baseline; which scan is
which is the user's choice. The article itself could not be read when this was written. The thresholds are quoted from
it, with these inequalities, in the paper of the data set CFB-GBM v2.0 (Leclercq et al.) and in the 3D Slicer extension
RANO2.0-assist, and derived, with baseline and nadir, in a table of the American Journal of Neuroradiology on criteria
extrapolated from Macdonald's. Of 2D images areas are compared, and like the product of two diameters they have
these criteria's own 25 % and 50 %.

A complete response, new lesions, steroids, the patient's state, and the least size that counts as measurable, which
RANO looks at too, are nothing that a ratio of volumes could tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.extent import MILLILITRES, SQUARE_MILLIMETRES


class Shares(NamedTuple):
    """Increase from which on (itself included) it is progression, and decrease from which on it is a response."""

    progression: float
    response: float


RANO = {MILLILITRES: Shares(0.40, 0.65), SQUARE_MILLIMETRES: Shares(0.25, 0.50)}
"""RANO 2.0, by the unit: of volumes, and of areas as of products of two diameters."""

FARTHEST = 10.0
"""An increase from here on is taken for a percentage that was meant as a share."""

PD, PR, STABLE, UNDECIDED = "PD", "PR", "stable", "undecided"


class Interval(NamedTuple):
    """Limits of a volume, or of a ratio of volumes; the upper one may be infinite."""

    low: float
    high: float


@dataclass(frozen=True)
class Thresholds:
    """From which change on a decision is made.

    Args:
        progression: Increase of the volume or area, as a share of that before; None for that of `RANO`.
        response: Decrease, in the same way.

    Raises:
        SettingsError: If one is no such share.
    """

    progression: float | None = None
    response: float | None = None

    def __post_init__(self) -> None:
        if self.progression is not None and not 0 < self.progression < FARTHEST:
            raise SettingsError(
                f"--progression is {self.progression}; it must be a share above 0 and below {FARTHEST:g}, e.g. 0.4 for "
                "40 % more."
            )
        if self.response is not None and not 0 < self.response < 1:
            raise SettingsError(f"--response is {self.response}; it must be between 0 and 1, e.g. 0.65 for 65 % less.")

    def ratios(self, unit: str) -> Interval:
        """Ratios up to which it is a response, and from which on it is progression.

        Args:
            unit: Of what is compared; "" if it is not known, which counts as a volume.
        """
        usual = RANO.get(unit, RANO[MILLILITRES])
        progression = usual.progression if self.progression is None else self.progression
        response = usual.response if self.response is None else self.response
        return Interval(1 - response, 1 + progression)

    def decision(self, ratio: Interval, unit: str = MILLILITRES) -> str:
        """``PD``, ``PR`` or ``stable`` if every ratio in the interval says the same, else ``undecided``.

        Args:
            ratio: Interval of the volume after divided by that before.
            unit: Of what is compared.

        Examples:
            >>> Thresholds().decision(Interval(1.5, 2.2)), Thresholds().decision(Interval(0.9, 1.5))
            ('PD', 'undecided')
        """
        shrunk, grown = self.ratios(unit)
        if ratio.low >= grown:
            return PD
        if ratio.high <= shrunk:
            return PR
        if ratio.low > shrunk and ratio.high < grown:
            return STABLE
        return UNDECIDED


def ratio_of(before: Interval, after: Interval) -> Interval | None:
    """Interval of the volume after divided by that before; None if both may be nothing, which has no ratio.

    Args:
        before: Of the volume in the first scan.
        after: Of the volume in the second one.

    Examples:
        >>> ratio_of(Interval(10.0, 20.0), Interval(30.0, 40.0))
        Interval(low=1.5, high=4.0)
    """
    if before.low == 0 and after.low == 0:
        return None
    low = after.low / before.high if before.high > 0 else math.inf
    high = after.high / before.low if before.low > 0 else math.inf
    return Interval(low, high)


def level_of_each(level: float) -> float:
    """Level of the interval of each of two volumes, for a ratio at a level: 1 - α/2.

    Args:
        level: 1 - α.
    """
    return 1 - (1 - level) / 2
