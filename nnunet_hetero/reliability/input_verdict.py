"""From margins to words: which images of a case are not what their names say, and what they look like instead."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from nnunet_hetero.errors import the_case
from nnunet_hetero.reliability.input_checks import Finding
from nnunet_hetero.reliability.input_evidence import (
    INVERTED,
    IS,
    MIRRORED,
    MOVED,
    ODD,
    SWAPPED,
    UNLIKE,
    InputSigns,
)

GOOD, SUSPICIOUS, NOT_CHECKED = "ok", "suspicious", "not checked"


@dataclass(frozen=True)
class InputVerdict:
    """What the checks say of one image.

    Args:
        modality: Its name.
        check: `GOOD`, `SUSPICIOUS` or `NOT_CHECKED`.
        looks: What it looks like, in words; "" if it is good.
        likeness: Fisher's z of its correlation with what the others make of it; None with one modality alone.
        limit: Below it no good image comes; None if there is none.
    """

    modality: str
    check: str
    looks: str = ""
    likeness: float | None = None
    limit: float | None = None


def verdicts(findings: Sequence[Finding], signs: InputSigns, present: Sequence[str]) -> list[InputVerdict]:
    """One for each image of a case.

    Args:
        findings: Of the case.
        signs: What they rest on.
        present: Modalities that the case has, in channel order.
    """
    blamed = _blamed(findings)
    unlike = {one.statement.modality: one for one in findings if one.statement.kind == UNLIKE}
    checked = set(chain.from_iterable(one.statement.modalities for one in findings))
    found = []
    for name in present:
        own = unlike.get(name)
        numbers = (None, None) if own is None else (own.margin, own.limit)
        if name in blamed:
            found.append(InputVerdict(name, SUSPICIOUS, in_words(blamed[name], name, signs), *numbers))
        else:
            found.append(InputVerdict(name, GOOD if name in checked else NOT_CHECKED, "", *numbers))
    return found


def _blamed(findings: Sequence[Finding]) -> dict[str, Finding]:
    """The images that are not what their names say, each with what explains it best.

    One wrong image spoils what is completed from it, so others seem wrong, too. Only the strongest of the statements
    that say most is taken.
    """
    suspicious = [(one, _weight(one, findings)) for one in findings if one.suspicious]
    exchanges = [(one, weight) for one, weight in suspicious if one.statement.kind == SWAPPED]
    for candidates in (
        [(one, weight) for one, weight in exchanges if weight > 0],
        [(one, weight) for one, weight in suspicious if one.statement.kind == IS],
        [(one, weight) for one, weight in suspicious if one.statement.kind in (MIRRORED, MOVED, INVERTED)],
        exchanges,
        suspicious,
    ):
        if candidates:
            best, _ = max(candidates, key=itemgetter(1))
            return dict.fromkeys(best.statement.modalities, best)
    return {}


def _weight(finding: Finding, findings: Sequence[Finding]) -> float:
    """How much speaks for a statement. If two images are exchanged, each of them looks like the other."""
    kind, modality, other = finding.statement
    if kind == IS:
        return _looks_like(modality, other, {one.source for one in findings}, findings)
    if kind != SWAPPED:
        return (finding.limit - finding.margin) / max(finding.deviation, 1e-9)
    # Explained by neither of the two.
    unspoilt = _sources(modality, findings) & _sources(other, findings)
    return min(
        _looks_like(modality, other, unspoilt, findings),
        _looks_like(other, modality, unspoilt, findings),
    )


def _sources(modality: str, findings: Sequence[Finding]) -> set[str]:
    return {one.source for one in findings if one.statement.modality == modality}


def _looks_like(modality: str, other: str, sources: Collection[str], findings: Sequence[Finding]) -> float:
    """How much better an image fits the name of another modality than its own, the mean over what explains it.

    The unit is the spread of good images over all other modalities, so that these can be compared.
    """
    strengths = []
    for source in sources:
        own = [
            one
            for one in findings
            if (one.source, one.statement.kind, one.statement.modality) == (source, IS, modality)
        ]
        unit = sum(one.deviation for one in own) / max(1, len(own))
        strengths += [-one.margin / max(unit, 1e-9) for one in own if one.statement.other == other]
    return sum(strengths) / len(strengths) if strengths else 0.0


def in_words(finding: Finding, name: str, signs: InputSigns) -> str:
    """What an image looks like, to follow its name.

    Args:
        finding: What explains it best.
        name: Modality of the image.
        signs: What the finding rests on.
    """
    kind, modality, other = finding.statement
    if kind == SWAPPED:
        return f"looks like {other if name == modality else modality} (exchanged with it)"
    if kind == MOVED:
        moved = signs["explained"][finding.source][name]["moved"]
        return f"looks moved by {moved['distance']:.0f} mm against the others" if moved else "looks moved"
    return {
        IS: f"looks like {other}",
        MIRRORED: f"looks mirrored along axis {other.replace('+', ' and ')} of the network's grid, or turned",
        INVERTED: "looks inverted: bright is dark",
        UNLIKE: "does not fit the other images",
        ODD: "does not look like an image of its kind in the training",
    }[kind]


def warning(case: str, found: Sequence[InputVerdict]) -> str:
    """One line that names the case, its suspicious images and what they look like; "" if there is none."""
    wrong = [f"{one.modality} {one.looks}" for one in found if one.check == SUSPICIOUS]
    return f"{the_case(case)}: the input may be wrong: {'; '.join(wrong)}." if wrong else ""
