"""Pairs of scans compared: what happened to each region, and whether that is certain."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.change.decision import UNDECIDED, Interval, Thresholds, level_of_each, ratio_of
from nnunet_hetero.evaluation.change.pairs import Pair
from nnunet_hetero.evaluation.change.scans import Scans, Volume
from nnunet_hetero.nnunet.extent import MEASURES

COLUMNS = (
    "before",
    "after",
    "region",
    "modalities_before",
    "modalities_after",
    "unit",
    "volume_before",
    "volume_before_low",
    "volume_before_high",
    "volume_after",
    "volume_after_low",
    "volume_after_high",
    "ratio",
    "ratio_low",
    "ratio_high",
    "level",
    "decision",
    "note",
)


@dataclass(frozen=True)
class Change:
    """A region of a pair of scans.

    Args:
        pair: The scans.
        region: Name.
        subsets: What the scans were predicted from, the first one first.
        unit: Of the volumes.
        volumes: Of the scans.
        ratio: Interval of the volume after divided by that before; None if there is none.
        level: Of the ratio's interval.
        decision: ``PD``, ``PR``, ``stable`` or ``undecided``.
        note: Why there is no ratio, and what speaks against relying on one.
    """

    pair: Pair
    region: str
    subsets: tuple[str, str]
    unit: str
    volumes: tuple[Volume, Volume]
    ratio: Interval | None
    level: float
    decision: str
    note: str = ""

    @property
    def measured(self) -> float | None:
        """The ratio of the segmentations; None if one is not known or there was nothing before."""
        before, after = (volume.size for volume in self.volumes)
        return None if after is None or not before else after / before

    def row(self) -> list[str]:
        """The cells of `COLUMNS`."""
        numbers: list[float | None] = []
        for volume in self.volumes:
            numbers += [volume.size, *(volume.interval or (None, None))]
        numbers += [self.measured, *(self.ratio or (None, None)), self.level]
        texts = ["" if number is None else f"{number:.6g}" for number in numbers]
        return [*self.pair, self.region, *self.subsets, self.unit, *texts, self.decision, self.note]


def require_comparable(before: Scans, after: Scans) -> None:
    """Refuse folders whose volumes do not have the same meaning.

    Raises:
        SettingsError: If models or calibrations differ.
    """
    one, two = before.calibration, after.calibration
    if one.sha256 == two.sha256:
        return
    what = "calibrations of one model" if one.model == two.model else "models"
    raise SettingsError(
        f"{before.folder} and {after.folder} were predicted with different {what}, so a difference between them may be "
        "one of the models. Predict both with the same calibrated model."
    )


def require_two_scans(before: Scans, after: Scans, pairs: Iterable[Pair]) -> None:
    """Refuse to compare a scan with itself.

    Raises:
        SettingsError: If a pair is one scan of one folder, or both of it were predicted from the same image.
    """
    same_folder = before.folder.resolve() == after.folder.resolve()
    for pair in pairs:
        if same_folder and pair.before == pair.after:
            raise SettingsError(
                f"--before and --after are the same folder, {before.folder}, so '{pair.before}' would be compared with "
                "itself. Give the folder of the second scans as --after, or name two different scans in each row of "
                "--pairs."
            )
        shared = sorted(before.images(pair.before) & after.images(pair.after))
        if shared:
            raise SettingsError(
                f"'{pair.before}' in {before.folder} and '{pair.after}' in {after.folder} were both predicted from "
                f"{shared[0]}, so a scan would be compared with itself. Predict the images of the second scan into "
                "another folder, and give it as --after."
            )


def changes_of(
    before: Scans, after: Scans, pairs: Sequence[Pair], thresholds: Thresholds, level: float
) -> list[Change]:
    """What happened to each region of each pair.

    Args:
        before: Folder of the first scans.
        after: Folder of the second ones.
        pairs: Which belong together.
        thresholds: From which change on a decision is made.
        level: 1 - α of the ratio's interval.
    """
    found = []
    for pair in pairs:
        subsets = before.subset(pair.before), after.subset(pair.after)
        units = before.unit(pair.before), after.unit(pair.after)
        first = before.volumes(pair.before, level_of_each(level))
        second = after.volumes(pair.after, level_of_each(level))
        doubts = _doubts(before, after, pair)
        for region in before.calibration.regions:
            volumes = first[region], second[region]
            ratio, why_none = _ratio(volumes, units)
            decision = UNDECIDED if ratio is None else thresholds.decision(ratio, units[0])
            note = "; ".join(filter(None, (why_none, *doubts)))
            found.append(Change(pair, region, subsets, units[0] or units[1], volumes, ratio, level, decision, note))
    return found


def _doubts(before: Scans, after: Scans, pair: Pair) -> list[str]:
    """What speaks against relying on the comparison of a pair."""
    found = []
    for when, scans, case in (("before", before, pair.before), ("after", after, pair.after)):
        if suspects := scans.suspects(case):
            found.append(f"the images {when} may not be what their names say: {', '.join(suspects)}")
    folds = before.folds(pair.before), after.folds(pair.after)
    if folds[0] and folds[1] and set(folds[0]) != set(folds[1]):
        one, two = (", ".join(names) for names in folds)
        found.append(f"folds {one} predicted before, {two} after, so a difference may be one of the folds")
    return found


def _ratio(volumes: tuple[Volume, Volume], units: tuple[str, str]) -> tuple[Interval | None, str]:
    before, after = volumes
    reasons = [
        f"no interval {when}: {volume.reason}"
        for when, volume in (("before", before), ("after", after))
        if volume.interval is None
    ]
    if before.interval is None or after.interval is None:
        return None, "; ".join(reasons)
    if units[0] != units[1]:
        return None, f"{units[0]} cannot be compared with {units[1]}"
    ratio = ratio_of(before.interval, after.interval)
    return ratio, "" if ratio is not None else "the region may be absent in both scans, so there is no ratio"


def csv_text(changes: Sequence[Change]) -> str:
    """The changes as a CSV table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(change.row() for change in changes)
    return text.getvalue()


def in_words(change: Change) -> str:
    """One line for the screen, e.g. ``ann: whole tumor PD, 1.62 to 2.40 times the volume``."""
    said = f"{change.pair.name}: {change.region} {change.decision}"
    if change.ratio is None:
        return f"{said}, {change.note}"
    low, high = change.ratio
    doubt = f"; {change.note}" if change.note else ""
    return f"{said}, {low:.2f} to {high:.2f} times the {MEASURES[change.unit]}{doubt}"


def folder_for(output: Path, before: Scans, after: Scans) -> Path:
    """The folder for the results, made if need be.

    Raises:
        SettingsError: If it is one of the folders that are compared.
    """
    for flag, scans in (("--before", before), ("--after", after)):
        if output.resolve() == scans.folder.resolve():
            raise SettingsError(f"-o {output} is the folder of {flag}. Name another one.")
    output.mkdir(parents=True, exist_ok=True)
    return output
