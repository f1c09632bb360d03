"""The page of a case that was predicted from Python, as text and in a notebook."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from nnunet_hetero.cases.geometry import reader_geometry
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.from_python import Prediction, Volume
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
    facts = {"Modalities": [(name, "used") for name in prediction.used]}
    volumes = [(name, _volume(one)) for name, one in prediction.volumes.items() if one.millilitres is not None]
    if volumes:
        facts["Volumes"] = volumes
    if prediction.disagreement:
        facts["Disagreement of the draws, 0 to 1"] = [
            (name, f"{value:.3g}") for name, value in prediction.disagreement.items()
        ]
    return CaseView(
        prediction.case or "case",
        prediction.regions,
        picture(prediction.segmentation),
        backgrounds,
        overlays,
        facts=facts,
    )


def _volume(volume: Volume) -> str:
    text = f"{volume.millilitres:.3g} ml"
    return text if volume.low is None else f"{text} (interval {volume.low:.3g} to {volume.high:.3g})"
