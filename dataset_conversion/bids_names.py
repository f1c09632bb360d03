"""What the name of a BIDS image says: which modality it is, that it is none, or that nobody can tell.

BIDS writes ``sub-01_T1w``, ``sub-01_ce-gad_T1w``, ``sub-01_T2w`` and ``sub-01_FLAIR``. What people write besides is
taken where it can mean one thing only (``_flair``, ``_T1ce``, ``acq-gad_T1w``), and is doubtful otherwise
(``acq-post_T1w``: after contrast, or after surgery?).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

CHANNELS = ("T1", "T1c", "T2", "FLAIR")
_SUFFIXES = {
    **{"t1w": "T1", "t1n": "T1", "t2w": "T2", "flair": "FLAIR", "t2flair": "FLAIR", "t2f": "FLAIR"},
    **{"t1c": "T1c", "t1ce": "T1c", "t1gd": "T1c", "t1wce": "T1c"},
}
# Suffixes that BIDS has for images and maps of other kinds.
_OTHER_KINDS = {
    *("pdw", "pd", "pdt2", "t2starw", "t2star", "angio", "swi", "defacemask", "dseg", "probseg", "mask"),
    *("t1map", "t2map", "t2starmap", "r1map", "r2map", "r2starmap", "pdmap", "mtrmap", "mtsat", "mtvmap", "mwfmap"),
    *("t1rho", "tb1map", "rb1map", "m0map", "s0map", "chimap", "mese", "megre", "mp2rage", "mpm", "mts", "mtr"),
    *("vfa", "irt1", "bold", "sbref", "dwi", "epi", "asl", "m0scan", "ct", "pet", "meg", "eeg", "ieeg"),
    *("phasediff", "phase1", "phase2", "magnitude", "magnitude1", "magnitude2", "fieldmap", "cbv", "phase"),
}
_CONTRAST_AGENT = {
    *("gd", "gad", "gado", "gadolinium", "ce", "contrast", "withcontrast", "t1c", "t1ce", "t1gd"),
    *("postcontrast", "postgd", "postgad", "postgado", "postgadolinium"),
}
_NO_AGENT = {"none", "no", "without", "precontrast", "nocontrast", "native"}
_MAYBE_AGENT = re.compile(r"(post|pre|plus|with)[0-9]*|.*(contrast|gado).*|.+(gd|gad)")
_NAME = re.compile(r"sub-[A-Za-z0-9+]+(_[a-z]+-[A-Za-z0-9+]+)*_(?P<suffix>[A-Za-z0-9]+)")
_ENTITY = re.compile(r"(?:^|_)([a-z]+)-([A-Za-z0-9+]+)")


@dataclass(frozen=True)
class Meaning:
    """What a name says.

    Args:
        modality: Which it is; None if it is none, or if nobody can tell.
        may_be: Where nobody can tell, what it may be.
    """

    modality: str | None = None
    may_be: tuple[str, ...] = ()


def entities(name: str) -> dict[str, str]:
    """Entities in a file name: ``sub-01_ce-gad_T1w.nii.gz`` → ``{"sub": "01", "ce": "gad"}``."""
    return dict(_ENTITY.findall(name))


def meaning(stem: str, named: Mapping[str, str] | None = None) -> Meaning:
    """What a file's name says.

    Args:
        stem: The name without its ending.
        named: End of a name → modality, as the user says; goes before all else.

    Examples:
        >>> meaning("sub-01_ce-gad_T1w").modality, meaning("sub-01_flair").modality
        ('T1c', 'FLAIR')
        >>> meaning("sub-01_acq-post_T1w").may_be, meaning("sub-01_T2starw").may_be
        (('T1', 'T1c'), ())
    """
    for end, modality in (named or {}).items():
        if stem.endswith(f"_{end}"):
            return Meaning(modality)
    match = _NAME.fullmatch(stem)
    if match is None:
        return Meaning(may_be=_may_be(stem))
    suffix, found = match["suffix"].lower(), entities(stem)
    if suffix in _OTHER_KINDS:
        return Meaning()
    modality = _SUFFIXES.get(suffix)
    if modality is None or found.get("part", "mag") != "mag":
        return Meaning(may_be=_may_be(suffix))
    agent = _agent(found)
    if modality == "T1" and agent:
        return Meaning("T1c")
    # A FLAIR after contrast is not the FLAIR that a model knows, but may stand for it.
    return Meaning(modality) if modality == "T1c" or agent is False else Meaning(may_be=_may_be(suffix))


def _agent(found: Mapping[str, str]) -> bool | None:
    """Whether the entities name a contrast agent; None if they may."""
    if "ce" in found:
        return None if found["ce"].lower() in _NO_AGENT else True
    words = [found[entity].lower() for entity in ("acq", "rec", "desc") if entity in found]
    if any(word in _CONTRAST_AGENT for word in words):
        return True
    doubtful = any(_MAYBE_AGENT.fullmatch(word) and word not in _NO_AGENT for word in words)
    return None if doubtful else False


def _may_be(text: str) -> tuple[str, ...]:
    lowered = text.lower()
    if "flair" in lowered:
        return ("FLAIR",)
    if "t1" in lowered:
        return ("T1", "T1c")
    return ("T2",) if "t2" in lowered else CHANNELS
