"""A score: how a column of ``metrics.csv`` is named, meant and shown, and which direction is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """A column of ``metrics.csv``.

    Args:
        title: For headings.
        unit: Of the shown numbers.
        factor: From the file's unit to the shown one.
        higher_is_better: Direction.
        absolute: Whether the size counts and not the sign.

    Examples:
        >>> Score("Dice", "%", 100).text(0.8125)
        '81.2'
        >>> Score("Volume error", "ml", higher_is_better=False, absolute=True).heading
        'Absolute volume error in ml'
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

    def to_json(self) -> dict[str, Any]:
        """For ``summary.json``, so that a page of the results needs nothing but their folder."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Score:
        """What `to_json` gave.

        Raises:
            TypeError: If it is anything else.
        """
        return cls(**content)
