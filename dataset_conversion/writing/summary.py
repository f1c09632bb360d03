"""What a conversion did, in words and tables, for the terminal and for a small file beside the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from nnunet_hetero.cases.raw_dataset import RARE

from .cases import TEST, TRAINING, CaseRecord

SUMMARY_FILE = "conversion_summary.txt"
_LISTED = 20  # cases that the terminal names one by one


@dataclass
class ConversionSummary:
    """What a conversion did, or, of a dry run, what it would do.

    Args:
        folder: The dataset's folder.
        channel_names: Its modalities.
        records: The converted cases, sorted by name.
        reused: Those of the above that were complete from an earlier run.
        redone: Case → why what an earlier run made of it was not kept.
        notes: Case → what was doubtful in its files and taken nevertheless.
        failures: Case → why it was not converted.
        orientation: That of all files of the dataset; None if it is not known.
        raw_orientations: Case → that of its raw images.
        unlabelled: Training cases without a segmentation.
        unseen: Labels and regions of which no training case has a voxel.
        refusal: Why the dataset as a whole cannot be used; empty if it can.
        dataset_json: The file written last; None when it was not written.
    """

    folder: Path
    channel_names: tuple[str, ...]
    records: list[CaseRecord] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    redone: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    orientation: str | None = None
    raw_orientations: dict[str, str] = field(default_factory=dict)
    unlabelled: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    refusal: str = ""
    dataset_json: Path | None = None

    @property
    def training(self) -> list[str]:
        """Cases in imagesTr and labelsTr, sorted."""
        return [record.case for record in self.records if record.subset == TRAINING]

    @property
    def test(self) -> list[str]:
        """Cases in imagesTs, sorted."""
        return [record.case for record in self.records if record.subset == TEST]

    @property
    def missing_modalities(self) -> dict[str, list[str]]:
        """Case → names of the modalities it lacks, of the cases that lack any."""
        gaps = {record.case: self._gaps(record) for record in self.records}
        return {case: names for case, names in gaps.items() if names}

    @property
    def turned(self) -> dict[str, str]:
        """Case → the orientation of its raw images, of the cases that have another one than the dataset."""
        cases = [record.case for record in self.records]
        found = {case: self.raw_orientations.get(case, self.orientation) for case in cases}
        return {case: raw for case, raw in found.items() if raw is not None and raw != self.orientation}

    def _gaps(self, record: CaseRecord) -> list[str]:
        return [name for name in self.channel_names if name not in record.modalities]


def nowhere(channel_names: Sequence[str], cases: Iterable[Collection[str]]) -> str:
    """Say which modality no case has, if there is one.

    Args:
        channel_names: All modalities.
        cases: The names of those that each case has.

    Returns:
        The reason to refuse the dataset; empty if each modality is in some case.
    """
    found = set().union(*cases)
    lacking = [name for name in channel_names if name not in found]
    if not lacking:
        return ""
    rest = " ".join(name for name in channel_names if name in found)
    return (
        f"No case has {' or '.join(lacking)}. A model can neither use nor complete a modality that it never sees. Add "
        f"the files, or leave the modality out: --modalities {rest}"
    )


def rare_modalities(summary: ConversionSummary) -> list[str]:
    """Warn of modalities that few training cases have, one sentence each."""
    training = [record for record in summary.records if record.subset == TRAINING]
    warnings = []
    for name in summary.channel_names:
        cases = sum(name in record.modalities for record in training)
        if cases == 0 and training:
            warnings.append(
                f"no training case has {name}, only test cases have it. The model will have an output for {name} that "
                "nothing supervised, and an input that it never saw: do not use either. --modalities leaves it out."
            )
        elif 0 < cases < min(RARE, len(training)):
            warnings.append(
                f"only {cases} of {len(training)} training cases have {name}: what the model makes of it, and its "
                "completed images, rest on these alone, and with five folds some fold trains or validates without it."
            )
    return warnings


def summary_table(summary: ConversionSummary) -> str:
    """Tables of the cases: by site which modalities they have, how many lack what, and the warnings."""
    sites: dict[str, list[CaseRecord]] = {}
    for record in summary.records:
        sites.setdefault(record.site or "unknown", []).append(record)
    rows = [["site", "training", "test", "patients", "complete", *summary.channel_names]]
    rows += [[site, *_counts(sites[site], summary.channel_names)] for site in sorted(sites)]
    if len(sites) > 1:
        rows.append(["all", *_counts(summary.records, summary.channel_names)])
    blocks = [_align(rows)]
    grades = Counter(record.grade for record in summary.records if record.grade)
    if grades:
        blocks.append("grades: " + ", ".join(f"{cases} {grade}" for grade, cases in sorted(grades.items())))
    gaps = Counter("+".join(names) for names in summary.missing_modalities.values())
    if gaps:
        blocks.append(_align([["missing", "cases"], *([names, str(cases)] for names, cases in gaps.most_common())]))
    blocks += [f"warning: {warning}" for warning in rare_modalities(summary)]
    if summary.unseen:
        blocks.append(
            f"warning: no training case has a voxel of {', '.join(summary.unseen)}, so no model can learn it. Are the "
            "segmentations, and what their values are said to mean, right?"
        )
    if summary.notes:
        blocks.append("\n".join(["warning: doubtful, but taken:", *_listed(summary.notes)]))
    return "\n\n".join(blocks)


def _counts(records: Sequence[CaseRecord], channel_names: Sequence[str]) -> list[str]:
    numbers = [
        sum(record.subset == TRAINING for record in records),
        sum(record.subset == TEST for record in records),
        len({record.patient for record in records}),
        sum(len(record.modalities) == len(channel_names) for record in records),
    ]
    there = Counter(chain.from_iterable(record.modalities for record in records))
    numbers += [there[name] for name in channel_names]
    return [str(number) for number in numbers]


def _align(rows: Sequence[Sequence[str]]) -> str:
    """Text table: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def count(number: int, noun: str) -> str:
    """Number and noun, the latter in the plural where it must.

    Examples:
        >>> count(1, "case"), count(2, "case")
        ('1 case', '2 cases')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def conversion_in_words(summary: ConversionSummary) -> str:
    """Say what a conversion did, for the terminal; failures are said by `describe_failures`."""
    lines = [f"{summary.folder}: {count(len(summary.training), 'training case')}"]
    if summary.unlabelled:
        lines[0] += f" ({len(summary.unlabelled)} of them without a segmentation)"
    if summary.test:
        lines[0] += f", {count(len(summary.test), 'test case')}"
    if summary.reused:
        lines[0] += f" ({len(summary.reused)} of them from an earlier run)"
    if summary.redone:
        lines.append("Cases that are converted again, since what they were made from has changed:")
        lines += _listed(summary.redone)
    if summary.missing_modalities:
        lines.append("Cases that lack modalities, for which all-zero volumes stand:")
        lines += _listed({case: ", ".join(names) for case, names in summary.missing_modalities.items()})
    if summary.turned:
        lines.append(f"Cases that were turned to {summary.orientation}, the orientation of most, without resampling:")
        lines += _listed(summary.turned)
    if summary.records:
        lines += ["", summary_table(summary)]
    if summary.test and not summary.training:
        lines += [
            "",
            "There is no training case, hence no dataset.json; imagesTs can be predicted by a model you have.",
        ]
    return "\n".join(lines)


def _listed(cases: dict[str, str]) -> list[str]:
    lines = [f"  {case}: {text}" for case, text in list(cases.items())[:_LISTED]]
    return lines + ([f"  ... and {len(cases) - _LISTED} more"] if len(cases) > _LISTED else [])


def describe_failures(summary: ConversionSummary) -> str:
    """List the cases that were not converted, and say whether training can go ahead."""
    lines = []
    if summary.failures:
        total = len(summary.failures) + len(summary.records)
        lines.append(f"{len(summary.failures)} of {total} cases were not converted:")
        lines += [f"  {case}: {reason}" for case, reason in summary.failures.items()]
    if summary.refusal:
        lines.append(f"{summary.refusal} So no dataset.json was written, and nnU-Net cannot use the folder yet.")
    elif summary.dataset_json is not None:
        lines.append(
            f"dataset.json lists the {len(summary.training)} good training cases, so training can go ahead without the "
            "others; or mend them and run the same command again, which converts only what is not done yet."
        )
    return "\n".join(lines)
