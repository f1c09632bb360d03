"""The gaps of a cohort as tables, for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import chain

from nnunet_hetero.fill_gaps.fill import Gaps


def gaps_in_words(gaps: Gaps, dry_run: bool) -> str:
    """What was written, who has what, what is missing together, and the warnings.

    Args:
        gaps: Of the cohort.
        dry_run: Whether nothing was written.
    """
    what = "would be written" if dry_run else "written"
    lines = [
        f"{gaps.cohort.folder}: {len(gaps.cases)} case(s), {len(gaps.missing)} of them with gaps; "
        f"{gaps.written} all-zero volume(s) {what}."
    ]
    lacking = Counter(chain.from_iterable(gaps.missing.values()))
    there = {name: len(gaps.cases) - lacking[name] for name in gaps.cohort.modalities.names}
    lines += _table(("modality", "there", "missing"), {name: (count, lacking[name]) for name, count in there.items()})
    patterns = Counter("+".join(names) for names in gaps.missing.values())
    if patterns:
        rows = {pattern: (count,) for pattern, count in patterns.most_common()}
        lines += _table(("missing together", "cases"), rows)
    return "\n".join([*lines, *(f"\nwarning: {warning}" for warning in gaps.warnings)])


def _table(header: tuple[str, ...], rows: Mapping[str, tuple[int, ...]]) -> list[str]:
    first, *others = header
    width = max(map(len, (first, *rows)))
    lines = [""]
    for name, numbers in {first: others, **rows}.items():
        lines.append("  ".join([name.ljust(width), *(str(number).rjust(7) for number in numbers)]))
    return lines
