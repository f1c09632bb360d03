"""Whether the images of a case are what their names say, looked at in two steps, and what a calibration looks at."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from nnunet_hetero.inference.engine.input_signs import InputTile
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.modalities import Modalities, Subset, all_subsets
from nnunet_hetero.reliability.input_checks import (
    ALPHA_TO_LOOK_CLOSER,
    Finding,
    InputChecks,
    alphas_of,
    first_sources,
    judge,
)
from nnunet_hetero.reliability.input_evidence import Explained, InputSigns, sources_of_pairs
from nnunet_hetero.reliability.input_verdict import InputVerdict, verdicts


def look(tile: InputTile, modalities: Modalities, sources: Iterable[Subset]) -> InputSigns:
    """What the images of a case look like.

    Args:
        tile: Of the case.
        modalities: The model's.
        sources: Subsets of the images that explain the others; none for a model without image decoders.
    """
    sources = list(sources) if tile.network.completes_images else []
    tile.completed(sources)
    name = modalities.names
    explained: dict[str, dict[str, Explained]] = {}
    for source in sources:
        found = tile.explained(source)
        explained[modalities.label(source)] = {name[channel]: one for channel, one in found.items()}
    contrast: dict[str, dict[str, float]] = {}
    for place, one in enumerate(tile.present):
        for two in tile.present[place + 1 :]:
            contrast.setdefault(name[one], {})[name[two]] = tile.contrast(one, two)
    posterior = {name[channel]: {name[channel]: tile.posterior(channel)} for channel in tile.present}
    return {"explained": explained, "contrast": contrast, "posterior": posterior}


@torch.inference_mode()
def signs_of_good(model: LoadedModel, data: Tensor) -> InputSigns:
    """All that a calibration wants to know of a case whose images are what their names say.

    Each image is explained by every subset of the others, and given to the encoder of every other modality, too.

    Args:
        model: The model, whose first fold has not seen the case.
        data: ``(M, *spatial)``.
    """
    tile = InputTile.of(model, data)
    present, names = tile.present, model.modalities.names
    parts = [one for one in all_subsets(len(names)) if set(one) < set(present)]
    signs = look(tile, model.modalities, parts)
    for step in range(1, len(present)):
        given = {channel: present[(place + step) % len(present)] for place, channel in enumerate(present)}
        wrong = tile.with_images(given)
        for channel, other in given.items():
            signs["posterior"][names[channel]][names[other]] = wrong.posterior(channel)
    return signs


@torch.inference_mode()
def check_inputs(model: LoadedModel, checks: InputChecks, data: Tensor) -> list[InputVerdict]:
    """What the checks say of each image of a case.

    A first look costs little and lets pass what is clearly good; only what is not is looked at from all sides.

    Args:
        model: The model.
        checks: Of its calibration.
        data: ``(M, *spatial)``; modalities whose channel is not identically zero are there.
    """
    tile = InputTile.of(model, data, model.calibration.looks if model.calibration else 0)
    present = [model.modalities.names[channel] for channel in tile.present]
    return verdicts(*judge_in_steps(tile, checks, model.modalities), present)


def judge_in_steps(tile: InputTile, checks: InputChecks, modalities: Modalities) -> tuple[list[Finding], InputSigns]:
    """The findings about a case and what they rest on, after a first look or a second one.

    Args:
        tile: Of the case.
        checks: Of the model's calibration.
        modalities: The model's.
    """
    names = modalities.names
    signs = look(tile, modalities, first_sources(checks, names, tile.present))
    if any(one.suspicious for one in judge(checks, signs, names, ALPHA_TO_LOOK_CLOSER)):
        signs = look(tile, modalities, sources_of_pairs(tile.present))
    return judge(checks, signs, names, alphas_of(checks, signs, names)), signs
