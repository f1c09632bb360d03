"""What the name of an image's file says that it is, by the rules of nnU-Net, BIDS, BraTS and those of `words`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nnunet_hetero.cases.naming.names import NO_IMAGE_WORD_ENDS, NO_IMAGE_WORDS, SEPARATORS, image_name, split_ending
from nnunet_hetero.dataset_conversion.bids_names import meaning
from nnunet_hetero.intake.proposal.verdict import LIKELY, SURE, Verdict, Vocabulary, not_used
from nnunet_hetero.intake.proposal.words import told_by


def verdict_of_name(path: str, case: str, vocabulary: Vocabulary) -> Verdict:
    """What a file in the folder of a case is by its name, or by the names of the folders between.

    Args:
        path: Below the case's folder, with ``/``.
        case: Name of the case.
        vocabulary: Of the model.

    Examples:
        >>> from nnunet_hetero.modalities import Modalities
        >>> brats = Vocabulary(Modalities(("T1", "T1c", "T2", "FLAIR")))
        >>> verdict_of_name("p1_t1ce.nii.gz", "p1", brats)
        Verdict(modality='T1c', confidence='sure', why="named 't1ce'", may_be=())
    """
    return told_by_name(path, case, vocabulary) or vocabulary.any("its name does not say what it is")


def told_by_name(path: str, case: str, vocabulary: Vocabulary) -> Verdict | None:
    """The same; None if the names say nothing."""
    *folders, name = path.split("/")
    stem = split_ending(name)[0]
    numbered = _by_number(stem, case, vocabulary)
    if numbered is not None:
        return numbered
    rest = _without_case(stem, case)
    word = _label_word(rest)
    if word is not None and not vocabulary.knows(word):
        return not_used(f"'{word}' in its name: a label map or a mask, not an image")
    if stem.lower().startswith("sub-"):
        return _by_bids(stem, vocabulary)
    told = _by_words(rest, vocabulary, SURE, f"named '{rest}'")
    for folder in reversed(folders):
        told = told or _by_words(folder, vocabulary, LIKELY, f"in a folder named '{folder}'")
    return told


def _by_number(stem: str, case: str, vocabulary: Vocabulary) -> Verdict | None:
    """``CASE_0001``; behind another case's name a number may count anything."""
    parts = image_name(f"{stem}.", ".")
    names = vocabulary.modalities.names
    if parts is None or parts[1] >= len(names):
        return None
    name = names[parts[1]]
    if parts[0].lower() == case.lower():
        return Verdict(name, SURE, f"channel {parts[1]} in its name")
    told = _by_words(parts[0], vocabulary, SURE, "")
    return None if told else Verdict("", "doubtful", f"_{parts[1]:04d} may be a channel or any number", (name,))


def _without_case(stem: str, case: str) -> str:
    """The name of a patient may hold any word."""
    rest = stem[len(case) :]
    is_its = stem.lower().startswith(case.lower()) and rest[:1] in SEPARATORS
    return (is_its and rest.strip(SEPARATORS)) or stem


def _label_word(rest: str) -> str | None:
    words: Sequence[str] = re.findall(r"[a-z0-9]+", rest.lower())
    return next((word for word in words if word in NO_IMAGE_WORDS or word.endswith(NO_IMAGE_WORD_ENDS)), None)


def _by_bids(stem: str, vocabulary: Vocabulary) -> Verdict:
    found = meaning(stem)
    suffix = stem.rpartition("_")[2]
    if found.modality:
        return vocabulary.taken(found.modality, SURE, f"'{suffix}' in BIDS")
    if found.may_be:
        return vocabulary.doubtful(
            found.may_be, f"its BIDS name does not say whether it is {' or '.join(found.may_be)}"
        )
    named = vocabulary.named(suffix)
    return vocabulary.taken(named[0], SURE, f"'{suffix}' in BIDS") if named else not_used(f"'{suffix}' in BIDS")


def _by_words(text: str, vocabulary: Vocabulary, confidence: str, why: str) -> Verdict | None:
    told = told_by(text, vocabulary)
    if told.excluded and told.kinds:
        return vocabulary.doubtful(told.kinds, f"{why}, but {told.excluded}")
    if told.excluded:
        return not_used(f"{why}, {told.excluded}", confidence)
    if len(told.kinds) == 1:
        return vocabulary.taken(told.kinds[0], confidence, why)
    if told.kinds:
        return vocabulary.doubtful(told.kinds, f"{why}, which may be {' or '.join(told.kinds)}")
    return None
