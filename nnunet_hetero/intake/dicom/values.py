"""Values in headers, whatever scanners write there."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np


def text(header: Any, name: str) -> str:
    """A value as text; empty if it is not there or cannot be read."""
    return " ".join(values(header, name))


def number(header: Any, name: str) -> float | None:
    """A value as a number, the first if there are several; None if it is none."""
    found = values(header, name)
    try:
        return float(found[0]) if found else None
    except ValueError:
        return None


def numbers(header: Any, name: str, length: int) -> np.ndarray | None:
    """A value of several finite numbers, ``(length,)``; None if it is none."""
    try:
        found = np.array([float(value) for value in values(header, name)])
    except ValueError:
        return None
    return found if found.shape == (length,) and np.isfinite(found).all() else None


def values(header: Any, name: str) -> list[str]:
    """The values of an element, as texts without blanks around; none if it is not there or cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, of values that the standard does not allow
            value = header.get(name)
    except Exception:  # a value that cannot be decoded; pydicom has no class for it
        return []
    if value is None or value == "":
        return []
    several = not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")
    return [str(entry).strip() for entry in value] if several else [str(value).strip()]
