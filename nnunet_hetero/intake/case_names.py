"""Names of cases become names of files: those that cannot are refused before anything is written."""

from __future__ import annotations

import unicodedata

from nnunet_hetero.cases.naming.spelling import WHERE_ONE

MOST_BYTES = 180
"""Of a name. File systems take 255 bytes, and the files of a case have longer names than the case."""


def problem_of_name(case: str, other: str | None = None) -> str | None:
    """Why a case cannot be called so, in words; None if it can.

    Args:
        case: From its folder, or from ``series.csv``.
        other: Another case whose name differs in upper and lower case alone.

    Example:
        >>> problem_of_name("Müller 1"), problem_of_name("a\\nb")
        (None, 'its name has a control character (U+000A)')
    """
    control = next((letter for letter in case if unicodedata.category(letter) == "Cc"), None)
    if control is not None:
        return f"its name has a control character (U+{ord(control):04X})"
    length = len(case.encode("utf-8", "surrogateescape"))
    if length > MOST_BYTES:
        return f"its name has {length} bytes, expected are {MOST_BYTES} at most, since its files have longer names"
    if other is not None:
        return f"its name differs from that of {other!r} in upper and lower case alone: {WHERE_ONE}"
    return None
