"""What a new training takes over from a checkpoint that ``-pretrained_weights`` names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nnunet_hetero.cases.orientation import UNKNOWN
from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.checkpoints import load_checkpoint, trusted_by_environment
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.network.hetero_network import HeteroNetwork


def load_pretrained(network: HeteroNetwork, file: str) -> None:
    """Take over all weights but those of the segmentation's output, as nnU-Net does, and print what was done.

    Encoders and the outputs of the image decoder belong to modalities, by their place; a checkpoint that has the same
    ones in another order is refused.

    Args:
        network: Changed in place.
        file: The checkpoint.

    Raises:
        SettingsError: If the file is refused, has none of nnU-Net's weights, is of another network, or its modalities
            stand in another order.
    """
    content = load_checkpoint(file, trusted=trusted_by_environment())
    difference = _difference_of_modalities(content, file, network)
    weights = content.get("network_weights")
    if not isinstance(weights, Mapping):
        raise SettingsError(f"{file} has no 'network_weights', so no trainer of nnU-Net wrote it.")
    own = network.state_dict()
    wanted = {name: value for name, value in own.items() if not network.segmentation_output.fullmatch(name)}
    for name, value in wanted.items():
        _require_same_shape(name, value, weights.get(name), content, file)
    network.load_state_dict({**own, **{name: weights[name] for name in wanted}})
    network.pretrained_orientation = _orientation(content)
    print(f"{len(wanted)} of {len(own)} weights start from {file}; the output layers of the segmentation start anew.")
    if difference:
        print(f"WARNING: {difference}")


def other_orientation(network: HeteroNetwork, orientation: str | None) -> str:
    """What is to be said of a training whose images lie another way round than those that its weights come from.

    Args:
        network: That has perhaps started from `load_pretrained`.
        orientation: Of the images that it is going to see.

    Returns:
        Words; empty if both are the same, there is no such start, or one of the two is not known.
    """
    before = network.pretrained_orientation
    if before is None or orientation in (None, UNKNOWN, before):
        return ""
    return (
        f"the weights that it starts from were trained on images in the orientation {before}, and these have "
        f"{orientation}, so it first has to unlearn which way round a head lies. To start from images like those, turn "
        f"them (nnunet_hetero reorient --to {before}) and preprocess again."
    )


def _orientation(content: Mapping[str, Any]) -> str | None:
    ours = content.get(KEY)
    known = ours.get("orientation") if isinstance(ours, Mapping) else None
    return known if isinstance(known, str) and known != UNKNOWN else None


def _difference_of_modalities(content: Mapping[str, Any], file: str, network: HeteroNetwork) -> str:
    try:
        before = Modalities.from_dataset_json(content["init_args"]["dataset_json"])
    except (LookupError, TypeError, AttributeError):  # nnU-Net asks for the weights alone
        return f"{file} does not say on which modalities it was trained. They are taken to be the same."
    names = network.modality_names
    known = [name.lower() for name in before.names]
    now = [name.lower() for name in names]
    if known != now and sorted(known) == sorted(now):
        raise SettingsError(
            f"{file} was trained on the modalities {', '.join(before.names)}, in this order, and the data set now has "
            f"{', '.join(names)}. Each encoder would start from that of another modality. Give the data "
            "set the same order of channels (dataset.json, and the numbers of the files)."
        )
    if known != now and len(known) == len(now):
        pairs = zip(before.names, names, strict=True)
        changed = ", ".join(f"{new} from {old}" for old, new in pairs if old.lower() != new.lower())
        return f"the names of modalities differ. By their place, these start from another: {changed}."
    return ""


def _require_same_shape(name: str, value: Tensor, found: Any, content: Mapping[str, Any], file: str) -> None:
    if isinstance(found, Tensor) and found.shape == value.shape:
        return
    has = f"the shape {tuple(found.shape)}" if isinstance(found, Tensor) else "no such weights"
    raise SettingsError(
        f"{file}, by the trainer '{content.get('trainer_name')}', is of another network: for {name} it has {has}, "
        f"expected {tuple(value.shape)}. Start from a checkpoint of the same trainer, with as many modalities and the "
        "same architecture in the plans (nnUNetv2_move_plans_between_datasets gives a data set the plans of another)."
    )
