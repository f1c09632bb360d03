"""What the value of a setting may be: a test, and the words for it that errors and the reference use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_hetero.registry import offered_names


@dataclass(frozen=True)
class Rule:
    """A rule for values.

    Args:
        holds: Whether a value keeps it.
        expected: What it must be, after "must be".
    """

    holds: Callable[[Any], bool]
    expected: str

    def __or__(self, other: Rule) -> Rule:
        """The rule that is kept by whatever keeps one of both."""
        return Rule(lambda value: self.holds(value) or other.holds(value), f"{self.expected}, or {other.expected}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and value == int(value)


def number_above(bound: float) -> Rule:
    """A finite number above ``bound``."""
    return Rule(lambda value: _is_number(value) and value > bound, f"a number above {bound:g}")


def number_from(bound: float) -> Rule:
    """A finite number, ``bound`` or more."""
    return Rule(lambda value: _is_number(value) and value >= bound, f"a number, {bound:g} or more")


NUMBER = Rule(_is_number, "a number")
SHARE = Rule(lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 to less than 1")
PART = Rule(lambda value: _is_number(value) and 0 < value <= 1, "a number above 0, 1 at most")
SWITCH = Rule(lambda value: isinstance(value, bool), "true or false")
NULL = Rule(lambda value: value is None, "null")
TABLE = Rule(lambda value: isinstance(value, Mapping), "a table of names and numbers")


def whole_from(bound: int) -> Rule:
    """A whole number, ``bound`` or more."""
    return Rule(lambda value: _is_whole(value) and value >= bound, f"a whole number, {bound} or more")


def exactly(value: str) -> Rule:
    """One text."""
    return Rule(lambda other: isinstance(other, str) and other == value, f'"{value}"')


def one_of(*choices: str) -> Rule:
    """One of several texts."""
    return Rule(lambda value: isinstance(value, str) and value in choices, f"one of {', '.join(choices)}")


def named(*ours: str, group: str) -> Rule:
    """A name of ours, or one that another package offers.

    Args:
        ours: Ours.
        group: Of entry points.
    """
    return Rule(
        lambda value: isinstance(value, str) and (value in ours or value in offered_names(group)),
        f"one of {', '.join(ours)}, or a name of another package ({group})",
    )


def list_of(rule: Rule, what: str) -> Rule:
    """A list of one or more values that keep a rule.

    Args:
        rule: For each of them.
        what: What they are, in the plural.
    """
    return Rule(
        lambda value: isinstance(value, list) and bool(value) and all(map(rule.holds, value)), f"a list of {what}"
    )


NAMES = Rule(lambda value: isinstance(value, str) and value != "", 'names joined with "+"')
NAME_OR_CHANNEL = Rule(lambda value: isinstance(value, (str, int)) and not isinstance(value, bool), "a name")
STRICTLY_WHOLE = Rule(
    lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1, "a whole number, 1 or more"
)
SEED = Rule(
    lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0, "a whole number, 0 or more"
)
