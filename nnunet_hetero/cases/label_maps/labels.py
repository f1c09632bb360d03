"""The values of label maps: whole numbers that the data set knows, or an error that says what they may mean."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from nnunet_hetero.errors import DataError

NEARLY_WHOLE = 1e-3
"""Values this near to a whole number are meant to be it: resampling and scaled headers leave such."""
_SHOWN = 20


def dataset_labels(dataset_json: Mapping[str, Any]) -> list[int]:
    """All label values of a data set, sorted: background, labels, those of regions, and ``ignore``."""
    values = {0}
    for entry in dataset_json["labels"].values():
        values.update(entry if isinstance(entry, (list, tuple)) else [entry])
    return sorted(int(value) for value in values)


def raw_labels(dataset_json: Mapping[str, Any]) -> dict[int, int]:
    """Label in the raw data → label in the data set, where a converter has noted it; empty otherwise."""
    mapping = dataset_json.get("label_mapping")
    return {int(raw): int(value) for raw, value in mapping.items()} if isinstance(mapping, dict) else {}


def _print(text: str) -> None:
    print(f"{text}.", flush=True)  # at once: a background process may end without its turn to write


def known_labels(
    image: np.ndarray,
    what: str,
    known: Collection[int],
    raw: Mapping[int, int] | None = None,
    hint: str = "",
    say: Callable[[str], None] = _print,
) -> np.ndarray:
    """Check the values of a label map, and round those that are all but whole numbers, which is said.

    Args:
        image: Of any shape and type.
        what: What it is, the start of every message.
        known: Values that it may have.
        raw: Label in the raw data → label in the data set, to tell what is likely meant.
        hint: What else to tell when another value is found.
        say: Takes the sentence about values that were rounded.

    Returns:
        The image, unchanged if all values are whole.

    Raises:
        DataError: If it has other values; the message names them and what they probably are.
    """
    found = np.unique(image)
    whole = np.round(found)
    off = np.abs(found.astype(float) - whole)
    unknown = (off > NEARLY_WHOLE) | ~np.isin(whole, list(known))
    if unknown.any():
        likely = _likely(found.tolist(), sorted(known), raw or {}) or ("" if hint else _by_order(found.tolist(), known))
        advice = " ".join(text for text in (hint, likely) if text)
        raise DataError(f"{what} has the labels {shown(found)}; expected only {shown(known)}. {advice}".rstrip())
    if off.any():
        say(f"{what} has the labels {shown(found)}, which are rounded to {shown(whole)}")
        return np.round(image)
    return image


def shown(values: Iterable[Any]) -> str:
    """Values for a message, each with the digits that tell it from its neighbours: 0.9999999 is not 1."""
    array = np.asarray(values if isinstance(values, np.ndarray) else [*values])
    texts = [np.format_float_positional(value, trim="-") if array.dtype.kind == "f" else str(value) for value in array]
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")


def _likely(found: list[float], known: list[int], raw: Mapping[int, int]) -> str:
    """What the values of a label map probably mean; empty if there is no telling."""
    changed = {value: label for value, label in raw.items() if value in found and label != value}
    if changed and all(value in raw for value in found):
        return (
            f"These are the labels of the raw data, which the data set numbers anew: {_arrows(changed)}. Change them."
        )
    foreground, labels = [value for value in found if value != 0], [label for label in known if label != 0]
    for label in labels if foreground else ():
        factor = min(foreground, key=abs) / label
        multiples = np.array(foreground) / factor
        whole = np.round(multiples)
        if factor != 1 and np.isin(whole, labels).all() and (np.abs(multiples - whole) <= NEARLY_WHOLE).all():
            meant = dict(zip(foreground, whole.astype(int).tolist(), strict=True))
            return f"They look like labels times {factor:.6g}: {_arrows(meant)}. Divide them."
    return ""


def _by_order(found: list[float], known: Collection[int]) -> str:
    """What values mean if only their order counts; empty if there are more or fewer than labels."""
    foreground, labels = [value for value in found if value > 0], sorted(label for label in known if label > 0)
    if len(foreground) != len(labels) or min(found) < 0:
        return ""
    changed = {value: label for value, label in zip(foreground, labels, strict=True) if value != label}
    return f"By their order they may mean: {_arrows(changed)}. Change them if so."


def _arrows(meanings: Mapping[Any, int]) -> str:
    return ", ".join(f"{value:.7g} is {label}" for value, label in meanings.items())
