"""What the flags of nnU-Net's commands, and of ours that mean the same, can be; impossible values are refused in words.

The functions that take a flag's text are types for `argparse`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from nnunet_hetero.errors import SettingsError

if TYPE_CHECKING:
    import torch

DEVICES = ("cuda", "cpu", "mps")
LARGEST_SEED = 2**32 - 1  # numpy's


def whole_number(least: int = 0, most: int | None = None) -> Callable[[str], int]:
    """Type of a flag that takes a whole number.

    Args:
        least: The smallest possible one.
        most: The largest possible one.

    Examples:
        >>> whole_number(1)("3")
        3
    """
    limit = f"{least} or more" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        # Not int(): it takes "1_0" and other digits than ours.
        number = int(text) if text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() else None
        if number is None or number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"'{text}' is no whole number, {limit}")
        return number

    return parse


def number_between(above: float, most: float = math.inf, from_limit: bool = False) -> Callable[[str], float]:
    """Type of a flag that takes a number.

    Args:
        above: The number must be larger.
        most: The largest possible one.
        from_limit: Whether it may also be ``above`` itself.

    Examples:
        >>> number_between(0, 1)("0.5")
        0.5
    """
    limit = f"{'from' if from_limit else 'above'} {above:g}" + (f" up to {most:g}" if math.isfinite(most) else "")

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and (above < number or (from_limit and number == above)) and number <= most):
            raise argparse.ArgumentTypeError(f"'{text}' is no number {limit}")
        return number

    return parse


step_size = number_between(0, 1)
"""Type of ``-step_size``: steps of the sliding window in tiles; with more than 1 voxels would be left out."""

seed = whole_number(0, LARGEST_SEED)
"""Type of ``--seed``."""


def fold(text: str) -> str:
    """Type of ``-f``: the number of a fold, or ``all``.

    Examples:
        >>> fold("0"), fold("all")
        ('0', 'all')
    """
    if text != "all" and not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"'{text}' is no fold; give its number, e.g. 0, or 'all'")
    return text if text == "all" else str(int(text))


def usable_device(device: str | torch.device) -> torch.device:
    """The device of that name.

    Args:
        device: E.g. ``cuda``, ``cuda:1`` or ``cpu``.

    Raises:
        SettingsError: If there is none that torch can use.
    """
    import torch

    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise SettingsError(f"-device {device}: torch knows no such device. Choose {', '.join(DEVICES)}.") from error
    if found.type not in DEVICES:
        raise SettingsError(f"-device {device}: nnU-Net does not run on it. Choose {', '.join(DEVICES)}.")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            f"-device {device}: there is no CUDA device that torch can use (no driver, or a torch without CUDA). "
            "Choose another one, e.g. -device cpu; 'nnunet_hetero doctor' says more."
        )
    if found.type == "cuda" and found.index is not None and found.index >= torch.cuda.device_count():
        raise SettingsError(f"-device {device}: there are {torch.cuda.device_count()} CUDA device(s), counted from 0.")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise SettingsError(f"-device {device}: torch can use no Apple GPU here. Choose another one, e.g. -device cpu.")
    return found
