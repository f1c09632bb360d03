"""The scores that an evaluation may hold: how each is named, shown, and which direction is better."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """A column of ``metrics.csv``.

    Args:
        title: For headings.
        unit: Of the shown numbers.
        factor: From the file's unit to the shown one.
        higher_is_better: Direction.
        absolute: Whether the size counts and not the sign.
    """

    title: str
    unit: str
    factor: float = 1.0
    higher_is_better: bool = True
    absolute: bool = False

    @property
    def heading(self) -> str:
        """E.g. ``Dice in %``."""
        return f"{'Absolute ' + self.title.lower() if self.absolute else self.title} in {self.unit}"

    def text(self, value: float | None, signed: bool = False) -> str:
        """A value of the file as it is shown, without the unit; an en dash for none."""
        if value is None or math.isnan(value):
            return "–"
        # No "-0.0".
        shown = round(value * self.factor, 1) + 0.0
        return f"{shown:+.1f}" if signed else f"{shown:.1f}"


SCORES = {
    "dice": Score("Dice", "%", 100),
    "nsd": Score("Normalised surface Dice", "%", 100),
    "hd95": Score("HD95", "mm", higher_is_better=False),
    "lesion_dice": Score("Lesion-wise Dice", "%", 100),
    "lesion_hd95": Score("Lesion-wise HD95", "mm", higher_is_better=False),
    "sensitivity": Score("Sensitivity", "%", 100),
    "precision": Score("Precision", "%", 100),
    "volume_error_ml": Score("Volume error", "ml", higher_is_better=False, absolute=True),
}
