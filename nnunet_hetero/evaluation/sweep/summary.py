"""What an evaluation found, as ``summary.json`` holds it: means over cases, and what one must know of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, with_config
from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.evaluation.scores.metric_options import DICE
from nnunet_hetero.evaluation.scores.registry import known_scores
from nnunet_hetero.evaluation.scores.score import Score
from nnunet_hetero.io.documents import Document

SUMMARY_FILE = "summary.json"

AGAIN = "Evaluate again with the same command; what is measured already is kept."


class _OneScore(TypedDict):
    regions: dict[str, float | None]
    mean: float | None


class _Means(TypedDict):
    dice: dict[str, float | None]
    mean: float | None
    metrics: NotRequired[dict[str, _OneScore]]


class _SubsetMeans(_Means):
    subset: str
    available: list[bool]
    cases: int


class _SizeMeans(_Means):
    n_modalities: int


@with_config(ConfigDict(extra="forbid"))
class _Shown(TypedDict):
    title: str
    unit: str
    factor: NotRequired[float]
    higher_is_better: NotRequired[bool]
    absolute: NotRequired[bool]


class _Summary(TypedDict):
    """What every version has had, and the types of what came later."""

    modalities: list[str]
    regions: list[str]
    cases: int
    convention: str
    empty_regions: list[str]
    subsets: list[_SubsetMeans]
    sizes: list[_SizeMeans]
    mean: _Means
    scores: NotRequired[dict[str, _Shown]]
    conventions: NotRequired[dict[str, str]]
    postprocessing: NotRequired[str | None]
    labels: NotRequired[dict[str, list[int]] | None]
    subsets_without_results: NotRequired[list[str]]
    skipped: NotRequired[dict[str, list[str]]]
    failed: NotRequired[dict[str, str]]
    completion: NotRequired[list[dict[str, Any]]]
    folds: NotRequired[list[str | int] | None]
    case_folds: NotRequired[dict[str, list[str]]]
    settings: NotRequired[dict[str, Any]]


def _is_whole(content: Any) -> Any:
    regions = set(content["regions"])
    for entry in (content["mean"], *content["subsets"], *content["sizes"]):
        scores = [entry["dice"], *(one["regions"] for one in entry.get("metrics", {}).values())]
        if any(regions - score.keys() for score in scores):
            raise ValueError("a mean lacks one of the 'regions'")
    if any(len(entry["available"]) != len(content["modalities"]) for entry in content["subsets"]):
        raise ValueError("'available' of a subset has not one entry for each of the 'modalities'")
    return content


SUMMARY = Document(Annotated[_Summary, AfterValidator(_is_whole)], "the summary of a finished evaluation", AGAIN)


class _Settings(TypedDict):
    model: NotRequired[str]
    version: NotRequired[str]
    checkpoints: NotRequired[dict[str, Any]]


SETTINGS = Document(_Settings, "the settings of an evaluation", AGAIN)


def as_number(mean: float | None) -> float:
    """A mean to calculate with: NaN where there is none."""
    return math.nan if mean is None else mean


@dataclass(frozen=True)
class ScoreMeans:
    """Means of one score over cases.

    Args:
        regions: By region; None where no case has a value.
        mean: Over the regions that have one; None without.
    """

    regions: dict[str, float | None]
    mean: float | None


@dataclass(frozen=True)
class Means:
    """Means of every score.

    Args:
        scores: By column of ``metrics.csv``.
    """

    scores: dict[str, ScoreMeans]

    @property
    def dice(self) -> dict[str, float | None]:
        """Mean Dice by region, 0 to 1."""
        return self.scores[DICE].regions

    @property
    def mean(self) -> float | None:
        """Mean Dice over the regions, 0 to 1."""
        return self.scores[DICE].mean

    def to_json(self) -> dict[str, Any]:
        """The Dice also by itself, for those who read nothing else."""
        metrics = {name: {"regions": one.regions, "mean": one.mean} for name, one in self.scores.items()}
        return {"dice": self.dice, "mean": self.mean, "metrics": metrics}

    @staticmethod
    def scores_from(content: Mapping[str, Any]) -> dict[str, ScoreMeans]:
        """The scores in what `to_json` gave; files of early versions have the Dice alone."""
        metrics = content.get("metrics") or {DICE: {"regions": content["dice"], "mean": content["mean"]}}
        return {name: ScoreMeans(dict(one["regions"]), one["mean"]) for name, one in metrics.items()}


@dataclass(frozen=True)
class SubsetMeans(Means):
    """Means of one subset over the cases that were segmented from it.

    Args:
        subset: E.g. ``T1+FLAIR``.
        available: Whether each modality is given.
        cases: How many there are.
    """

    subset: str
    available: tuple[bool, ...]
    cases: int

    @property
    def n_modalities(self) -> int:
        """How many are given."""
        return sum(self.available)

    def to_json(self) -> dict[str, Any]:
        """As in ``subsets`` of the file."""
        own = {"subset": self.subset, "available": list(self.available), "n_modalities": self.n_modalities}
        return {**own, "cases": self.cases, **super().to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SubsetMeans:
        """What `to_json` gave."""
        return cls(cls.scores_from(content), content["subset"], tuple(content["available"]), content["cases"])


@dataclass(frozen=True)
class SizeMeans(Means):
    """Means over the subsets of one size.

    Args:
        n_modalities: The size.
    """

    n_modalities: int

    def to_json(self) -> dict[str, Any]:
        """As in ``sizes`` of the file."""
        return {"n_modalities": self.n_modalities, **super().to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SizeMeans:
        """What `to_json` gave."""
        return cls(cls.scores_from(content), content["n_modalities"])


@dataclass(frozen=True)
class Summary:
    """An evaluation in numbers.

    Args:
        modalities: Names, in channel order.
        regions: Names, in order.
        cases: How many there are.
        convention: What an empty region counts.
        empty_regions: Those without a Dice in any case.
        subsets: The subsets with results, by size, then by channel numbers.
        sizes: The means over the subsets of each size.
        overall: The means over all subsets.
        scores: How each column is shown.
        conventions: What each column's number means.
        postprocessing: What was done to the predictions before scoring, in a sentence.
        labels: Label values of each region; None if the file does not say.
        subsets_without_results: Those that were asked for, but no case has all of their modalities.
        skipped: By case, the subsets that need a modality which the case does not have.
        failed: By case, why it could not be evaluated.
        completion: Means of ``completion.csv``; None if nothing was completed.
        folds: The folds that were evaluated; None if the file does not say.
        case_folds: By case, the folds that segmented it.
        settings: Content of ``settings.json``.
    """

    modalities: tuple[str, ...]
    regions: tuple[str, ...]
    cases: int
    convention: str
    empty_regions: tuple[str, ...]
    subsets: tuple[SubsetMeans, ...]
    sizes: tuple[SizeMeans, ...]
    overall: Means
    scores: dict[str, Score] = field(default_factory=dict)
    conventions: dict[str, str] = field(default_factory=dict)
    postprocessing: str | None = None
    labels: dict[str, list[int]] | None = None
    subsets_without_results: tuple[str, ...] = ()
    skipped: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    completion: list[dict[str, Any]] | None = None
    folds: tuple[str, ...] | None = None
    case_folds: dict[str, list[str]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What ``summary.json`` holds, see reference/files.md."""
        return {
            "modalities": list(self.modalities),
            "regions": list(self.regions),
            "cases": self.cases,
            "convention": self.convention,
            "empty_regions": list(self.empty_regions),
            "subsets": [entry.to_json() for entry in self.subsets],
            "sizes": [entry.to_json() for entry in self.sizes],
            "mean": self.overall.to_json(),
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "conventions": self.conventions,
            "postprocessing": self.postprocessing,
            "labels": self.labels,
            "subsets_without_results": list(self.subsets_without_results),
            "skipped": self.skipped,
            "failed": self.failed,
            **({} if self.completion is None else {"completion": self.completion}),
            "folds": None if self.folds is None else list(self.folds),
            "case_folds": self.case_folds,
            "settings": self.settings,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Summary:
        """What `to_json` gave, or what ``summary.json`` of an earlier version holds, see `SUMMARY`."""
        overall = Means(Means.scores_from(content["mean"]))
        known = known_scores()
        scores = {name: Score.from_json(entry) for name, entry in content.get("scores", {}).items()}
        conventions = content.get("conventions") or {DICE: content["convention"]}
        return cls(
            modalities=tuple(content["modalities"]),
            regions=tuple(content["regions"]),
            cases=content["cases"],
            convention=content["convention"],
            empty_regions=tuple(content["empty_regions"]),
            subsets=tuple(map(SubsetMeans.from_json, content["subsets"])),
            sizes=tuple(map(SizeMeans.from_json, content["sizes"])),
            overall=overall,
            scores=scores or {name: known[name] for name in overall.scores if name in known},
            conventions=dict(conventions),
            postprocessing=content.get("postprocessing"),
            labels=content.get("labels"),
            subsets_without_results=tuple(content.get("subsets_without_results", ())),
            skipped=content.get("skipped", {}),
            failed=content.get("failed", {}),
            completion=content.get("completion"),
            folds=None if content.get("folds") is None else tuple(map(str, content["folds"])),
            case_folds=content.get("case_folds", {}),
            settings=content.get("settings", {}),
        )


def read_summary(folder: Path) -> Summary:
    """The summary in an evaluation's folder.

    Raises:
        DataError: If the evaluation is not finished, or the file is damaged.
    """
    return Summary.from_json(SUMMARY.read(folder / SUMMARY_FILE))


def shown_scores(summary: Summary) -> Sequence[str]:
    """The columns that can be shown, the Dice first."""
    return [name for name in summary.overall.scores if name in summary.scores]
