"""What every network of ours is: encoders, a fusion and decoders, and channels that may be absent.

A network is used in steps, `HeteroNetwork.encode`, `fuse` and `decode`, by training all at once (`forward`), by
prediction one by one, so that subsets of a case share the first.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import Tensor, nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Subset
from nnunet_hetero.network.fusing.fusible import compile_fusible
from nnunet_hetero.network.fusing.rows import Rows, rows_by_modality
from nnunet_hetero.network.fusion import Gaussian

Level = Gaussian | Tensor
"""What modalities are fused to at one level: a distribution of the decoder's input, or that input."""


class EncodedModality(NamedTuple):
    """What the encoder of one modality made of those samples of a batch that have it.

    Attributes:
        channel: The modality.
        features: Feature maps of every level, each ``(n, C, *spatial)``, finest first.
        samples: Which samples of the batch the n rows belong to.
    """

    channel: int
    features: list[Tensor]
    samples: Rows


def on_host(mask: Tensor) -> Tensor:
    """A mask as bool on the host, itself if it is that."""
    return mask if mask.device.type == "cpu" and mask.dtype == torch.bool else mask.cpu().bool()


class HeteroNetwork(nn.Module, ABC):
    """A network that segments from any subset of M modalities: ``forward(x, available=None)``.

    A network built on this sets `encoders` and `decoder`, and says how it is built (`from_plans`) and how it fuses
    (`fuse`).

    Args:
        num_modalities: M, the number of input channels.

    Attributes:
        encoders: One module per modality, from ``(n, 1, *spatial)`` to a list of feature maps, finest first.
        decoder: From the levels that modalities are fused to, to the segmentation; nnU-Net switches its attribute
            ``deep_supervision``.
        image_decoder: From the latents, what they were fused from, ``(B, M)`` bool, and some modalities (None for all)
            to their images, ``(B, M, *spatial)``; None if the network completes none.
        stochastic: Whether the network has latents, which can be drawn.
        required: The only modalities that the network uses, and all of which it needs; None if it takes any subset.
        segmentation_output: Names of the weights that belong to the labels of a dataset.
        modality_names: Set by the trainer, which knows them.
        pretrained_orientation: Of the images that the weights were trained on which a new training starts from; None if
            there are none, or nobody knows.
        touch_absent_encoders: Set by the trainer if training is distributed: DDP waits for a gradient of every
            parameter.
    """

    encoders: nn.ModuleList
    decoder: nn.Module
    stochastic = False
    required: Subset | None = None
    segmentation_output = re.compile(r".*\.seg_layers\..*")

    def __init__(self, num_modalities: int):
        super().__init__()
        self.num_modalities = num_modalities
        self.image_decoder: nn.Module | None = None
        self.modality_names: tuple[str, ...] = ()
        self.pretrained_orientation: str | None = None
        self.touch_absent_encoders = False

    @classmethod
    @abstractmethod
    def from_plans(
        cls,
        configuration_manager: ConfigurationManager,
        num_modalities: int,
        num_outputs: int,
        deep_supervision: bool,
    ) -> HeteroNetwork:
        """Build the network for a configuration of nnU-Net's plans.

        Args:
            configuration_manager: nnU-Net's; our settings are in it, see `HeteroModalConfig.from_plans`.
            num_modalities: M, the number of input channels.
            num_outputs: K, the number of segmentation heads.
            deep_supervision: Whether the segmentation comes at every level.

        Raises:
            SettingsError: If the network cannot be built for it.
        """

    @abstractmethod
    def fuse(self, encoded: Iterable[EncodedModality], batch_size: int, spatial: Sequence[int]) -> Sequence[Level]:
        """Fuse the modalities at every level, finest first.

        Args:
            encoded: From `encode` or `encode_each`, or part of it; may be empty.
            batch_size: B.
            spatial: The images' spatial shape, in voxels.

        Returns:
            For every level what the decoder's input is drawn from, or that input if the network is not `stochastic`.
        """

    def ready_to_fuse(self, encoded: Iterable[EncodedModality]) -> list[EncodedModality]:
        """What was encoded, to be fused to several subsets: what `fuse` makes of one modality alone is made already."""
        return list(encoded)

    @classmethod
    def described_widths(cls, features: Sequence[int], config: HeteroModalConfig) -> dict[str, Sequence[int]]:
        """Widths of the network's parts at every level, by name, for a reader of plans; empty if there is no such rule.

        Args:
            features: The plan's ``features_per_stage``.
            config: The settings.
        """
        return {}

    @property
    def completes_images(self) -> bool:
        """Whether the network has an image decoder."""
        return self.image_decoder is not None

    def encode(self, x: Tensor, available: Tensor) -> list[EncodedModality]:
        """Encode what is available, each modality alone; absent modalities cost nothing.

        Args:
            x: Images, ``(B, M, *spatial)``.
            available: ``(B, M)`` bool.

        Returns:
            One entry for each modality that at least one sample has.
        """
        return list(self.encode_each(x, available))

    def encode_each(self, x: Tensor, available: Tensor) -> Iterator[EncodedModality]:
        """One modality of `encode` after the other."""
        # On the host: which encoders run is decided there, once, and a GPU is waited for at most here.
        rows_of = rows_by_modality(available.tolist(), x.device)
        for channel, (encoder, samples) in enumerate(zip(self.encoders, rows_of, strict=True)):
            if len(samples):
                # Never a view: a compiled encoder would be compiled anew for each kind of view.
                images = samples.pick(x[:, channel : channel + 1]).clone(memory_format=torch.contiguous_format)
                yield EncodedModality(channel, encoder(images), samples)

    def decode(self, levels: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Segment: logits ``(B, K, *spatial)``, or a list, finest first, with deep supervision."""
        return self.decoder(levels)

    def complete(self, latents: Sequence[Tensor], available: Tensor, modalities: Sequence[int] | None = None) -> Tensor:
        """Decode images from latents.

        Args:
            latents: z of every level, finest first.
            available: ``(B, M)`` bool, what they were fused from.
            modalities: Which modalities; default all.

        Returns:
            ``(B, len(modalities), *spatial)``, in the units of the preprocessed input.

        Raises:
            SettingsError: If the network has no image decoder.
        """
        if self.image_decoder is None:
            raise SettingsError(
                "This model has no image decoders (its network has none, or hetero_modal.image_decoders is false in "
                "its plans)."
            )
        return self.image_decoder(latents, available, modalities)

    def forward(self, x: Tensor, available: Tensor | None = None) -> Any:
        """Segment from the available modalities; in training mode from a draw, in evaluation mode from the mean.

        Args:
            x: Preprocessed images, ``(B, M, *spatial)``, absent channels zero.
            available: ``(B, M)`` bool, what each sample is encoded from; None reads it off the zero channels.

        Returns:
            Segmentation logits ``(B, K, *spatial)``, or a list, finest first, with deep supervision.

        Raises:
            SettingsError: If x has another number of channels than the model has modalities.
        """
        return self.decode(self.latents(*self.fused(x, available)))

    def fused(self, x: Tensor, available: Tensor | None) -> tuple[Sequence[Level], Tensor]:
        """What `fuse` makes of images, and ``(B, M)`` bool, what they were encoded from; arguments as for `forward`."""
        available = self.usable(x, available)
        return self.fuse(self.encode_each(x, available), len(x), x.shape[2:]), available

    def usable(self, x: Tensor, available: Tensor | None) -> Tensor:
        """What images are encoded from, ``(B, M)`` bool on the host; arguments and errors as for `forward`."""
        self.require_channels(x)
        return on_host(self.availability(x) if available is None else available)

    def latents(self, levels: Sequence[Level], available: Tensor) -> list[Tensor]:
        """The decoder's input: a draw from every Gaussian in training mode, its mean in evaluation mode."""
        return self.touching_absent_encoders([self._draw(level) for level in levels], available)

    def touching_absent_encoders(self, latents: list[Tensor], available: Tensor) -> list[Tensor]:
        """The same latents, whose gradient reaches the encoders of absent modalities too, as 0, if that is asked for.

        Args:
            latents: z of every level, finest first.
            available: ``(B, M)`` bool, what they were fused from.
        """
        if self.touch_absent_encoders and self.training:
            for channel in (~available.any(dim=0)).nonzero().flatten().tolist():
                for parameter in self.encoders[channel].parameters():
                    latents[-1] = latents[-1] + 0.0 * parameter.sum()
        return latents

    def _draw(self, level: Level) -> Tensor:
        if isinstance(level, Tensor):
            return level
        return level.sample() if self.training else level.point()

    def availability(self, x: Tensor) -> Tensor:
        """Which modalities each sample has, ``(B, M)`` bool: those whose channel is not identically zero."""
        return (x != 0).flatten(2).any(dim=2)

    def compile_parts(self, **kwargs: Any) -> None:
        """torch.compile encoders, decoders and the arithmetic of the fusion; what depends on the subset stays eager."""
        compile_fusible(**kwargs)
        for part in (*self.encoders, self.decoder, self.image_decoder):
            if part is not None:
                part.compile(**kwargs)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements of the feature maps that a training step keeps for one sample, nnU-Net's measure of memory.

        Raises:
            SettingsError: If the network does not say.
        """
        raise SettingsError(
            f"{type(self).__name__} does not say how much memory it needs (compute_conv_feature_map_size), so patch "
            "and batch cannot be planned for it. Give them in the plans, or leave the capacity out."
        )

    def require_channels(self, x: Tensor) -> None:
        """Refuse images that are not the modalities of this model.

        Raises:
            SettingsError: If x has another number of channels than the model has modalities.
        """
        if x.shape[1] != self.num_modalities:
            raise SettingsError(
                f"The input has {x.shape[1]} channel(s), this model was built for {self.num_modalities} modalities. "
                "Give every modality its channel, in the order of dataset.json; an absent one is a channel of zeros."
            )
