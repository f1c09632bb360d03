"""The model's own files, as far as a page of its results can use them: it goes without what cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.errors import HeteroError
from nnunet_hetero.io.documents import Document

_REMEDY = "Put back the one that the training wrote."


class _Plans(TypedDict):
    dataset_name: NotRequired[str]
    plans_name: NotRequired[str]
    configurations: NotRequired[dict[str, dict[str, Any]]]


class _Labels(TypedDict):
    labels: dict[str, int | list[int]]


MODEL_PLANS = Document(_Plans, "the plans of a trained model", _REMEDY)
MODEL_LABELS = Document(_Labels, "the dataset.json of a trained model, with its labels", _REMEDY)


def read_or_leave_out(document: Document, file: Path) -> dict[str, Any]:
    """Content of a file; empty, with a word, if it is not what it must be."""
    try:
        return document.read(file)
    except HeteroError as error:
        print(f"WARNING: {error} The page goes without it.")
        return {}


def configuration_of(plans: dict[str, Any], name: str) -> dict[str, Any]:
    """A configuration with what it inherits, as far as it is there."""
    configuration: dict[str, Any] = {}
    seen: set[str] = set()
    while isinstance(name, str) and name not in seen:
        seen.add(name)
        parent = plans.get("configurations", {}).get(name, {})
        configuration = {**parent, **configuration}
        name = parent.get("inherits_from")
    return configuration
