"""What speaks for and against an image being what its name says, as margins: above 0 the name fits better.

A margin compares how well two statements explain an image: that it is what it claims to be, and that it is something
else. If that something is true, the margin changes its sign and about keeps its size. So where good images have margins
far above 0, a margin below 0 is no matter of chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, NamedTuple

from pydantic import Field
from typing_extensions import TypedDict

SWAPPED, IS, MIRRORED, MOVED, INVERTED = "swapped", "is", "mirrored", "moved", "inverted"
"""Statements about an image: it is exchanged with another, it is another modality, and so on."""

UNLIKE, ODD = "unlike", "odd"
"""Not what the other images let expect; not like the images of the training. Without a statement what else it is."""


Number = Annotated[float, Field(allow_inf_nan=False)]


class Moved(TypedDict):
    """An image in its place and away from it.

    Keys:
        in_place: Likeness to the completed image of its own modality, on the grid on which images are moved.
        elsewhere: Likeness in the best place away from its own.
        distance: How far away that is, mm.
    """

    in_place: Number
    elsewhere: Number
    distance: Number


class Explained(TypedDict):
    """How an image compares with what some of the others make of it; likeness is Fisher's z of a correlation.

    Keys:
        completed: Likeness to the completed image of each modality, ``(M,)``.
        mirrored: Likeness of its mirror images to the completed image of its own modality, one for each view.
        moved: Whether another place fits better; None if that was not looked at.
    """

    completed: list[Number]
    mirrored: list[Number]
    moved: Moved | None


class InputSigns(TypedDict):
    """What the images of a case look like to a model.

    ``explained`` is by the modalities that explain (``T2+FLAIR``) and the modality that is explained. ``contrast`` is
    by two modalities, the first of the two channels first: the skewness of the difference of their images inside, each
    of unit variance there. ``posterior`` holds numbers of a modality's own posterior, by the encoder's modality and
    that of the image which it was given.
    """

    explained: dict[str, dict[str, Explained]]
    contrast: dict[str, dict[str, Number]]
    posterior: dict[str, dict[str, list[Number]]]


class Statement(NamedTuple):
    """What an image may be instead.

    Attributes:
        kind: One of `SWAPPED`, `IS`, `MIRRORED`, `MOVED`, `INVERTED`, `UNLIKE` and `ODD`.
        modality: Name that the image has.
        other: The other modality, or the axes that are mirrored (``0+1``); else "".
    """

    kind: str
    modality: str
    other: str = ""

    @property
    def modalities(self) -> tuple[str, ...]:
        """The images that it is about."""
        return (self.modality, self.other) if self.kind == SWAPPED else (self.modality,)


def mirrorings(axes: int) -> list[tuple[int, ...]]:
    """All ways to mirror one or two of some spatial axes, by their numbers."""
    return [*combinations(range(axes), 1), *combinations(range(axes), 2)]


def _names_of_views(axes: int) -> list[str]:
    return ["+".join(map(str, view)) for view in mirrorings(axes)]


VIEWS = {len(mirrorings(axes)): _names_of_views(axes) for axes in (2, 3)}
"""Names of the mirrored views, ``0+1``, by how many there are: of 2D images three, else six."""


def margins(explained: Mapping[str, Explained], names: Sequence[str]) -> dict[Statement, float]:
    """The margins of all statements about single images that were explained by the same others.

    Args:
        explained: By modality.
        names: Of all modalities, in channel order.
    """
    found: dict[Statement, float] = {}
    for name, one in explained.items():
        found |= _about(name, one, names)
    return found


def exchanges(signs: InputSigns, source: str, names: Sequence[str]) -> dict[Statement, list[float]]:
    """Of each two images numbers that change their sign when the two are exchanged.

    The first is how much better each is explained by what completes its own modality than by what completes the other,
    if others explain them; the last is the skewness of their difference, the direction in which one stands out.

    Args:
        signs: Of a case.
        source: Label of the modalities that explain; "" for none.
        names: Of all modalities, in channel order.
    """
    found: dict[Statement, list[float]] = {}
    explained = signs["explained"].get(source, {})
    for one, others in signs["contrast"].items():
        for two, contrast in others.items():
            numbers = [contrast]
            if source:
                if one not in explained or two not in explained:
                    continue
                first, second = explained[one]["completed"], explained[two]["completed"]
                places = names.index(one), names.index(two)
                right = first[places[0]] + second[places[1]]
                numbers = [right - first[places[1]] - second[places[0]], contrast]
            found[Statement(SWAPPED, one, two)] = numbers
    return found


def _about(name: str, one: Explained, names: Sequence[str]) -> dict[Statement, float]:
    own = one["completed"][names.index(name)]
    others = zip(names, one["completed"], strict=True)
    views = zip(VIEWS[len(one["mirrored"])], one["mirrored"], strict=True)
    found = {Statement(UNLIKE, name): own, Statement(INVERTED, name): 2 * own}
    if one["moved"] is not None:
        found[Statement(MOVED, name)] = one["moved"]["in_place"] - one["moved"]["elsewhere"]
    found |= {Statement(IS, name, other): own - value for other, value in others if other != name}
    found |= {Statement(MIRRORED, name, view): own - value for view, value in views}
    return found


def sources_that_cover(present: Sequence[int], apart: Mapping[tuple[int, int], float]) -> list[tuple[int, ...]]:
    """Few subsets from which each image is explained by others: the complements of pairs.

    Args:
        present: Channels that a case has.
        apart: How well two images are told apart without others, by their channels; those that are least are put into
            one pair, which the others then tell apart.

    Examples:
        >>> sources_that_cover((0, 1, 2, 3), {(0, 1): 5.0, (2, 3): 5.0, (0, 3): 5.0, (1, 2): 5.0})
        [(1, 3), (0, 2)]
        >>> sources_that_cover((0, 2), {}), sources_that_cover((1,), {})
        ([(2,), (0,)], [])
    """
    if len(present) < 3:
        return _complements(present, [[channel] for channel in present])
    by_need = sorted(combinations(present, 2), key=lambda pair: apart.get(pair, 0.0))
    pairs: list[tuple[int, int]] = []
    left = set(present)
    while left:
        best = next(pair for pair in by_need if len(left & set(pair)) == min(2, len(left)))
        pairs.append(best)
        left -= set(best)
    return _complements(present, pairs)


def sources_of_pairs(present: Sequence[int]) -> list[tuple[int, ...]]:
    """The subsets that explain each pair of images by all others; of two images, each by the other.

    Args:
        present: Channels that a case has.

    Examples:
        >>> sources_of_pairs((0, 1, 2))
        [(2,), (1,), (0,)]
    """
    return _complements(present, list(combinations(present, 2 if len(present) > 2 else 1)))


def _complements(present: Sequence[int], parts: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    others = [tuple(sorted(set(present) - set(part))) for part in parts]
    return [source for source in others if source]
