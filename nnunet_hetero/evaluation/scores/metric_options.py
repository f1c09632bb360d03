"""What an evaluation measures, and by which convention each number is meant.

Nothing heavy is imported here: the command reads it before it has anything to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnunet_hetero.errors import SettingsError

METRICS = {
    "dice": ("dice",),
    "hd95": ("hd95",),
    "nsd": ("nsd",),
    "lesion": ("lesion_dice", "lesion_hd95"),
    "sensitivity": ("sensitivity",),
    "precision": ("precision",),
    "volume": ("volume_error_ml",),
}
"""What can be asked for, and the columns of each, in their order."""

DEFAULT_METRICS = ("dice", "hd95", "nsd", "sensitivity", "precision", "volume")

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
class MetricOptions:
    """What is measured, and how.

    Args:
        names: Keys of `METRICS`; the Dice is always among them.
        tolerance: Of the normalised surface Dice, mm.
        lesion_rule: Key of `LESION_RULES`.

    Raises:
        SettingsError: If a name is unknown or a number impossible.
    """

    names: tuple[str, ...] = DEFAULT_METRICS
    tolerance: float = 1.0
    lesion_rule: str = "glioma"

    def __post_init__(self) -> None:
        unknown = [name for name in self.names if name not in METRICS]
        if unknown:
            raise SettingsError(f"--metrics: there is no '{unknown[0]}'. Choose from: all, {', '.join(METRICS)}.")
        if not 0 <= self.tolerance < float("inf"):
            raise SettingsError(f"--nsd_tolerance is {self.tolerance}; it must be a number of millimetres, 0 or more.")
        if self.lesion_rule not in LESION_RULES:
            raise SettingsError(
                f"--lesion_rule: there is no '{self.lesion_rule}'; choose from {', '.join(LESION_RULES)}."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the numbers, in order."""
        return tuple(column for name, own in METRICS.items() if name in ("dice", *self.names) for column in own)

    @property
    def conventions(self) -> dict[str, str]:
        """What each column's number means, and what an empty region counts."""
        rule = LESION_RULES[self.lesion_rule]
        texts = {
            "dice": f"0 to 1. {EMPTY_CONVENTION}",
            "hd95": "mm; 95th percentile of the distances between the surfaces' voxels, the larger one of the two "
            "directions (MONAI). Empty in both: no value, left out of means. Empty in one: the image's diagonal.",
            "nsd": f"0 to 1; normalised surface Dice with a tolerance of {self.tolerance:g} mm (MONAI, surfaces as "
            "voxels). Empty in both: no value, left out of means. Empty in one: 0.",
            "lesion_dice": f"0 to 1; lesion-wise Dice by the rule of BraTS 2023 ({self.lesion_rule}): truth dilated "
            f"{rule.dilation} voxel(s) to merge lesions, lesions up to {rule.largest_ignored:g} mm³ left out, 0 for a "
            "missed or false lesion. Nothing in either: 1. 3D images only.",
            "lesion_hd95": f"mm; lesion-wise HD95 by the same rule, {PENALTY_MM:g} for a missed or false lesion, "
            "surfaces as for HD95. Nothing in either: 0. 3D images only.",
            "sensitivity": "0 to 1; share of the true voxels that are predicted. Empty truth: no value, left out of "
            "means.",
            "precision": "0 to 1; share of the predicted voxels that are true. Empty prediction: no value, left out of "
            "means.",
            "volume_error_ml": "ml; predicted less true volume, negative if too little is predicted. 3D images only.",
        }
        return {column: texts[column] for column in self.columns}
