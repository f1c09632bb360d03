"""What a name or a header says that an image is, in the words of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from nnunet_hetero.cases.naming.names import SYNONYMS, named_channels
from nnunet_hetero.modalities import Modalities

SURE, LIKELY, DOUBTFUL, GIVEN = "sure", "likely", "doubtful", "given"
CONFIDENCES = (SURE, LIKELY, DOUBTFUL, GIVEN)

T1, T1C, T2, FLAIR, PET, CT = KINDS = ("T1", "T1c", "T2", "FLAIR", "PET", "CT")
"""What an image can be known as, whatever the model calls it."""

MR_KINDS = (T1, T1C, T2, FLAIR)


@dataclass(frozen=True)
class Verdict:
    """What an image is taken for.

    Args:
        modality: Name of the model's modality; empty if it is not used.
        confidence: ``sure``, ``likely`` or ``doubtful``, also of not being used.
        why: In words.
        may_be: Of a doubtful one: the model's modalities that it could be.
    """

    modality: str
    confidence: str
    why: str
    may_be: tuple[str, ...] = ()

    @property
    def possible(self) -> tuple[str, ...]:
        """The model's modalities that it is taken for, or could be."""
        return (self.modality,) if self.modality else self.may_be


@dataclass(frozen=True)
class Vocabulary:
    """The modalities of a model, and what else images are known as: a T2-FLAIR is no T2, though a model has no FLAIR.

    Args:
        modalities: The model's.
    """

    modalities: Modalities

    @cached_property
    def _own(self) -> dict[str, str]:
        """Kind, or the name of a modality that is none of them → the model's name."""
        return {kind_of(name): name for name in reversed(self.modalities.names)}

    @cached_property
    def _all(self) -> Modalities:
        return Modalities((*self._own, *(kind for kind in KINDS if kind not in self._own)))

    def named(self, text: str) -> list[str]:
        """Kinds, and other modalities of the model, that a text names."""
        return [self._all.names[channel] for channel in named_channels(text, self._all)]

    def knows(self, word: str) -> bool:
        """Whether a word is the name of one of the model's modalities."""
        return word.lower() in {name.lower() for name in self.modalities.names}

    def names(self, kinds: Iterable[str]) -> tuple[str, ...]:
        """The model's modalities among some kinds, in its order."""
        own = {self._own[kind] for kind in kinds if kind in self._own}
        return tuple(name for name in self.modalities.names if name in own)

    def taken(self, kind: str, confidence: str, why: str) -> Verdict:
        """The verdict on an image of a kind; it is not used if the model has no such modality."""
        found = self.names([kind])
        return Verdict(found[0], confidence, why) if found else not_used(f"{why}; the model has no {kind}", confidence)

    def doubtful(self, kinds: Iterable[str], why: str) -> Verdict:
        """The verdict on an image of which nobody can tell what it is; not used if the model has none of the kinds."""
        may_be = self.names(kinds)
        return Verdict("", DOUBTFUL, why, may_be) if may_be else not_used(why, LIKELY)

    def any(self, why: str) -> Verdict:
        """The verdict on an image that could be anything."""
        return Verdict("", DOUBTFUL, why, self.modalities.names)


def not_used(why: str, confidence: str = SURE) -> Verdict:
    """The verdict on an image that is none of the model's modalities."""
    return Verdict("", confidence, why)


def kind_of(name: str) -> str:
    """One of `KINDS` that a model's name of a modality stands for, or the name itself."""
    letters = "".join(letter for letter in name.lower() if letter.isalnum())
    for kind in KINDS:
        group = next((group for group in SYNONYMS if kind.lower() in group), frozenset((kind.lower(),)))
        if letters in group:
            return kind
    return name
