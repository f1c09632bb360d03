"""What the benchmark leaves in its folder for its own later runs, and what must be in it."""

from __future__ import annotations

from typing import Any

from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.io.documents import Document

_REMEDY = "Delete it to make it anew, or name another --out."


class _Completion(TypedDict):
    rows: list[dict[str, Any]]
    note: str


class _Cost(TypedDict):
    work: dict[str, Any]
    machine: str
    found: dict[str, Any]


class _Evaluated(TypedDict):
    failed: NotRequired[dict[str, str]]


CLAIM_RECORD = Document(dict[str, Any], "what the data of this benchmark was made with", _REMEDY)
TRAINING_RECORD = Document(dict[str, Any], "what a training of this benchmark is", _REMEDY)
EVALUATED = Document(_Evaluated, "the summary of an evaluation", _REMEDY)
COMPLETION_RECORD = Document(_Completion, "the scores of completed images", _REMEDY)
COST_WORK = Document(dict[str, Any], "what is to be measured", _REMEDY)
COST_RECORD = Document(_Cost, "measured times and memory", _REMEDY)
