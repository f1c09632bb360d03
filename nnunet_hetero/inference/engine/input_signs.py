"""What the images of a case look like to the model: how well each is explained by the others, and its own posterior.

From a few modalities the image decoder makes the images of all. So an image can be compared with what the others say
that it should be, and with what they say of every other modality, of its mirror image and of its inverse: a wrong name
or a wrong place fits better than the right one. All of it is done on a part of one tile in the middle of the case, from
the posterior's mean, by one fold: it costs a small part of a prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nnunet_hetero.inference.engine.alignment import likeness, likeness_elsewhere
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.engine.network_steps import encode_for_all, fuse_subset, latents
from nnunet_hetero.inference.engine.sliding_window import AT_ONCE_ON_CPU
from nnunet_hetero.inference.engine.tiling import padded_to_tile
from nnunet_hetero.modalities import Subset, mask_of
from nnunet_hetero.network.hetero_network import EncodedModality, HeteroNetwork, Level
from nnunet_hetero.reliability.input_evidence import Explained, mirrorings

SHARE = 0.65
"""Edge of the part that is looked at, in edges of a network's tile: about a quarter of the voxels."""


@dataclass
class InputTile:
    """The middle of a case, encoded.

    Args:
        network: In evaluation mode, with the weights of the fold that looks.
        images: ``(M, *tile)`` on the network's device.
        spacing: Edges of a voxel, mm.
        present: The modalities that the case has.
        encoded: Of each of them.
    """

    network: HeteroNetwork
    images: Tensor
    spacing: Sequence[float]
    present: Subset
    encoded: Sequence[EncodedModality]
    _completed: dict[Subset, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, model: LoadedModel, data: Tensor, fold: int = 0) -> InputTile:
        """Cut and encode, by one of the model's folds.

        Args:
            model: The model.
            data: ``(M, *spatial)``; modalities whose channel is not identically zero are there.
            fold: Place of the fold among those that are loaded.
        """
        network = model.network.to(model.device).eval()
        network.load_state_dict(model.parameters[fold])
        present = tuple((data != 0).flatten(1).any(dim=1).nonzero().flatten().tolist())
        spacing = tuple(model.preparation.configuration_manager.spacing)
        return cls.encoded_by(network, central_tile(model, data).to(model.device), spacing, present)

    @classmethod
    def encoded_by(cls, network: HeteroNetwork, images: Tensor, spacing: Sequence[float], present: Subset) -> InputTile:
        """Encode a tile.

        Args:
            network: In evaluation mode.
            images: ``(M, *tile)``.
            spacing: Edges of a voxel, mm.
            present: The modalities that are there.
        """
        available = torch.from_numpy(mask_of(present, len(images)))
        return cls(network, images, spacing, present, encode_for_all(network, images[None], available))

    def with_images(self, given: Mapping[int, int]) -> InputTile:
        """The same tile with other images in some channels' places.

        Args:
            given: The channel whose image stands in a channel's place, by the latter.
        """
        images = self.images.clone()
        for channel, other in given.items():
            images[channel] = self.images[other]
        return InputTile.encoded_by(self.network, images, self.spacing, self.present)

    @cached_property
    def inside(self) -> Tensor:
        """Where any image has a value, ``(*tile)`` bool; everywhere if none has."""
        found = (self.images != 0).any(dim=0)
        return found if found.any() else torch.ones_like(found)

    @cached_property
    def _voxels(self) -> Tensor:
        """Numbers of the voxels inside, ``(n,)``."""
        return self.inside.flatten().nonzero().squeeze(1)

    def _values(self, image: Tensor) -> Tensor:
        """Those of an image ``(*tile)`` inside, ``(n,)``."""
        return image.flatten().index_select(0, self._voxels)

    @cached_property
    def _standardised(self) -> dict[int, Tensor]:
        """Values of each image that is there, of mean 0 and variance 1 inside, ``(n,)``."""
        return {channel: _standard(self._values(self.images[channel])) for channel in self.present}

    def completed(self, sources: Iterable[Subset]) -> dict[Subset, Tensor]:
        """The images of all modalities that each of some subsets makes, ``(M, *tile)`` each."""
        sources = list(sources)
        todo = [source for source in sources if source not in self._completed]
        for start in range(0, len(todo), AT_ONCE_ON_CPU):
            batch = todo[start : start + AT_ONCE_ON_CPU]
            subsets = torch.from_numpy(np.stack([mask_of(source, len(self.images)) for source in batch]))
            levels = zip(*(latents(self._fused(one), 0, None) for one in subsets), strict=True)
            images = self.network.complete([torch.cat(level) for level in levels], subsets)
            self._completed |= zip(batch, images.float(), strict=True)
        return {source: self._completed[source] for source in sources}

    def _fused(self, subset: Tensor) -> Sequence[Level]:
        return fuse_subset(self.network, self.encoded, subset, self.images[None])

    def explained(self, source: Subset) -> dict[int, Explained]:
        """How well each other image is explained by those of a subset.

        Args:
            source: Channels of the subset.
        """
        completed = self.completed([source])[source]
        others = [channel for channel in self.present if channel not in source]
        return {channel: self._explained(self.images[channel], completed, channel) for channel in others}

    def _explained(self, image: Tensor, completed: Tensor, channel: int) -> Explained:
        own, of_each = completed[channel], torch.stack([self._values(one) for one in completed])
        views = [self._values(image.flip(axes)) for axes in mirrorings(image.ndim)]
        return {
            "completed": likeness(self._values(image), of_each).tolist(),
            "mirrored": likeness(of_each[channel], torch.stack(views)).tolist(),
            "moved": likeness_elsewhere(image, own, self.inside, self.spacing),
        }

    def contrast(self, one: int, two: int) -> float:
        """Skewness of the difference of two images inside, each of unit variance there; 0 if they are the same.

        Args:
            one: Channel.
            two: Channel.
        """
        return _standard(self._standardised[one] - self._standardised[two]).pow(3).mean().item()

    def posterior(self, channel: int) -> list[float]:
        """What a modality's own posterior is like: of each level the means of log σ² and of μ².

        Of a network without latents mean and mean square of what it fuses.
        """
        found = []
        for level in self._fused(torch.from_numpy(mask_of((channel,), len(self.images)))):
            values, squared = (level, level) if isinstance(level, Tensor) else (level.log_variance, level.mean)
            found += [values.float().mean().item(), squared.float().square().mean().item()]
        return found


def central_tile(model: LoadedModel, data: Tensor) -> Tensor:
    """The middle of a case, ``(M, *tile)``, see `SHARE`; of a 2D model the middle of the middle plane.

    Args:
        model: The model.
        data: ``(M, *spatial)``.
    """
    padded, _ = padded_to_tile(model, data)
    patch = model.patch_size
    if len(patch) < padded.ndim - 1:
        padded = padded[:, padded.shape[1] // 2]
    strides = model.preparation.configuration_manager.network_arch_init_kwargs["strides"]
    steps = np.prod([np.broadcast_to(stride, len(patch)) for stride in strides], axis=0).tolist()
    edges = [min(edge, step * max(1, round(SHARE * edge / step))) for edge, step in zip(patch, steps, strict=True)]
    starts = [(size - edge) // 2 for size, edge in zip(padded.shape[1:], edges, strict=True)]
    spans = [slice(start, start + edge) for start, edge in zip(starts, edges, strict=True)]
    return padded[tuple([slice(None), *spans])]


def _standard(values: Tensor) -> Tensor:
    values = values - values.mean()
    return values / values.square().mean().sqrt().clamp(min=1e-6)
