"""Several images of a case that could be the same modality: none of them is chosen for the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nnunet_hetero.intake.files.sources import is_uid, parts_of
from nnunet_hetero.intake.proposal.sequences import HEAD
from nnunet_hetero.intake.proposal.verdict import DOUBTFUL, LIKELY, Verdict, not_used


@dataclass(frozen=True)
class Candidate:
    """An image of a case.

    Args:
        source: See `nnunet_hetero.intake.series.Series`.
        verdict: What it is by itself.
        derived: Whether it was made from other images, as a reformatted one.
        part: Part of the body, empty if nothing says which.
    """

    source: str
    verdict: Verdict
    derived: bool = False
    part: str = ""


def compared(candidates: Sequence[Candidate]) -> list[Verdict]:
    """The verdicts on the images of a case, each in view of the others.

    Of several with one modality, a reformatted one gives way to an original; otherwise all of them are doubtful. An
    image of another part of the body than most is not used; if no part has most, those that name one are doubtful. So
    are those that alone name a part, if it is not the head, and a DICOM series that lies in several places, each of
    which may hold a part of it.

    Args:
        candidates: The images of one case.
    """
    parted = [replace(one, verdict=_by_part(one, candidates)) for one in candidates]
    return [_scattered(one, parted) or _alone(one, parted) for one in parted]


def _by_part(one: Candidate, candidates: Sequence[Candidate]) -> Verdict:
    parts = [other.part for other in candidates if other.verdict.modality]
    counts = {part: parts.count(part) for part in parts if part}
    if not one.part or not one.verdict.modality:
        return one.verdict
    if len(counts) < 2:
        return _by_only_part(one) if one.part != HEAD and "" in parts else one.verdict
    most = [part for part, count in counts.items() if count == max(counts.values())]
    if one.part in most and len(most) == 1:
        return one.verdict
    others = ", ".join(sorted(set(counts) - {one.part}))
    why = f"{one.verdict.why}; shows the {one.part}, other series of the case the {others}"
    if len(most) == 1:
        return not_used(why, LIKELY)
    return Verdict("", DOUBTFUL, why, (one.verdict.modality,))


def _by_only_part(one: Candidate) -> Verdict:
    why = f"{one.verdict.why}; shows the {one.part}, and other images of the case do not say what they show"
    return Verdict("", DOUBTFUL, why, (one.verdict.modality,))


def _scattered(one: Candidate, candidates: Sequence[Candidate]) -> Verdict | None:
    """The verdict on a series of which files lie elsewhere, too, as in two zips; None on others."""
    verdict, uid = one.verdict, parts_of(one.source)[1]
    others = [other.source for other in candidates if other is not one and parts_of(other.source)[1] == uid]
    if not is_uid(uid) or not others or not verdict.possible:
        return None
    why = f"{verdict.why}; files of this series lie in {others[0]}, too. Put all of them into one folder, each once"
    return Verdict("", DOUBTFUL, why, verdict.possible)


def _alone(one: Candidate, candidates: Sequence[Candidate]) -> Verdict:
    verdict = one.verdict
    others = [other for other in candidates if other is not one and other.verdict.modality == verdict.modality]
    if not verdict.modality or not others:
        return verdict
    originals = [other for other in others if not other.derived]
    if one.derived and originals:
        return not_used(f"{verdict.why}; made from other images, and there is {originals[0].source}", LIKELY)
    rivals = others if one.derived else originals
    if not rivals:
        return verdict
    why = f"{verdict.why}; but {rivals[0].source} could be the {verdict.modality} as well. Keep one of them"
    return Verdict("", DOUBTFUL, why, (verdict.modality,))
