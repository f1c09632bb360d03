"""Every setting of the method in one place: its default and where the default comes from.

The settings live in nnU-Net's plans, in the chosen configuration, under the key ``hetero_modal``. They travel with
``plans.json`` into the model folder, so prediction rebuilds the network that was trained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.setting_rules import (
    NAME_OR_CHANNEL,
    NAMES,
    NULL,
    NUMBER,
    PART,
    SEED,
    SHARE,
    STRICTLY_WHOLE,
    SWITCH,
    TABLE,
    Rule,
    exactly,
    list_of,
    named,
    number_above,
    number_from,
    one_of,
    whole_from,
)

if TYPE_CHECKING:
    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

KEY = "hetero_modal"

PLAN = "plan"
"""Value of a setting that leaves a choice to nnU-Net's plan."""

ELEMENTS, LEVELS = "elements", "levels"

COHORT = "cohort"
"""Value of the setting ``alpha`` that stands for the frequencies of the training cases themselves."""

OUR_FUSIONS = ("product_of_gaussians", "moments")
FUSIONS_GROUP = "nnunet_hetero.fusions"

SGD = "SGD"
"""nnU-Net's own optimiser."""

OUR_OPTIMIZERS = ("Adam", "AdamW", "Muon")
OPTIMIZERS_GROUP = "nnunet_hetero.optimizers"


def setting(default: Any, rule: Rule, hashed: bool = True) -> Any:
    """A setting of `HeteroModalConfig`.

    Args:
        default: Where the plans say nothing.
        rule: What a value may be.
        hashed: Whether values can be hashed.
    """
    return field(default=default, hash=hashed, metadata={"rule": rule})


def rule_of(entry: dataclasses.Field[Any]) -> Rule:
    """What a value of a setting may be."""
    return entry.metadata["rule"]


@dataclass(frozen=True)
class HeteroModalConfig:
    """Settings of network, loss and training; what a value may be stands beside its default.

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
        fusion: How modalities become one at every level, by name, see `nnunet_hetero.network.fusions`; None is the
            network's own way.
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
        single_modality_weight: Weight of the segmentation of samples from one of their modalities alone, next to that
            from all that they are seen through; at the levels of deep supervision below the finest, which cost less.
        single_modality_share: Share of the samples of a batch that are, rounded up: those seen through most modalities.
        kl_average: What counts alike in that term: all ``"elements"`` of the latents, or all ``"levels"``. With levels,
            the few elements of the coarse ones pay so much that they end up at the prior and say nothing.
    Training:
        alpha: Weight by subset name; ``"cohort"`` for the frequencies of the training cases; None for the draw of the
            paper.
        presence: Instead of ``alpha``, the probability of each modality by name, independent of the others.
        balance_subsets: Whether a cohort with gaps practises each subset as often as one without, see
            `nnunet_hetero.subset_sampling.BalancedDraw`.
        balance_modalities: Instead of that, whether cases with rare modalities are sampled more often, see
            `nnunet_hetero.training.data.training_cases`.
        unlabelled_share: How often a sample is a case without a segmentation, see
            `nnunet_hetero.training.data.unlabelled`; None is as often as there are such cases, 0 leaves them out.
        distil_unlabelled_after: Share of the epochs after which such a case is to be segmented from a subset of its
            modalities as from all, see `nnunet_hetero.training.optimization.distillation`; None is never.
        completion_first: Share of the epochs, the first ones, in which images are completed and nothing is segmented.
        histogram_standardisation: Whether MR images are standardised to the histogram landmarks of the training images,
            see `nnunet_hetero.cases.histogram`; the paper does, nnU-Net does not.
        num_epochs: nnU-Net's 1000.
        num_iterations_per_epoch: nnU-Net's 250.
        num_val_iterations_per_epoch: nnU-Net's 50.
        patch_size: Voxels along every axis, or one number for all; ``"plan"`` is nnU-Net's own.
        batch_size: ``"plan"`` is nnU-Net's own.
        optimizer: ``SGD`` (Nesterov, momentum 0.99, nnU-Net's), ``Adam``, ``AdamW``, ``Muon``, see
            `nnunet_hetero.training.optimization.muon`, or one of another package, see
            `nnunet_hetero.training.optimization.optimizers`.
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

    encoder_width: float = setting(0.5, number_above(0))
    finest_width: float = setting(1.0, number_above(0))
    finest_convolutions: int | str = setting(1, exactly(PLAN) | whole_from(1))
    finest_norm: bool = setting(False, SWITCH)
    latent_width: float = setting(0.5, number_above(0))
    image_decoder_width: float = setting(0.5, number_above(0))
    finest_image_width: float = setting(1.0, number_above(0))
    image_decoders: bool = setting(True, SWITCH)
    fusion: str | None = setting(None, NULL | named(*OUR_FUSIONS, group=FUSIONS_GROUP))
    max_abs_log_variance: float = setting(10.0, number_above(0))
    initial_log_variance: float = setting(-6.0, NUMBER)
    initial_log_variance_elsewhere: float = setting(-3.0, NUMBER)
    reconstruction_weight: float = setting(0.1, number_from(0))
    kl_weight: float = setting(0.03, number_from(0))
    single_modality_weight: float = setting(0.0, number_from(0))
    single_modality_share: float = setting(0.5, PART)
    kl_average: str = setting(ELEMENTS, one_of(ELEMENTS, LEVELS))
    alpha: dict[str, float] | str | None = setting(None, NULL | exactly(COHORT) | TABLE, hashed=False)
    presence: dict[str, float] | None = setting(None, NULL | TABLE, hashed=False)
    balance_subsets: bool = setting(True, SWITCH)
    balance_modalities: bool = setting(False, SWITCH)
    unlabelled_share: float | None = setting(None, NULL | SHARE)
    distil_unlabelled_after: float | None = setting(None, NULL | SHARE)
    completion_first: float = setting(0.0, SHARE)
    histogram_standardisation: bool = setting(False, SWITCH)
    num_epochs: int = setting(1000, whole_from(1))
    num_iterations_per_epoch: int = setting(250, whole_from(1))
    num_val_iterations_per_epoch: int = setting(50, whole_from(1))
    patch_size: int | list[int] | str = setting(
        PLAN, exactly(PLAN) | STRICTLY_WHOLE | list_of(STRICTLY_WHOLE, "them, one for each axis"), hashed=False
    )
    batch_size: int | str = setting(PLAN, exactly(PLAN) | whole_from(1))
    optimizer: str = setting(SGD, named(SGD, *OUR_OPTIMIZERS, group=OPTIMIZERS_GROUP))
    initial_lr: float = setting(1e-2, number_above(0))
    lr_schedule: str = setting("poly", one_of("poly", "step"))
    lr_step_iterations: int = setting(10_000, whole_from(1))
    lr_step_divisor: float = setting(4.0, number_from(1))
    weight_decay: float = setting(3e-5, number_from(0))
    early_stopping_epochs: int | None = setting(None, NULL | whole_from(1))
    subset: str | list[str | int] | None = setting(
        None, NULL | NAMES | list_of(NAME_OR_CHANNEL, "names or channel numbers"), hashed=False
    )
    random_subsets: int = setting(1, whole_from(0))
    seed: int | None = setting(None, NULL | SEED)

    def __post_init__(self) -> None:
        for entry in dataclasses.fields(self):
            self._require(entry.name, rule_of(entry))
        bound = self.max_abs_log_variance
        within = Rule(lambda value: abs(value) <= bound, f"a number from -{bound} to {bound}")
        for name in ("initial_log_variance", "initial_log_variance_elsewhere"):
            self._require(name, within)
        if self.alpha is not None and self.presence is not None:
            raise SettingsError(
                f"{KEY}.alpha and {KEY}.presence are both set; each is a draw of its own. Set one of them to null."
            )

    def _require(self, name: str, rule: Rule) -> None:
        value = getattr(self, name)
        if not rule.holds(value):
            raise SettingsError(f"{KEY}.{name} is {value!r}; it must be {rule.expected}.")

    @property
    def channels(self) -> tuple[int, ...] | None:
        """The setting ``subset`` as channel numbers, which it has in settled plans; None if there is none."""
        return None if self.subset is None else tuple(int(channel) for channel in self.subset)

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
    def from_plans(cls, configuration_manager: ConfigurationManager) -> HeteroModalConfig:
        """Read the settings from nnU-Net's ``ConfigurationManager``."""
        return cls.from_dict(configuration_manager.configuration.get(KEY) or {})
