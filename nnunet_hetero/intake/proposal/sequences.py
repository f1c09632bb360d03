"""What the header of a DICOM series says that it is: sequence, contrast agent, description.

Echo, repetition and inversion times are compared with wide ranges in which clinical sequences at 1.5 and 3 T lie (for
tumours see Ellingson et al., Neuro-Oncology 2015, https://doi.org/10.1093/neuonc/nov095, which also has the T2 acquired
after the contrast agent). What description and times agree on is ``sure``, what one of them says ``likely``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nnunet_hetero.intake.proposal.verdict import (
    CT,
    FLAIR,
    LIKELY,
    MR_KINDS,
    PET,
    SURE,
    T1,
    T1C,
    T2,
    Verdict,
    Vocabulary,
    not_used,
)
from nnunet_hetero.intake.proposal.words import Told, told_by

OTHER = "another sequence"

FEWEST_IMAGES = 5
"""A series of fewer is a localizer or a sample, not a volume."""

DERIVED_TYPES = frozenset(
    (
        *("ADC", "FA", "TRACEW", "CBV", "RCBV", "CBF", "MTT", "TTP", "TMAX", "PBP", "GBP", "DIFFUSION"),
        *("PERFUSION", "ASL", "SUBTRACTION", "SUB", "T1 MAP", "T2 MAP", "PHASE MAP", "VELOCITY"),
        *("MAXIMUM IP MAP", "MIP", "PROJECTION IMAGE", "MINIP", "MIN IP", "PHASE", "P", "SCREEN SAVE"),
        *("COMPRESSED_SCREEN",),
    )
)
"""Words of ImageType; P is the phase image of Siemens and Philips."""

REFORMATTED = frozenset(("MPR", "RESAMPLED", "REFORMATTED", "CURVED MPR", "CSA MPR", "CSAMANIPULATED", "CSAPARALLEL"))

_FORMS = {"MR": "an MR image", "CT": "a CT image", "PT": "a PET image"}

HEAD = "head"

PARTS = {
    HEAD: ("head", "brain", "skull", "kopf", "schaedel", "schädel", "cranium", "cerebrum", "neuro", "gehirn"),
    "spine": (
        *("spine", "cspine", "tspine", "lspine", "ctspine", "tlspine", "wholespine", "hws", "bws", "lws", "sspine"),
        *("wirbelsaeule", "wirbelsäule", "lumbar", "thoracic", "cervical", "spinal", "myelon"),
    ),
    "trunk": ("chest", "thorax", "abdomen", "liver", "leber", "heart", "breast", "mamma", "lung", "kidney"),
    "pelvis": ("pelvis", "becken", "prostate", "prostata", "rectum", "hip"),
    "limbs": ("knee", "knie", "shoulder", "schulter", "ankle", "foot", "hand", "wrist", "elbow", "leg", "arm"),
}
"""Part of the body → words of BodyPartExamined and of descriptions."""


@dataclass(frozen=True)
class SeriesFacts:
    """What the headers of a series say.

    Args:
        modality: DICOM's: ``MR``, ``CT``, ``PT``, or of no image such as ``SEG``.
        images: Number of images, frames included.
        orientations: Number of different orientations.
        description: SeriesDescription.
        protocol: ProtocolName.
        folder: Name of the folder that the files lie in.
        image_type: Values of ImageType, in capitals.
        scanning_sequence: Values of ScanningSequence: SE, IR, GR, EP.
        echo_time: ms; None if unknown, as the others.
        repetition_time: ms.
        inversion_time: ms.
        b_value: s/mm².
        agent: ContrastBolusAgent.
        body_part: BodyPartExamined.
    """

    modality: str
    images: int
    orientations: int = 1
    description: str = ""
    protocol: str = ""
    folder: str = ""
    image_type: tuple[str, ...] = ()
    scanning_sequence: tuple[str, ...] = ()
    echo_time: float | None = None
    repetition_time: float | None = None
    inversion_time: float | None = None
    b_value: float | None = None
    agent: str = ""
    body_part: str = ""

    @property
    def is_derived(self) -> bool:
        """Whether it was made from other images."""
        return bool({"DERIVED", *REFORMATTED} & set(self.image_type))

    @property
    def part(self) -> str:
        """Part of the body, by BodyPartExamined, else by the description; empty if neither says which."""
        for text in (self.body_part, self.description, self.protocol):
            words = re.findall(r"[a-zäöü]+", text.lower())
            found = next((part for part, known in PARTS.items() if set(known) & set(words)), "")
            if found:
                return found
        return ""


def verdict_of_series(facts: SeriesFacts, vocabulary: Vocabulary) -> Verdict:
    """What a series is by its headers."""
    text, told = _told(facts, vocabulary)
    what = _form(facts, text)
    if not facts.modality:
        return vocabulary.any(what)
    if facts.modality not in _FORMS:
        return not_used(f"{what}, which is no image to segment")
    if "LOCALIZER" in facts.image_type:
        return not_used(f"{what}: a localizer (ImageType)")
    if facts.orientations > 1:
        why = f"{what}, in {facts.orientations} orientations"
        named = told.kinds and not told.excluded
        return vocabulary.doubtful(told.kinds, why) if named else not_used(f"{why}: a localizer")
    own = _own(told)
    if own:
        return vocabulary.taken(own, LIKELY, what)
    derived = next((word for word in facts.image_type if word in DERIVED_TYPES and not vocabulary.knows(word)), None)
    if derived:
        return not_used(f"{what}: a derived map ('{derived}' in ImageType)")
    if facts.modality != "MR":
        return vocabulary.taken(CT if facts.modality == "CT" else PET, SURE, what)
    weighting = _weighting(facts)
    if told.excluded and (not told.kinds or weighting == OTHER):
        return not_used(f"{what}, {told.excluded}")
    if facts.images < FEWEST_IMAGES:
        return _few(facts, what, told, vocabulary)
    return _of_mr(facts, what, told, weighting, vocabulary)


def _few(facts: SeriesFacts, what: str, told: Told, vocabulary: Vocabulary) -> Verdict:
    return vocabulary.doubtful(
        told.kinds or MR_KINDS, f"{what} has {facts.images} image(s), a volume has {FEWEST_IMAGES} or more"
    )


def _of_mr(facts: SeriesFacts, what: str, told: Told, weighting: str | None, vocabulary: Vocabulary) -> Verdict:
    if told.excluded:
        return vocabulary.doubtful(told.kinds, f"{what}, but {told.excluded}")
    by_word = {T1 if kind == T1C else kind for kind in told.kinds}
    if weighting == OTHER:
        times = f"{what}; {_times(facts)} are those of another sequence"
        return vocabulary.doubtful(told.kinds, times) if told.kinds else not_used(times, LIKELY)
    if weighting and by_word and weighting not in by_word:
        kinds = {*told.kinds, *((T1, T1C) if weighting == T1 else (weighting,))}
        return vocabulary.doubtful(kinds, f"{what}, but {_times(facts)} are those of a {weighting}")
    if not weighting and len(by_word) != 1:
        return vocabulary.doubtful(told.kinds or MR_KINDS, f"{what}; neither description nor times say what it is")
    kind = weighting or by_word.pop()
    why = f"{what}; {_times(facts)}" if weighting else what
    confidence = SURE if weighting and by_word else LIKELY
    if kind == T1:
        return _with_agent(facts, told, why, confidence, vocabulary)
    if kind == FLAIR and facts.agent:
        return vocabulary.doubtful([FLAIR], f"{why}; after contrast agent ({facts.agent}), unlike most FLAIR")
    return vocabulary.taken(kind, confidence, f"{why}; contrast agent {facts.agent}" if facts.agent else why)


def _with_agent(facts: SeriesFacts, told: Told, why: str, confidence: str, vocabulary: Vocabulary) -> Verdict:
    said = T1C in told.kinds and T1 not in told.kinds
    if facts.agent and told.denied:
        return vocabulary.doubtful([T1, T1C], f"{why}; but a contrast agent is in its header ({facts.agent})")
    if facts.agent:
        return vocabulary.taken(T1C, confidence, f"{why}; contrast agent {facts.agent}")
    if said or (told.agent and not told.kinds):
        return vocabulary.taken(T1C, LIKELY, f"{why}; contrast by its description, none in the header")
    by_protocol = told_by(facts.protocol, vocabulary).agent is not False and not told.denied
    if told.agent is None or by_protocol:
        text = f"protocol ('{facts.protocol}')" if by_protocol else "description"
        return vocabulary.doubtful([T1, T1C], f"{why}; its {text} may mean a contrast agent, the header has none")
    return vocabulary.taken(T1, confidence if told.denied else LIKELY, f"{why}; no contrast agent in its header")


def _told(facts: SeriesFacts, vocabulary: Vocabulary) -> tuple[str, Told]:
    """The first text that says something: a protocol's name is often shared by several series."""
    texts = [text for text in (facts.description, facts.protocol, facts.folder) if text]
    for text in texts:
        told = told_by(text, vocabulary)
        if told.kinds or told.excluded or vocabulary.named(text):
            return text, told
    return (texts[0], told_by(texts[0], vocabulary)) if texts else ("", Told((), False, False, None))


def _own(told: Told) -> str | None:
    """A modality of the model that is none of the known kinds, as ADC."""
    known = {*MR_KINDS, CT, PET}
    return told.kinds[0] if len(told.kinds) == 1 and told.kinds[0] not in known else None


def _weighting(facts: SeriesFacts) -> str | None:
    """T1, T2, FLAIR or `OTHER` by the times; None if they do not say."""
    te, tr, ti = facts.echo_time, facts.repetition_time, facts.inversion_time or 0.0
    if facts.b_value or "EP" in facts.scanning_sequence:
        return OTHER
    if te is None or tr is None:
        return None
    if "GR" in facts.scanning_sequence and "SE" not in facts.scanning_sequence and te > 12:
        return OTHER  # T2*
    if te >= 60:
        if ti >= 1400:
            return FLAIR
        return T2 if tr >= 1500 and not ti else OTHER
    if te <= 35 and (tr <= 1200 or 300 <= ti <= 1350):
        return T1
    return OTHER if te <= 50 and tr >= 1500 and not ti else None


def _form(facts: SeriesFacts, text: str) -> str:
    form = _FORMS.get(facts.modality, f"DICOM {facts.modality or 'without a modality'}")
    return f"{form} '{text}'" if text else f"{form} without a description"


def _times(facts: SeriesFacts) -> str:
    times = {"TE": facts.echo_time, "TR": facts.repetition_time, "TI": facts.inversion_time}
    return ", ".join(f"{name} {value:g}" for name, value in times.items() if value is not None) + " ms"
