"""What the panel of a page says of a case, in words; numbers come as they are or as a table has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nnunet_hetero.nnunet.extent import MILLILITRES, SQUARE_MILLIMETRES

Number = str | float | None

MODALITIES = "Modalities"
VOLUMES, AREAS = "Volumes", "Areas"
DICE = "Predicted Dice, 0 to 1"
DISAGREEMENT = "Disagreement of the draws, 0 to 1"
UNITS = {MILLILITRES: "ml", SQUARE_MILLIMETRES: "mm²"}
REASONS = {"empty image": "its image is empty", "constant image": "its image is constant"}


def modalities_in_words(used: Iterable[str], absent: Mapping[str, str]) -> list[tuple[str, str]]:
    """Which modalities a case was segmented from, and why others are absent."""
    rows = [(name, "used") for name in used]
    return rows + [(name, f"absent: {REASONS.get(reason, reason)}") for name, reason in absent.items()]


def size_in_words(size: Number, low: Number, high: Number, unit: str, level: Number = None) -> str:
    """A volume or an area, with its interval if there is one.

    Args:
        size: Of a region.
        low: Lower limit.
        high: Upper limit.
        unit: Of `UNITS`.
        level: Of the interval.
    """
    if not is_known(size):
        return "unknown"
    interval = ""
    if is_known(low) and is_known(high):
        kind = f"{_percent(level)} interval" if is_known(level) else "interval"
        interval = f" ({kind} {number_in_words(low)} to {number_in_words(high)})"
    return f"{number_in_words(size)} {UNITS[unit]}{interval}"


def dice_in_words(dice: Number, low: Number, level: Number = None) -> str:
    """The Dice to expect, with its lower bound if there is one."""
    if not is_known(low):
        return number_in_words(dice)
    sure = f"{_percent(level)} sure: at least" if is_known(level) else "at least"
    return f"{number_in_words(dice)} ({sure} {number_in_words(low)})"


def suspicion_in_words(modality: str, looks: str) -> str:
    """That an image may not be what its name says."""
    return f"{modality} {looks}: the input may be wrong."


def number_in_words(number: Number) -> str:
    """Three digits of it."""
    return "unknown" if number is None or number == "" else f"{float(number):.3g}"


def is_known(number: Number) -> bool:
    """Whether there is one: a table has nothing where none is."""
    return number is not None and number != ""


def _percent(level: Number) -> str:
    return f"{100 * float(level or 0):g}%"
