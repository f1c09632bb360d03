"""By which conventions an evaluation measures; nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from nnunet_hetero.errors import SettingsError

EMPTY_CONVENTION = (
    "A region that is empty in both the truth and the prediction has no Dice (NaN) and is left out of means, as in "
    "nnU-Net; empty in one of them only, its Dice is 0."
)

PENALTY_MM = 374.0
"""HD95 of a missed or false lesion: about the diagonal of BraTS's images, 240 × 240 × 155 mm."""


@dataclass(frozen=True)
class LesionRule:
    """What the challenges do differently.

    Args:
        dilation: Iterations, in voxels.
        largest_ignored: Volume up to which a lesion does not count, mm³.
    """

    dilation: int
    largest_ignored: float


LESION_RULES = {
    "glioma": LesionRule(3, 50),
    "meningioma": LesionRule(1, 50),
    "metastases": LesionRule(1, 2),
}
"""By challenge; ``glioma`` is also the rule of the sub-Saharan and the paediatric one."""


@dataclass(frozen=True)
class MetricSettings:
    """What the user settles for all metrics.

    Args:
        tolerance: Of the normalised surface Dice, mm.
        lesion_rule: Key of `LESION_RULES`.

    Raises:
        SettingsError: If a value is impossible.
    """

    tolerance: float = 1.0
    lesion_rule: str = "glioma"

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < float("inf"):
            raise SettingsError(f"--nsd_tolerance is {self.tolerance}; it must be a number of millimetres, 0 or more.")
        if self.lesion_rule not in LESION_RULES:
            raise SettingsError(
                f"--lesion_rule: there is no '{self.lesion_rule}'; choose from {', '.join(LESION_RULES)}."
            )

    @property
    def rule(self) -> LesionRule:
        """The challenge's rule."""
        return LESION_RULES[self.lesion_rule]
