"""Words in names of files and in descriptions of series, as radiographers and vendors write them.

They say that a contrast agent was given or not, or that an image is none to segment: a localizer, a map made from
others, another sequence. A word that is the name of one of the model's modalities is no such word for that model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nnunet_hetero.intake.proposal.verdict import FLAIR, T1, T1C, T2, Vocabulary

LOCALIZER = frozenset(
    (
        *("localizer", "localiser", "loc", "locator", "scout", "survey", "scano", "scanogram", "topogram"),
        *("smartbrain", "aahead", "aaheadscout", "planning", "calibration", "asset", "shim", "b1map"),
        *("refscan", "senseref", "3plane"),
    )
)
DERIVED = frozenset(
    (
        *("adc", "eadc", "dadc", "fa", "colfa", "trace", "tracew", "md", "cbv", "rcbv", "cbf", "rcbf", "mtt"),
        *("ttp", "tmax", "tmip", "mip", "minip", "projection", "pbp", "gbp", "pei", "ktrans", "kep", "sub"),
        *("subtraction", "subtraktion", "subtracted", "difference", "screenshot", "screensave", "report"),
        *("phoenixzipreport", "fusion", "t1map", "t2map"),
    )
)
OTHER_SEQUENCE = frozenset(
    (
        *("dwi", "diff", "diffusion", "dti", "ep2d", "asl", "pcasl", "pasl", "bold", "fmri", "rest", "resting"),
        *("swi", "swan", "t2star", "t2starw", "t2s", "hemo", "tof", "mra", "angio", "angiography", "mrv"),
        *("venography", "pd", "pdw", "dsc", "dce", "perf", "perfusion", "mrs", "csi", "svs", "spectro"),
        *("spectroscopy", "fieldmap", "qsm", "phase", "stir", "ciss", "fiesta", "trufi", "ffe", "fl2d", "mrsi"),
        *("magnitude", "dyn", "dynamic"),
    )
)
AGENT = frozenset(
    (
        *("gd", "gad", "gado", "gadolinium", "ce", "contrast", "kontrast", "contraste", "km", "mdc", "postgd"),
        *("postgad", "postgado", "postcontrast", "wcontrast", "withcontrast", "enhanced", "gadovist"),
        *("gadavist", "dotarem", "c+", "multihance", "prohance", "magnevist", "clariscan", "gdtpa", "+c"),
        *("+gd", "+km", "+k"),
    )
)
MAYBE_AGENT = frozenset(("post", "pc", "nach", "with", "mit", "inj", "iv", "after", "c"))
NO_AGENT = frozenset(
    (
        *("pre", "native", "nativ", "ohne", "without", "wo", "w/o", "plain", "precontrast", "pregd"),
        *("nocontrast", "non", "no", "unenhanced", "noncontrast", "vor", "sans", "senza", "sin", "-c"),
    )
)
_T1_SEQUENCES = frozenset(("mprage", "bravo", "spgr", "fspgr", "tfl", "tfl3d", "vibe", "mp2rage"))
_T2_STAR = re.compile(r"t2w?\s*\*|t2[\s_-]*star|t2w?_(?:ffe|fl2d)", re.IGNORECASE)
_PHILIPS = re.compile(r"(?<![A-Za-z0-9])[set](T[12]W)", re.IGNORECASE)  # sT1W_3D_TFE
_FLAIR_WORDS = frozenset(("flair", "tirm", "darkfluid"))


@dataclass(frozen=True)
class Told:
    """What a text says.

    Args:
        kinds: What it could be; more than one if nobody can tell, none if it says nothing.
        agent: Whether a contrast agent was given, None if nobody can tell.
        denied: Whether it says that none was given: ``T1 ohne KM``.
        excluded: Why it is no image to segment, None if nothing says so.
    """

    kinds: tuple[str, ...]
    agent: bool | None
    denied: bool
    excluded: str | None


def told_by(text: str, vocabulary: Vocabulary) -> Told:
    """What a name or a description says.

    Args:
        text: A file's name without ending, or a description.
        vocabulary: Of the model.

    Examples:
        >>> from nnunet_hetero.modalities import Modalities
        >>> brats = Vocabulary(Modalities(("T1", "T1c", "T2", "FLAIR")))
        >>> told_by("t1_mprage_tra KM", brats).kinds, told_by("t2_tirm_tra_dark-fluid", brats).kinds
        (('T1c',), ('FLAIR',))
        >>> told_by("T1 post", brats).kinds, told_by("ep2d_diff_ADC", brats).excluded
        (('T1', 'T1c'), "'adc': a derived map")
    """
    text = _PHILIPS.sub(r"\1", text)
    words = _words(text)
    agent = _agent(words)
    starred = _T2_STAR.search(text) and not vocabulary.knows("t2*")
    kinds = () if starred else _kinds(text, words, agent, vocabulary)
    excluded = "'T2*': another sequence" if starred else _exclusion(words, vocabulary)
    return Told(kinds, agent, bool(NO_AGENT & set(words)), excluded)


def _words(text: str) -> list[str]:
    lowered = re.sub(r"([a-z])([A-Z][a-z])", r"\1 \2", text).lower().replace("dark-fluid", "darkfluid")
    lowered = re.sub(r"dark[\s_]fluid|\bda[-_ ]fl\b", "darkfluid", lowered)
    return re.findall(r"w/o|[+\-]?(?<![a-z0-9])(?:gd|km|c|k)(?![a-z0-9])\+?|[a-z0-9äöüß]+", lowered.replace("_", " "))


def _agent(words: list[str]) -> bool | None:
    """``False`` without a word of it; ``ohne KM`` and ``pre contrast`` are without."""
    if NO_AGENT & set(words):
        return False
    plain = {word.strip("+-") for word in words}
    if AGENT & (set(words) | plain):
        return True
    return None if MAYBE_AGENT & set(words) else False


def _kinds(text: str, words: list[str], agent: bool | None, vocabulary: Vocabulary) -> tuple[str, ...]:
    named = set(vocabulary.named(text))
    if _FLAIR_WORDS & set(words):
        named.add(FLAIR)
    if not named and _T1_SEQUENCES & set(words):
        named.add(T1)
    if {T2, FLAIR} <= named and "t1" not in words:
        named.discard(T2)  # a FLAIR is a T2-weighted sequence
    if NO_AGENT & set(words) and {T1, T1C} & named:
        named = (named - {T1C}) | {T1}  # T1 pre contrast
    elif "post" in words and {T1, T1C} & named and agent is None:
        named |= {T1, T1C}  # after contrast, or after surgery?
    elif T1 in named and agent:
        named = (named - {T1}) | {T1C}
    elif T1 in named and agent is None:
        named.add(T1C)
    return tuple(sorted(named))


def _exclusion(words: list[str], vocabulary: Vocabulary) -> str | None:
    kinds = ((LOCALIZER, "a localizer"), (DERIVED, "a derived map"), (OTHER_SEQUENCE, "another sequence"))
    for group, what in kinds:
        word = next((word for word in words if word in group and not vocabulary.knows(word)), None)
        if word is not None:
            return f"'{word}': {what}"
    return None
