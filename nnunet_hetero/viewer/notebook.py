"""The page of a case that was predicted from Python, as text and in a notebook."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from nnunet_hetero.cases.geometry import reader_geometry
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.from_python import Prediction
from nnunet_hetero.nnunet.extent import MILLILITRES, SQUARE_MILLIMETRES
from nnunet_hetero.viewer.facts import (
    AREAS,
    DICE,
    DISAGREEMENT,
    MODALITIES,
    VOLUMES,
    dice_in_words,
    modalities_in_words,
    number_in_words,
    size_in_words,
    suspicion_in_words,
)
from nnunet_hetero.viewer.layers import Background, CaseView, Overlay
from nnunet_hetero.viewer.page import case_page
from nnunet_hetero.viewer.picture import Picture


def page_of(prediction: Prediction) -> str:
    """The page, one HTML file that needs no network."""
    return case_page(view_of(prediction))


def show(prediction: Prediction, height: int) -> Any:
    """The page in a frame of a notebook.

    Args:
        prediction: Of `HeteroModalPredictor.predict`.
        height: In pixels.

    Raises:
        SettingsError: If IPython, which every notebook has, is not there, or NiiVue.
    """
    try:
        from IPython.display import HTML
    except ImportError as error:
        raise SettingsError("A page is shown in notebooks, which bring IPython; it is not installed here.") from error
    frame = f'style="width: 100%; height: {int(height)}px; border: 0"'
    return HTML(f'<iframe srcdoc="{html.escape(page_of(prediction))}" {frame}></iframe>')


def view_of(prediction: Prediction) -> CaseView:
    """What the page shows of a prediction from Python."""
    affine = reader_geometry(prediction.segmentation.shape, prediction.properties).ras_affine

    def picture(array: np.ndarray) -> Picture:
        return Picture(np.asarray(array).transpose(2, 1, 0), affine)

    backgrounds = [Background(name, "image", picture(image)) for name, image in prediction.images.items()]
    backgrounds += [Background(name, "completed", picture(image)) for name, image in prediction.completed.items()]
    overlays = [Overlay(region, "entropy", picture(values)) for region, values in prediction.entropy.items()]
    for region, values in prediction.mutual_information.items():
        overlays.append(Overlay(region, "mutual information", picture(values)))
    # Without regions there is one map per label, the background's first.
    maps = prediction.probabilities[-len(prediction.regions) :]
    for region, values in zip(prediction.regions, maps, strict=True):
        overlays.append(Overlay(region, "probability", picture(values)))
    return CaseView(
        prediction.case or "case",
        prediction.regions,
        picture(prediction.segmentation),
        backgrounds,
        overlays,
        facts=_facts(prediction),
        warnings=[suspicion_in_words(one.modality, one.looks) for one in prediction.inputs if one.looks],
    )


def _facts(prediction: Prediction) -> dict[str, list[tuple[str, str]]]:
    facts = {
        MODALITIES: modalities_in_words(prediction.used, prediction.absent),
        VOLUMES: [
            (name, size_in_words(one.millilitres, one.low, one.high, MILLILITRES))
            for name, one in prediction.volumes.items()
            if one.millilitres is not None
        ],
        AREAS: [
            (name, size_in_words(one.square_millimetres, one.low, one.high, SQUARE_MILLIMETRES))
            for name, one in prediction.areas.items()
        ],
        DICE: [(name, dice_in_words(one.dice, one.low)) for name, one in prediction.quality.items()],
        DISAGREEMENT: [(name, number_in_words(value)) for name, value in prediction.disagreement.items()],
    }
    return {heading: rows for heading, rows in facts.items() if rows}
