"""What prediction needs of a checkpoint, and what must be in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import InstanceOf, StringConstraints
from torch import Tensor
from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.cases.histogram import Landmarks
from nnunet_hetero.cases.intensity_scale import Moments
from nnunet_hetero.cases.orientation import UNKNOWN
from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.documents import Document


class _InitArgs(TypedDict):
    plans: dict[str, Any]
    configuration: str
    dataset_json: dict[str, Any]


class _Moments(TypedDict):
    mean: float
    sd: float


class _Ours(TypedDict):
    intensity: NotRequired[dict[str, _Moments] | None]
    landmarks: NotRequired[dict[str, list[float]] | None]
    orientation: NotRequired[Annotated[str, StringConstraints(pattern=f"^([LRPAIS]{{3}}|{UNKNOWN})$")] | None]


class _Content(TypedDict):
    network_weights: dict[str, InstanceOf[Tensor]]
    trainer_name: str
    init_args: _InitArgs
    inference_allowed_mirroring_axes: NotRequired[tuple[int, ...] | list[int] | None]
    hetero_modal: NotRequired[_Ours]


CHECKPOINT = Document(
    _Content,
    "a checkpoint as a trainer of nnU-Net v2 writes it",
    "Choose another one with -chk, or get the model again from its source.",
    SettingsError,
)


@dataclass(frozen=True)
class TrainedFold:
    """One fold of a model; what training alone needs, such as the optimiser's state, is let go.

    Args:
        file: The checkpoint.
        weights: Of the network.
        trainer: Name of the trainer.
        plans: Those that it trained with.
        configuration: Which of their configurations.
        dataset_json: That of the training.
        mirroring_axes: Axes along which the training mirrored, None for no mirroring.
        intensity: Mean and standard deviation of the training images by modality.
        landmarks: Of the training images' histograms.
        orientation: Of the training images, such as ``RAS``; None if they have no place in space, `UNKNOWN` if the
            checkpoint does not say.
    """

    file: str | os.PathLike
    weights: dict[str, Tensor]
    trainer: str
    plans: dict[str, Any]
    configuration: str
    dataset_json: dict[str, Any]
    mirroring_axes: tuple[int, ...] | None
    intensity: Moments | None
    landmarks: Landmarks | None
    orientation: str | None = UNKNOWN

    @classmethod
    def of(cls, content: Mapping[str, Any], file: str | os.PathLike) -> TrainedFold:
        """What a checkpoint holds.

        Args:
            content: As it was loaded.
            file: Where from, for errors.

        Raises:
            SettingsError: If a part is missing or of another type, or weights are NaN or infinite.
        """
        CHECKPOINT.check(content, file)
        broken = next(
            (name for name, tensor in content["network_weights"].items() if not tensor.isfinite().all()), None
        )
        if broken is not None:
            raise SettingsError(
                f"{file} does not fit: the weights {broken} are not all finite, so that every prediction would be "
                "empty. The training has diverged, or the file is damaged. Choose another checkpoint with -chk, or "
                "train again."
            )
        trained, ours = content["init_args"], content.get(KEY, {})
        axes = content.get("inference_allowed_mirroring_axes")
        return cls(
            file,
            content["network_weights"],
            content["trainer_name"],
            trained["plans"],
            trained["configuration"],
            trained["dataset_json"],
            None if axes is None else tuple(axes),
            ours.get("intensity"),
            ours.get("landmarks"),
            ours.get("orientation", UNKNOWN),
        )
