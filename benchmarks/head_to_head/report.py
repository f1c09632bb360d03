"""What a run of the benchmark found, as Markdown and as CSV files in a new folder."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from head_to_head.cost import PLAIN
from head_to_head.paired import MEAN, CaseScores, larger_is_worse, paired_differences
from head_to_head.scores import ALL, Mean, ScoredRun, mean_over_runs, means_of_method, means_of_run, size_label
from nnunet_hetero.evaluation.compare.statistics import PairedResult
from nnunet_hetero.evaluation.scores.registry import known_scores
from nnunet_hetero.evaluation.scores.score import Score
from nnunet_hetero.evaluation.sweep.table import markdown_of

Cost = dict[str, dict[str, Any]]
"""By method, see `head_to_head.cost.measure`."""


@dataclass(frozen=True)
class Findings:
    """All numbers.

    Args:
        scored: Evaluated trainings, at least one of every method.
        cost: Of a training step, the plain U-Net's among them.
        completion: Rows ``method``, ``seed``, ``fold``, ``case``, ``modality``, ``psnr``, ``psnr_mean``, ``ssim``,
            ``ssim_mean``; those of earlier versions without SSIM.
        notes: What the reader must know, a sentence or two each.
        against: The method that all others are compared with.
    """

    scored: Sequence[ScoredRun]
    cost: Cost
    completion: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    against: str

    @property
    def methods(self) -> dict[str, list[ScoredRun]]:
        """The runs of every method, in the order asked for."""
        found: dict[str, list[ScoredRun]] = {}
        for entry in self.scored:
            found.setdefault(entry.method, []).append(entry)
        return found

    @property
    def scores(self) -> list[str]:
        """The scores that every run has."""
        return [score for score in known_scores() if all(score in entry.run.scores for entry in self.scored)]


def markdown_report(findings: Findings) -> str:
    """The tables: accuracy beside cost, every subset, completed images, and the notes."""
    parts = []
    for key in findings.scores:
        score = findings.scored[0].run.shown(key)
        means = {name: means_of_method(runs, key) for name, runs in findings.methods.items()}
        by_case = {name: CaseScores(runs, key) for name, runs in findings.methods.items()}
        parts += [f"## {score.heading}", markdown_of(_overview(findings, means, by_case, score), 1)]
        if len(by_case) > 1:
            title = f"### {score.heading}, difference to {findings.against}, paired by case"
            parts += [title, markdown_of(_differences(findings, by_case, score), 2)]
        parts += [f"### {score.heading}, every subset", markdown_of(_subsets(findings, means, score), 1)]
    parts += ["## Cost of a training step", markdown_of(_cost(findings.cost), 1)]
    if findings.completion:
        text = "## Completed images, PSNR in dB and SSIM in the brain"
        parts += [text, markdown_of(_completion(findings.completion), 2)]
    parts += ["## Notes", "\n".join(f"* {note}" for note in findings.notes)]
    return "\n\n".join(parts) + "\n"


def _overview(
    findings: Findings, means: Mapping[str, Mapping], by_case: Mapping[str, CaseScores], score: Score
) -> list[list[str]]:
    first = findings.scored[0].run
    sizes = [size_label(size) for size in sorted({len(subset) for subset in first.subsets})]
    measures = [*sizes, *(f"{region}, {ALL}" for region in first.regions), f"mean, {ALL}"]
    rows = [["method", "runs", *measures, "larger subset is worse", "step [s]", "memory [MiB]"]]
    for name, runs in findings.methods.items():
        values = [means[name][size, "mean"] for size in sizes] + [means[name][ALL, region] for region in first.regions]
        cells = [*(score.text(value.value) for value in values), _with_sd(means[name][ALL, "mean"], score)]
        worse = larger_is_worse(by_case[name], score.higher_is_better)
        cost = findings.cost[name]
        measured = [f"{cost['seconds']:.3f}", f"{cost['memory'] / 2**20:.0f}"]
        rows.append([name, str(len(runs)), *cells, "–" if math.isnan(worse) else f"{100 * worse:.1f} %", *measured])
    return rows


def _differences(findings: Findings, by_case: Mapping[str, CaseScores], score: Score) -> list[list[str]]:
    """Rows per method and number of modalities; in a cell the difference, its 95 % interval and Wilcoxon's p."""
    reference = by_case[findings.against]
    columns = [MEAN, *reference.regions]
    rows = [["method", "subsets", *columns, "cases"]]
    for name, scores in by_case.items():
        if name == findings.against:
            continue
        found = paired_differences(scores, reference)
        for row in dict.fromkeys(row for row, _ in found):
            results = [found[row, column] for column in columns]
            rows.append([name, row, *(_difference(result, score) for result in results), str(results[0].pairs)])
    return rows


def _difference(result: PairedResult, score: Score) -> str:
    text = score.text(result.difference, signed=True)
    if result.interval is not None:
        low, high = (score.text(end, signed=True) for end in result.interval)
        text += f" [{low}, {high}], p {result.p:.3f}"
    return text


def _subsets(findings: Findings, means: Mapping[str, Mapping], score: Score) -> list[list[str]]:
    first = findings.scored[0].run
    rows = [["subset", *(f"{name}: mean ({', '.join(first.regions)})" for name in means)]]
    for subset in first.subsets:
        label = first.modalities.label(subset)
        cells = []
        for found in means.values():
            by_region = " ".join(score.text(found[label, region].value) for region in first.regions)
            cells.append(f"{score.text(found[label, 'mean'].value)} ({by_region})")
        rows.append([label, *cells])
    return rows


def _with_sd(mean: Mean, score: Score) -> str:
    return score.text(mean.value) + ("" if math.isnan(mean.sd) else f" ± {score.text(mean.sd)}")


def _cost(cost: Cost) -> list[list[str]]:
    rows = [["method", "parameters", "wall [s]", "ratio", "processor [s]", "ratio", "memory [MiB]", "ratio"]]
    plain = cost[PLAIN]
    for name, entry in cost.items():
        cells = [name, f"{entry['parameters'] / 1e6:.2f} M"]
        for key, unit, digits in (("seconds", 1, 3), ("cpu_seconds", 1, 3), ("memory", 2**20, 0)):
            cells += [f"{entry[key] / unit:.{digits}f}", f"{entry[key] / plain[key]:.2f}"]
        rows.append(cells)
    return rows


def _completion(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Per method and modality the completed image's score, the training mean's, and what is won."""
    header = ["method", "modality", "PSNR", "of the training mean", "gain", "SSIM", "of the training mean", "gain"]
    table = [[*header, "cases"]]
    for method, modality in dict.fromkeys((row["method"], row["modality"]) for row in rows):
        own = [row for row in rows if (row["method"], row["modality"]) == (method, modality)]
        cells = []
        for key, digits in (("psnr", 2), ("ssim", 3)):
            completed, mean = (_mean_of(own, name) for name in (key, f"{key}_mean"))
            cells += [f"{completed:.{digits}f}", f"{mean:.{digits}f}", f"{completed - mean:+.{digits}f}"]
        cells = ["–" if "nan" in cell else cell for cell in cells]
        table.append([method, modality, *cells, str(len({row["case"] for row in own}))])
    return table


def _mean_of(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    return mean_over_runs([row.get(key, math.nan) for row in rows]).value


def new_folder(parent: Path) -> Path:
    """A folder that was not there before, named by the time."""
    stamp = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%SZ")
    parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        folder = parent / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{parent / stamp} and 999 more")


def write_report(folder: Path, findings: Findings, arguments: Mapping[str, Any]) -> str:
    """Write ``table.md``, a CSV file per table and ``arguments.json``.

    Args:
        folder: An empty one, see `new_folder`.
        findings: All numbers.
        arguments: What the user asked for, JSON types only.

    Returns:
        The content of ``table.md``.
    """
    text = markdown_report(findings)
    (folder / "table.md").write_text(text, encoding="utf-8")
    (folder / "arguments.json").write_text(json.dumps(arguments, indent=2) + "\n", encoding="utf-8")
    _write_csv(folder / "scores.csv", _score_rows(findings))
    _write_csv(folder / "means.csv", _mean_rows(findings))
    _write_csv(folder / "differences.csv", _difference_rows(findings))
    _write_csv(folder / "cost.csv", ({"method": name, **entry} for name, entry in findings.cost.items()))
    _write_csv(folder / "completion.csv", findings.completion)
    return text


def _score_rows(findings: Findings) -> Iterable[dict[str, Any]]:
    """A row per training, row and column of `means_of_run`, in the units of the evaluation's own file."""
    for entry in findings.scored:
        means = {score: means_of_run(entry.run, score) for score in findings.scores}
        for row, column in means[findings.scores[0]]:
            numbers = {score: means[score][row, column] for score in findings.scores}
            yield {
                "method": entry.method,
                "seed": entry.seed,
                "fold": entry.fold,
                "row": row,
                "region": column,
                "cases": len(entry.run.cases),
                **numbers,
            }


def _mean_rows(findings: Findings) -> Iterable[dict[str, Any]]:
    for name, runs in findings.methods.items():
        for score in findings.scores:
            for (row, column), mean in means_of_method(runs, score).items():
                yield {
                    "method": name,
                    "score": score,
                    "row": row,
                    "region": column,
                    "mean": mean.value,
                    "sd": mean.sd,
                    "runs": mean.runs,
                }


def _difference_rows(findings: Findings) -> Iterable[dict[str, Any]]:
    for score in findings.scores:
        by_case = {name: CaseScores(runs, score) for name, runs in findings.methods.items()}
        for name in by_case:
            if name == findings.against:
                continue
            found = paired_differences(by_case[name], by_case[findings.against])
            for (row, column), result in found.items():
                low, high = result.interval or (None, None)
                yield {
                    "method": name,
                    "against": findings.against,
                    "score": score,
                    "row": row,
                    "region": column,
                    "cases": result.pairs,
                    "difference": result.difference,
                    "low": low,
                    "high": high,
                    "p": result.p,
                }


def _write_csv(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    if not rows:
        return
    with file.open("x", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
