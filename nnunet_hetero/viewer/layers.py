"""What a page of a case shows: backgrounds, regions, maps and probabilities, on one grid, ready to be embedded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from scipy.ndimage import binary_erosion

from nnunet_hetero.errors import DataError
from nnunet_hetero.nnunet.regions import Region
from nnunet_hetero.viewer.picture import Picture, as_is, as_labels, as_mosaic, joined

COLOURS = ("#56B4E9", "#E69F00", "#F0E442", "#CC79A7", "#009E73", "#D55E00", "#0072B2")
"""Of Okabe and Ito, told apart by colour-blind readers; regions take them in turn."""

OUTSIDE, INSIDE, EDGE = 0, 1, 2
"""Where a voxel is, for a region."""


@dataclass(frozen=True)
class Background:
    """An image that a page can show.

    Args:
        name: Of the modality.
        kind: ``image`` (acquired), ``completed`` (synthetic), or ``difference`` (completed less acquired).
        picture: On the case's grid.
    """

    name: str
    kind: str
    picture: Picture


@dataclass(frozen=True)
class Overlay:
    """A map over the images.

    Args:
        name: Of the region, for a map.
        kind: ``entropy`` or ``mutual information``, both in nats, or ``probability``.
        picture: On the case's grid.
    """

    name: str
    kind: str
    picture: Picture


@dataclass(frozen=True)
class CaseView:
    """Everything that is known of a case, on one grid.

    Args:
        case: Its name.
        regions: Label values by name.
        prediction: Label map.
        backgrounds: Images; at least one.
        overlays: Maps.
        truth: Label map, if it is known.
        subsets: Label maps by subset of the modalities, of an evaluation.
        facts: What the panel says, heading by heading: lists of ``(what, value)``.
        warnings: Sentences that must be seen.

    Raises:
        DataError: If not all of it lies on the grid of the prediction.
    """

    case: str
    regions: Mapping[str, Region]
    prediction: Picture
    backgrounds: Sequence[Background]
    overlays: Sequence[Overlay] = ()
    truth: Picture | None = None
    subsets: Mapping[str, Picture] = field(default_factory=dict)
    facts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        for what, picture in self._pictures():
            if not picture.lies_on(self.prediction):
                raise DataError(
                    f"Case '{self.case}': {what} lies on another grid than the segmentation, {picture.data.shape} "
                    f"voxels against {self.prediction.data.shape}. Give what belongs to it."
                )

    def _pictures(self) -> Iterator[tuple[str, Picture]]:
        """All but the prediction, and what they are."""
        yield from ((f"the image of {entry.name} ({entry.kind})", entry.picture) for entry in self.backgrounds)
        yield from ((f"the map of {entry.kind}", entry.picture) for entry in self.overlays)
        yield from ((f"the segmentation from {name}", picture) for name, picture in self.subsets.items())
        if self.truth is not None:
            yield "the true label map", self.truth

    def said(self) -> list[str]:
        """The warnings, and what the images themselves give reason to."""
        bad = [entry for entry in self.backgrounds if not np.isfinite(entry.picture.data).all()]
        names = dict.fromkeys(entry.name for entry in bad)
        return [f"{name} has voxels that are no numbers; they are shown as background." for name in names] + [
            *self.warnings
        ]

    def box(self) -> tuple[slice, ...]:
        """The part of the grid where images or regions are."""
        label_maps = [self.prediction, *self.subsets.values(), *([self.truth] if self.truth else [])]
        acquired = [entry.picture for entry in self.backgrounds if entry.kind == "image"]
        marked = [label_map for label_map in label_maps if label_map.data.any()]
        pictures = acquired or [entry.picture for entry in self.backgrounds]
        return joined([picture.box() for picture in [*pictures, *marked]])

    def cropped(self, box: Sequence[slice]) -> CaseView:
        """A part of it, at the same place in space."""
        return replace(
            self,
            prediction=self.prediction.cropped(box),
            backgrounds=[replace(entry, picture=entry.picture.cropped(box)) for entry in self.backgrounds],
            overlays=[replace(entry, picture=entry.picture.cropped(box)) for entry in self.overlays],
            truth=self.truth and self.truth.cropped(box),
            subsets={name: picture.cropped(box) for name, picture in self.subsets.items()},
        )


@dataclass(frozen=True)
class EmbeddedLayer:
    """A layer as the page's script takes it.

    Args:
        id: Names it in the page.
        name: For people.
        kind: See `Background` and `Overlay`; ``prediction``, ``truth`` and ``subset`` for regions.
        data: NIfTI in base64, or with `columns` the PNG file of a mosaic, see `Mosaic`.
        low: Lower end of what is shown.
        high: Upper end.
        region: Of a map.
        places: Of regions: what each number of `data` says, a letter for each region, see `OUTSIDE`.
        subset: Of an evaluation's layer.
        columns: Of a mosaic; 0 for NIfTI.
        header: Of a mosaic.
    """

    id: str
    name: str
    kind: str
    data: str
    low: float = 0.0
    high: float = 1.0
    region: str = ""
    places: Sequence[str] = ()
    subset: str = ""
    columns: int = 0
    header: str = ""


def embedded(view: CaseView, full: bool = False) -> list[dict]:
    """All layers of a case, as JSON.

    Args:
        view: Cropped or not.
        full: Whether images keep all their digits.
    """
    layers = [*_backgrounds(view.backgrounds, full), *_label_layers(view), *_maps(view.overlays)]
    return [asdict(layer) for layer in layers]


def _backgrounds(backgrounds: Iterable[Background], full: bool) -> Iterable[EmbeddedLayer]:
    for number, entry in enumerate(backgrounds):
        if entry.kind == "difference":
            largest = float(np.nanmax(np.abs(entry.picture.data), initial=0.0)) or 1.0
            low, high = -largest, largest
        else:
            low, high = entry.picture.window()
        layer = EmbeddedLayer(f"background-{number}", entry.name, entry.kind, "", low, high)
        yield replace(layer, data=as_is(entry.picture)) if full else _as_mosaic(layer, entry.picture)


def _label_layers(view: CaseView) -> Iterable[EmbeddedLayer]:
    yield _regions_of(view.prediction, view.regions, "prediction")
    if view.truth is not None:
        yield _regions_of(view.truth, view.regions, "truth")
    for subset, picture in view.subsets.items():
        yield _regions_of(picture, view.regions, "subset", subset)


def _regions_of(label_map: Picture, regions: Mapping[str, Region], kind: str, subset: str = "") -> EmbeddedLayer:
    """All regions in one layer, which is one picture for the graphics card: a number for each combination of places."""
    numbers = np.zeros(label_map.data.shape, np.intp)
    places = [""]
    for region in regions.values():
        mask = np.isin(label_map.data, np.atleast_1d(region))
        combined = 3 * numbers + np.where(binary_erosion(mask), INSIDE, np.where(mask, EDGE, OUTSIDE))
        counts = np.bincount(combined.ravel())
        counts[0] = 1  # 0 stays outside of all regions
        found = np.flatnonzero(counts)
        number_of = np.zeros(len(counts), np.intp)
        number_of[found] = np.arange(len(found))
        numbers = number_of[combined]
        places = [places[code // 3] + str(code % 3) for code in found]
    name = "-".join(word for word in (kind, subset) if word)
    data = as_labels(replace(label_map, data=numbers))
    return EmbeddedLayer(name, name, kind, data, high=len(places), places=places, subset=subset)


def _maps(overlays: Iterable[Overlay]) -> Iterable[EmbeddedLayer]:
    for number, entry in enumerate(overlays):
        # All maps of a kind have one scale, so that cases and regions can be compared: ln 2 nats is not to know at all.
        high = 1.0 if entry.kind == "probability" else float(np.log(2))
        layer = EmbeddedLayer(f"map-{number}", f"{entry.kind}, {entry.name}", entry.kind, "", 0.0, high, entry.name)
        yield _as_mosaic(layer, entry.picture)


def _as_mosaic(layer: EmbeddedLayer, picture: Picture) -> EmbeddedLayer:
    mosaic = as_mosaic(picture, layer.low, layer.high)
    return replace(layer, data=mosaic.png, columns=mosaic.columns, header=mosaic.header)
