"""Every setting of the method in one place: its default and where the default comes from.

The settings live in nnU-Net's plans, in the chosen configuration, under the key ``hetero_modal``. They travel with
``plans.json`` into the model folder, so prediction rebuilds the network that was trained.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnunet_hetero.errors import SettingsError

KEY = "hetero_modal"

PLAN = "plan"
"""Value of a setting that leaves a choice to nnU-Net's plan."""

ELEMENTS, LEVELS = "elements", "levels"

CHOICES = {
    "kl_average": (ELEMENTS, LEVELS),
    "optimizer": ("SGD", "Adam", "AdamW", "Muon"),
    "lr_schedule": ("poly", "step"),
}


@dataclass(frozen=True)
class HeteroModalConfig:
    """Settings of network, loss and training.

    Network (see `nnunet_hetero.network.widths` for how widths follow from the plan):
        encoder_width: Features of each modality's encoder, as a fraction of the plan's ``features_per_stage``.
        finest_width: The same for the finest level alone.
        finest_convolutions: Convolutions of the encoders (residual blocks, with such plans) and of the segmentation
            decoder at the finest level, where they cost most, at most the plan's; ``"plan"`` is the plan's own number.
        finest_norm: Whether encoders and image decoder normalise their finest level. Instance norm there scales
            features by how much of a patch is background, which leaves images too flat.
        latent_width: Channels of the latents z^l, as a fraction of the plan's features.
        image_decoder_width: Features of the image decoder, as a fraction of the plan's features.
        finest_image_width: The same for the finest level alone.
        image_decoders: Whether the model completes images at all.
        max_abs_log_variance: Clamp of |log σ²|; exp overflows float16 at 11.1, so 10.
        initial_log_variance: log σ² before the first step in the channels of a latent that a modality speaks for, every
            M-th.
        initial_log_variance_elsewhere: The same in those that the others speak for. Where the two differ, modalities do
            not start blurred into one mean.
    Loss (Dorent et al., 2019, section 4):
        reconstruction_weight: Weight of the masked L2 term, 0.1 in the paper. It says how much the images shape the
            latents; the image decoder itself always learns at the full rate.
        kl_weight: Weight of the Kullback-Leibler term. At the finest level 0.03 on the mean of all elements is about as
            strong as 0.1, the paper's, on the mean of four levels.
        kl_average: What counts alike in that term: all ``"elements"`` of the latents, or all ``"levels"``. With levels,
            the few elements of the coarse ones pay so much that they end up at the prior and say nothing.
    Training:
        alpha: Weight by subset name; ``"cohort"`` for the frequencies of the training cases; None for the draw of the
            paper.
        presence: Instead of ``alpha``, the probability of each modality by name, independent of the others.
        balance_subsets: Whether a cohort with gaps practises each subset as often as one without, see
            `nnunet_hetero.subset_sampling.BalancedDraw`.
        balance_modalities: Instead of that, whether cases with rare modalities are sampled more often, see
            `nnunet_hetero.training.training_cases`.
        histogram_standardisation: Whether MR images are standardised to the histogram landmarks of the training images,
            see `nnunet_hetero.cases.histogram`; the paper does, nnU-Net does not.
        num_epochs: nnU-Net's 1000.
        num_iterations_per_epoch: nnU-Net's 250.
        num_val_iterations_per_epoch: nnU-Net's 50.
        patch_size: Voxels along every axis, or one number for all; ``"plan"`` is nnU-Net's own.
        batch_size: ``"plan"`` is nnU-Net's own.
        optimizer: ``SGD`` (Nesterov, momentum 0.99, nnU-Net's), ``Adam``, ``AdamW`` or ``Muon``, see
            `nnunet_hetero.training.muon`.
        initial_lr: nnU-Net's 0.01.
        lr_schedule: ``poly``, nnU-Net's decay to 0 over all epochs, or ``step``.
        lr_step_iterations: With ``step``, after how many training steps the learning rate is divided.
        lr_step_divisor: With ``step``, by what.
        weight_decay: nnU-Net's 3e-5; with ``Adam`` it is an L2 penalty.
        early_stopping_epochs: Training ends when nnU-Net's moving average of the pseudo Dice has not risen for as many
            epochs; None trains all epochs.
        subset: The only modalities that `SubsetTrainer` uses, by name (``"T1+T1c"``) or as a list of names or numbers.
        random_subsets: How many subsets `MVAESamplingTrainer` draws in a step, beside all and each single modality.
        seed: Seed of the weights, of the subset sampler and of the latents' noise; None draws one from the system, and
            the log says which.
    """

    encoder_width: float = 0.5
    finest_width: float = 1.0
    finest_convolutions: int | str = 1
    finest_norm: bool = False
    latent_width: float = 0.5
    image_decoder_width: float = 0.5
    finest_image_width: float = 1.0
    image_decoders: bool = True
    max_abs_log_variance: float = 10.0
    initial_log_variance: float = -6.0
    initial_log_variance_elsewhere: float = -3.0
    reconstruction_weight: float = 0.1
    kl_weight: float = 0.03
    kl_average: str = ELEMENTS
    alpha: dict[str, float] | str | None = field(default=None, hash=False)
    presence: dict[str, float] | None = field(default=None, hash=False)
    balance_subsets: bool = True
    balance_modalities: bool = False
    histogram_standardisation: bool = False
    num_epochs: int = 1000
    num_iterations_per_epoch: int = 250
    num_val_iterations_per_epoch: int = 50
    patch_size: int | list[int] | str = field(default=PLAN, hash=False)
    batch_size: int | str = PLAN
    optimizer: str = "SGD"
    initial_lr: float = 1e-2
    lr_schedule: str = "poly"
    lr_step_iterations: int = 10_000
    lr_step_divisor: float = 4.0
    weight_decay: float = 3e-5
    early_stopping_epochs: int | None = None
    subset: str | list[str | int] | None = field(default=None, hash=False)
    random_subsets: int = 1
    seed: int | None = None

    def __post_init__(self) -> None:
        widths = ("encoder_width", "finest_width", "latent_width", "image_decoder_width", "finest_image_width")
        for name in (*widths, "max_abs_log_variance", "initial_lr"):
            self._require(name, lambda value: value > 0, "a number above 0")
        self._require("lr_step_divisor", lambda value: value >= 1, "a number, 1 or more")
        for name in ("reconstruction_weight", "kl_weight", "weight_decay"):
            self._require(name, lambda value: value >= 0, "a number, 0 or more")
        counts = ["num_epochs", "num_iterations_per_epoch", "num_val_iterations_per_epoch", "lr_step_iterations"]
        counts += ["early_stopping_epochs"] if self.early_stopping_epochs is not None else []
        counts += [name for name in ("batch_size", "finest_convolutions") if getattr(self, name) != PLAN]
        for name in counts:
            self._require(name, lambda value: value == int(value) and value >= 1, "a whole number, 1 or more")
        self._require("random_subsets", lambda value: value == int(value) and value >= 0, "a whole number, 0 or more")
        bound = self.max_abs_log_variance
        for name in ("initial_log_variance", "initial_log_variance_elsewhere"):
            self._require(name, lambda value: abs(value) <= bound, f"a number from -{bound} to {bound}")
        if self.seed is not None:
            self._require("seed", lambda value: isinstance(value, int) and value >= 0, "null or a whole number from 0")
        switches = (
            "finest_norm",
            "image_decoders",
            "balance_subsets",
            "balance_modalities",
            "histogram_standardisation",
        )
        for name in switches:
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{KEY}.{name} is {getattr(self, name)!r}; it must be true or false.")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingsError(f"{KEY}.{name} is {getattr(self, name)!r}; it must be one of {', '.join(choices)}.")
        sizes = self.patch_size if isinstance(self.patch_size, list) else [self.patch_size]
        whole = all(isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in sizes)
        if self.patch_size != PLAN and not (sizes and whole):
            raise SettingsError(
                f'{KEY}.patch_size is {self.patch_size!r}; it must be "{PLAN}", a whole number, or a list of them, one '
                "for each axis."
            )
        if not (self.subset is None or isinstance(self.subset, (str, list))) or self.subset in ("", []):
            raise SettingsError(
                f'{KEY}.subset is {self.subset!r}; it must be null, names joined with "+", or a list of names.'
            )
        if not (self.alpha is None or self.alpha == "cohort" or isinstance(self.alpha, Mapping)):
            raise SettingsError(
                f'{KEY}.alpha is {self.alpha!r}; it must be null, "cohort", or a table of subset names and weights.'
            )
        if self.presence is not None and not isinstance(self.presence, Mapping):
            raise SettingsError(
                f"{KEY}.presence is {self.presence!r}; it must be null or a table of modalities and probabilities."
            )
        if self.alpha is not None and self.presence is not None:
            raise SettingsError(
                f"{KEY}.alpha and {KEY}.presence are both set; each is a draw of its own. Set one of them to null."
            )

    def _require(self, name: str, holds, expected: str) -> None:
        value = getattr(self, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not holds(value):
            raise SettingsError(f"{KEY}.{name} is {value!r}; it must be {expected}.")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> HeteroModalConfig:
        """Read the settings of a plans' configuration, defaults for what is not there.

        Raises:
            SettingsError: If a setting is unknown or has an impossible value.
        """
        if not isinstance(settings, Mapping):
            raise SettingsError(f"'{KEY}' in the plans must be a table of settings, found {settings!r}.")
        known = {entry.name for entry in dataclasses.fields(cls)}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise SettingsError(
                f"Unknown setting(s) {unknown} under '{KEY}' in the plans. Known settings: {sorted(known)}."
            )
        return cls(**settings)

    @classmethod
    def from_plans(cls, configuration_manager) -> HeteroModalConfig:
        """Read the settings from nnU-Net's ``ConfigurationManager``."""
        return cls.from_dict(configuration_manager.configuration.get(KEY) or {})
