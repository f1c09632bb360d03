"""U-HVED inside nnU-Net: one encoder per modality, a fused latent at every level, a decoder per task.

Dorent, Joutard, Modat, Ourselin, Vercauteren: "Hetero-Modal Variational Encoder-Decoder for Joint Modality Completion
and Segmentation", MICCAI 2019. Unlike there, encoders, latents and decoders each have their own width (`widths`), and
the levels, kernels, strides, norms and numbers of convolutions are those of nnU-Net's plan.
"""

from __future__ import annotations

import pydoc
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import NamedTuple

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from dynamic_network_architectures.initialization.weight_init import InitWeights_He, init_last_bn_before_add_to_0
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.base import HeteroNetwork
from nnunet_hetero.network.fusion import Expert, Gaussian, product_of_gaussians
from nnunet_hetero.network.widths import scaled_widths


class HeteroModalOutput(NamedTuple):
    """What `HeteroModalVAE` gives when asked for everything.

    Attributes:
        segmentation: Logits ``(B, K, *spatial)``, or a list of them, finest first, with deep supervision.
        completion: Images of all M modalities, ``(B, M, *spatial)``, in the units of the input; None without image
            decoders.
        posterior: The fused Gaussian of every level, finest first.
    """

    segmentation: Tensor | list[Tensor]
    completion: Tensor | None
    posterior: list[Gaussian]


class EncodedModality(NamedTuple):
    """What the encoder of one modality made of those samples of a batch that have it.

    Attributes:
        channel: The modality.
        features: Feature maps of every level, each ``(n, C, *spatial)``, finest first.
        samples: Which samples of the batch the n rows belong to, ``(n,)`` int64.
    """

    channel: int
    features: list[Tensor]
    samples: Tensor


class ModalityEncoder(nn.Module):
    """Encoder of one modality: feature maps of every level, and from each the mean and log-variance of its latent.

    Args:
        backbone: nnU-Net's encoder, with ``return_skips=True``.
        latent_channels: Channels of the latent of every level.
        config: Clamp and start of the log-variance.
    """

    def __init__(self, backbone: nn.Module, latent_channels: Sequence[int], config: HeteroModalConfig):
        super().__init__()
        self.backbone = backbone
        self.max_abs_log_variance = config.max_abs_log_variance
        self.initial_log_variance = config.initial_log_variance
        self.heads = nn.ModuleList(
            backbone.conv_op(features, 2 * latent, 1, bias=True)
            for features, latent in zip(backbone.output_channels, latent_channels, strict=True)
        )

    def reset_heads(self) -> None:
        """Start every level with one constant variance: noise from random log-variances would drown the signal."""
        for head in self.heads:
            latent = head.out_channels // 2
            nn.init.zeros_(head.weight[latent:])
            nn.init.constant_(head.bias[latent:], self.initial_log_variance)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encode images of one modality, ``(n, 1, *spatial)``, to the feature maps of every level, finest first."""
        # On a CPU torch runs the small 3D convolutions of a single sample by a path three times slower than for two.
        if x.device.type == "cpu" and len(x) == 1:
            return [features[:1] for features in self.backbone(x.expand(2, *x.shape[1:]))]
        return self.backbone(x)

    def gaussian(self, level: int, features: Tensor) -> Gaussian:
        """Posterior of this modality alone at a level, from its feature map there, float32."""
        mean, log_variance = self.heads[level](features).float().chunk(2, dim=1)
        return Gaussian(mean, log_variance.clamp(-self.max_abs_log_variance, self.max_abs_log_variance))


class LatentDecoder(UNetDecoder):
    """nnU-Net's decoder on latents: 1×1×1 convolutions adapt each level's latent to the decoder's width.

    Args:
        plan: What nnU-Net's decoder reads off an encoder (``output_channels``, ``strides``, ``conv_op``, ...).
        latent_channels: Channels of the latent of every level.
        widths: Features of this decoder at every level.
        num_outputs: Channels of the output.
        n_conv_per_stage: Convolutions per level.
        deep_supervision: Whether `forward` gives the output of every level.
    """

    def __init__(
        self,
        plan: SimpleNamespace,
        latent_channels: Sequence[int],
        widths: Sequence[int],
        num_outputs: int,
        n_conv_per_stage: int | Sequence[int],
        deep_supervision: bool,
    ):
        plan = SimpleNamespace(**{**vars(plan), "output_channels": list(widths)})
        super().__init__(plan, num_outputs, n_conv_per_stage, deep_supervision, nonlin_first=plan.nonlin_first)
        self.adapters = nn.ModuleList(
            plan.conv_op(latent, width, 1, bias=True) for latent, width in zip(latent_channels, widths, strict=True)
        )

    def forward(self, latents: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Decode latents, finest first, to ``(B, num_outputs, *spatial)``, a list of them if deeply supervised."""
        return super().forward([adapt(z) for adapt, z in zip(self.adapters, latents, strict=True)])


class HeteroModalVAE(HeteroNetwork):
    """Hetero-modal variational encoder-decoder.

    Args:
        architecture: Keyword arguments of nnU-Net's ``PlainConvUNet`` or ``ResidualEncoderUNet``, classes resolved.
        num_modalities: M, the number of input channels.
        num_outputs: K, the number of segmentation heads.
        deep_supervision: Whether the segmentation comes at every level.
        config: The method's settings.
    """

    def __init__(
        self,
        architecture: dict,
        num_modalities: int,
        num_outputs: int,
        deep_supervision: bool,
        config: HeteroModalConfig | None = None,
    ):
        super().__init__(num_modalities)
        config = config or HeteroModalConfig()
        features = architecture["features_per_stage"]
        self.latent_channels = scaled_widths(features, config.latent_width)
        encoder_widths = scaled_widths(features, config.encoder_width)
        self.encoders = nn.ModuleList(
            ModalityEncoder(_backbone(architecture, encoder_widths), self.latent_channels, config)
            for _ in range(num_modalities)
        )
        backbone = self.encoders[0].backbone
        names = ("strides", "kernel_sizes", "conv_op", "conv_bias", "norm_op", "norm_op_kwargs", "dropout_op")
        names += ("dropout_op_kwargs", "nonlin", "nonlin_kwargs")
        plan = SimpleNamespace(**{name: getattr(backbone, name) for name in names})
        plan.nonlin_first = architecture.get("nonlin_first", False)
        # nnU-Net switches deep supervision at `network.decoder.deep_supervision`.
        self.decoder = LatentDecoder(
            plan,
            self.latent_channels,
            features,
            num_outputs,
            architecture["n_conv_per_stage_decoder"],
            deep_supervision,
        )
        image_widths = scaled_widths(features, config.image_decoder_width)
        # At full resolution M image decoders would cost more than the rest of the network: 1×1×1 kernels there, the
        # latent of that level brings the detail.
        kernels = [[1] * len(plan.strides[0]), *plan.kernel_sizes[1:]]
        image_plan = SimpleNamespace(**{**vars(plan), "kernel_sizes": kernels})
        self.image_decoders = nn.ModuleList(
            LatentDecoder(image_plan, self.latent_channels, image_widths, 1, 1, deep_supervision=False)
            for _ in range(num_modalities if config.image_decoders else 0)
        )
        for image_decoder in self.image_decoders:
            # nnU-Net's decoder has an output layer at every level. DDP fails on those that get no gradient.
            image_decoder.seg_layers = image_decoder.seg_layers[-1:]
        self.strides = backbone.strides
        # What of the image decoders' gradient the latents get, see `_ScaledGradient`.
        self.completion_gradient = config.reconstruction_weight / num_modalities
        self.apply(InitWeights_He(1e-2))
        # As nnU-Net does with its residual networks: each block starts as the identity.
        self.apply(init_last_bn_before_add_to_0)
        for encoder in self.encoders:
            encoder.reset_heads()

    @classmethod
    def from_plans(cls, configuration_manager, num_modalities: int, num_outputs: int, deep_supervision: bool):
        """Build the network for a configuration of nnU-Net's plans.

        Raises:
            SettingsError: If the plan's network is neither ``PlainConvUNet`` nor ``ResidualEncoderUNet``, or the
                configuration is the second stage of a cascade.
        """
        name = configuration_manager.network_arch_class_name
        if name.split(".")[-1] not in (PlainConvUNet.__name__, ResidualEncoderUNet.__name__):
            raise SettingsError(
                f"The plans ask for the network '{name}'. HeteroModalVAE is built from PlainConvUNet or "
                "ResidualEncoderUNet plans; choose plans of nnU-Net's default or ResEnc planners (-p)."
            )
        if configuration_manager.previous_stage_name is not None:
            raise SettingsError(
                "HeteroModalVAE does not support cascades: a previous stage's segmentation is no modality that could "
                "be missing. Use the configuration 2d, 3d_lowres or 3d_fullres."
            )
        architecture = dict(configuration_manager.network_arch_init_kwargs)
        for key in configuration_manager.network_arch_init_kwargs_req_import:
            if architecture[key] is not None:
                architecture[key] = pydoc.locate(architecture[key])
        config = HeteroModalConfig.from_plans(configuration_manager)
        return cls(architecture, num_modalities, num_outputs, deep_supervision, config)

    def encode(self, x: Tensor, available: Tensor) -> list[EncodedModality]:
        """Encode what is available, each modality alone; absent modalities cost nothing.

        Args:
            x: Images, ``(B, M, *spatial)``.
            available: ``(B, M)`` bool.

        Returns:
            One entry for each modality that at least one sample has.
        """
        encoded = []
        # On the host: which encoders run is decided there, and a GPU would be waited for once per modality.
        available = available.cpu()
        for channel, encoder in enumerate(self.encoders):
            samples = available[:, channel].nonzero().flatten().to(x.device)
            if len(samples):
                images = x[:, channel : channel + 1]
                features = encoder(images if len(samples) == len(x) else images[samples])
                encoded.append(EncodedModality(channel, features, samples))
        return encoded

    def fuse(self, encoded: Sequence[EncodedModality], batch_size: int, spatial: Sequence[int]) -> list[Gaussian]:
        """Fuse the posteriors of all modalities at every level, finest first.

        Args:
            encoded: From `encode`, or part of it; may be empty, which gives the prior.
            batch_size: B.
            spatial: The images' spatial shape, in voxels.
        """
        levels, shape = [], list(spatial)
        for level, (channels, stride) in enumerate(zip(self.latent_channels, self.strides, strict=True)):
            # A strided convolution with "same" padding rounds up.
            shape = [-(-size // step) for size, step in zip(shape, stride, strict=True)]
            levels.append(self._cheaply(self._fuse_level, encoded, level, (batch_size, channels, *shape)))
        return levels

    def _fuse_level(self, encoded: Sequence[EncodedModality], level: int, shape: Sequence[int]) -> Gaussian:
        experts = [
            Expert(self.encoders[part.channel].gaussian(level, part.features[level]), part.samples) for part in encoded
        ]
        return product_of_gaussians(experts, shape, next(self.parameters()).device)

    def _cheaply(self, function: Callable, *arguments):
        """Call a function of little work and many intermediate results; training makes them twice, to keep none."""
        if self.training and torch.is_grad_enabled():
            return checkpoint(function, *arguments, use_reentrant=False)
        return function(*arguments)

    def complete(self, latents: Sequence[Tensor], modalities: Sequence[int] | None = None) -> Tensor:
        """Decode images from latents.

        Args:
            latents: z of every level, finest first.
            modalities: Which modalities; default all.

        Returns:
            ``(B, len(modalities), *spatial)``, in the units of the preprocessed input.

        Raises:
            SettingsError: If the model was built without image decoders.
        """
        if not len(self.image_decoders):
            raise SettingsError("This model has no image decoders (hetero_modal.image_decoders is false in its plans).")
        chosen = range(self.num_modalities) if modalities is None else modalities
        return torch.cat([self._cheaply(self.image_decoders[channel], latents) for channel in chosen], dim=1)

    def forward(
        self, x: Tensor, available: Tensor | None = None, *, full: bool = False
    ) -> Tensor | list[Tensor] | HeteroModalOutput:
        """Segment, and on demand complete, from the available modalities.

        In training mode the latents are sampled, in evaluation mode they are the posterior's mean.

        Args:
            x: Preprocessed images, ``(B, M, *spatial)``, absent channels zero.
            available: ``(B, M)`` bool, what each sample is encoded from; None reads it off the zero channels.
            full: Whether to return the completed images and the posterior too.

        Returns:
            Segmentation logits ``(B, K, *spatial)`` (a list, finest first, with deep supervision), or a
            `HeteroModalOutput` if ``full``.

        Raises:
            SettingsError: If x has another number of channels than the model has modalities.
        """
        self.require_channels(x)
        available = (self.availability(x) if available is None else available).cpu().bool()
        posterior = self.fuse(self.encode(x, available), len(x), x.shape[2:])
        latents = [level.sample() if self.training else level.mean for level in posterior]
        if self.touch_absent_encoders and self.training:
            latents[-1] = latents[-1] + self._zero_from_absent(available)
        segmentation = self.decoder(latents)
        if not full:
            return segmentation
        completion = None
        if len(self.image_decoders):
            completion = self.complete([_ScaledGradient.apply(z, self.completion_gradient) for z in latents])
        return HeteroModalOutput(segmentation, completion, posterior)

    def _zero_from_absent(self, available: Tensor) -> Tensor:
        """Zero that depends on the encoders nobody used: DDP waits for a gradient of every parameter."""
        unused = [self.encoders[i] for i in (~available.any(dim=0)).nonzero().flatten().tolist()]
        return sum(
            (0.0 * p.sum() for encoder in unused for p in encoder.parameters()),
            torch.zeros((), device=next(self.parameters()).device),
        )

    def compile_parts(self, **kwargs) -> None:
        """torch.compile every encoder and decoder in place; the fusion stays eager, since its subsets vary."""
        for part in (*self.encoders, self.decoder, *self.image_decoders):
            part.compile(**kwargs)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements of all feature maps for one sample with all modalities, nnU-Net's measure of memory."""
        sizes, shape = [], list(input_size)
        for stride in self.strides:
            shape = [size // step for size, step in zip(shape, stride, strict=True)]
            sizes.append(torch.Size(shape).numel())
        heads = sum(2 * channels * size for channels, size in zip(self.latent_channels, sizes, strict=True))
        total = sum(encoder.backbone.compute_conv_feature_map_size(input_size) + heads for encoder in self.encoders)
        for decoder in (self.decoder, *self.image_decoders):
            total += decoder.compute_conv_feature_map_size(input_size)
            widths = decoder.encoder.output_channels
            total += sum(width * size for width, size in zip(widths, sizes, strict=True))
        return int(total)


class _ScaledGradient(torch.autograd.Function):
    """Identity whose gradient is scaled.

    The weight of the reconstruction, 0.1, says how much it shapes the latents in comparison with the segmentation. The
    image decoders have no other task: scaled down as well, shared by M of them, their gradient would be 40 times
    smaller than the segmentation decoder's, and under SGD they would learn so much more slowly, to the same optimum.
    """

    @staticmethod
    def forward(context, x: Tensor, scale: float) -> Tensor:
        context.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * context.scale, None


def _backbone(architecture: dict, widths: Sequence[int]) -> nn.Module:
    """nnU-Net's encoder for one channel, at other widths than the plan's."""
    kwargs = {
        key: value
        for key, value in architecture.items()
        if key not in ("features_per_stage", "n_conv_per_stage_decoder", "deep_supervision")
    }
    residual = "n_blocks_per_stage" in kwargs
    encoder = ResidualEncoder if residual else PlainConvEncoder
    return encoder(input_channels=1, features_per_stage=list(widths), return_skips=True, **kwargs)
