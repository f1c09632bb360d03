"""What all our trainers share: nnU-Net's trainer, with every sample seen through a random subset of its modalities."""

from __future__ import annotations

import locale
import os
from functools import partial
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.helpers import dummy_context
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import Tensor, autocast
from torch.nn.parallel import DistributedDataParallel

from nnunet_hetero.cases.histogram import Landmarks
from nnunet_hetero.cases.orientation import UNKNOWN
from nnunet_hetero.config import KEY, SGD
from nnunet_hetero.io.atomic_files import replace_json
from nnunet_hetero.io.checkpoints import trusted_by_environment
from nnunet_hetero.io.console import make_printable, printable, say_errors_in_words
from nnunet_hetero.modalities import Modalities, all_subsets
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.nnunet.loaders import loaders_of_training
from nnunet_hetero.nnunet.model_gate import require_plain_plans
from nnunet_hetero.nnunet.pretrained_weights import load_through
from nnunet_hetero.nnunet.ranks import networks_wrapped_for
from nnunet_hetero.nnunet.stock_predictor import predicting_by, refuse_stock_predictor
from nnunet_hetero.subset_sampling import BalancedDraw, SubsetSampler, read_draw
from nnunet_hetero.training.continuable_trainer import ContinuableTrainer
from nnunet_hetero.training.data.augmentation import KeepAbsentZero, repeatable
from nnunet_hetero.training.data.inputs import PreparedDatasets
from nnunet_hetero.training.data.landmarks import input_rules
from nnunet_hetero.training.data.orientation import settled_orientation
from nnunet_hetero.training.data.training_cases import Cohort, read_training_cohort
from nnunet_hetero.training.data.unlabelled import Locations, LossOfLabelled, arrange_unlabelled, with_share
from nnunet_hetero.training.dead_ends import look_ahead
from nnunet_hetero.training.final_validation import predict_loaded
from nnunet_hetero.training.optimization.distillation import count_samples, describe
from nnunet_hetero.training.optimization.optimizers import OPTIMIZERS
from nnunet_hetero.training.optimization.schedule import StepDecay
from nnunet_hetero.training.optimization.step import take_step
from nnunet_hetero.training.pretrained_weights import load_pretrained, other_orientation
from nnunet_hetero.training.random_streams import seed_everything, seed_of_training
from nnunet_hetero.training.record.loggers import add_loggers
from nnunet_hetero.training.record.sample_counts import RunningCounts
from nnunet_hetero.training.record.soundness import watch
from nnunet_hetero.training.settings import require_subset, settle
from nnunet_hetero.training.validation import ValidationCycle, seen_through


class HeteroTrainer(ContinuableTrainer):
    """Trains a network for any subset of the modalities: draws subsets, logs by their size, keeps random streams.

    Each sample of a batch is seen through its own random subset of what it has. Settings: `HeteroModalConfig`, in the
    plans under ``hetero_modal`` of the configuration. A trainer built on this says which network
    (`network_class`) and, if it is more than nnU-Net's loss, which loss (`losses`).

    Args:
        plans: nnU-Net's plans.
        configuration: ``2d``, ``3d_lowres`` or ``3d_fullres``.
        fold: 0 to 4, or ``all``.
        dataset_json: nnU-Net's dataset.json.
        device: Where to train.

    Attributes:
        network_class: The network, built by its ``from_plans``.
        any_patch_size: Whether the network takes patches that the plan's strides do not divide.
        deeply_supervised: Whether the network segments at every level in training.
        one_subset: Whether the trainer is for one fixed subset, that of the setting ``subset``.
        learns_from_unlabelled: Whether cases without a segmentation are trained on; else they are left out.
    """

    network_class: type[HeteroNetwork]
    any_patch_size = False
    deeply_supervised = True
    one_subset = False
    learns_from_unlabelled = False
    loss: Any  # nnU-Net has it from `initialize` on

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 - nnU-Net compares signatures by name
    ):
        make_printable()
        say_errors_in_words()
        if not trusted_by_environment():
            require_plain_plans(plans, f"The plans '{plans.get('plans_name')}'")
        self.modalities = Modalities.from_dataset_json(dataset_json)
        # Before nnU-Net reads the plans. They go beside the weights, and prediction follows them.
        self.hetero = settle(plans, configuration, self.default_settings(), self.modalities, self.any_patch_size)
        require_subset(type(self).__name__, self.one_subset, self.hetero)
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.enable_deep_supervision = self.deeply_supervised
        self.num_epochs = int(self.hetero.num_epochs)
        self.num_iterations_per_epoch = int(self.hetero.num_iterations_per_epoch)
        self.num_val_iterations_per_epoch = int(self.hetero.num_val_iterations_per_epoch)
        self.initial_lr, self.weight_decay = self.hetero.initial_lr, self.hetero.weight_decay
        # Five checkpoints at least, so that a short run can be resumed; nnU-Net's 50 for its 1000 epochs.
        self.save_every: int = max(1, min(self.save_every, self.num_epochs // 5))
        self.patience, self.optimizer_name = self.hetero.early_stopping_epochs, self.hetero.optimizer
        # Ranks draw apart: with one stream they would all train the same subsets.
        self.seed = seed_of_training(self.hetero.seed, self.ranks)
        draw = read_draw(self.hetero, self.modalities)
        self.sampler = SubsetSampler(self.modalities, draw, self.seed + self.ranks.number)
        self.unlabelled: dict[str, Locations] = {}  # the training cases without a segmentation
        self.cohort: Cohort | None = None  # the training cases, once they are loaded
        self.counts = RunningCounts(self.modalities, self.ranks)
        self._last_seen: tuple[Tensor, Tensor] | None = None  # a sample of the epoch, and what its case has
        self.history, self.terms = add_loggers(self.logger, self.ranks.is_first)
        subsets = [self.hetero.channels] if self.hetero.channels else all_subsets(len(self.modalities))
        self.validation_cycle = ValidationCycle(subsets, len(self.modalities), self.ranks)
        self.landmarks: Landmarks | None = None  # of the training images' histograms, if they are standardised
        self.orientation: str | None = UNKNOWN  # of the images, once they are loaded

    @classmethod
    def default_settings(cls) -> dict[str, Any]:
        """Settings of this trainer where the plans say nothing and `HeteroModalConfig` says otherwise."""
        return {}

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> HeteroNetwork:
        """Build the network from the plans; nnU-Net calls this for training, its own predictor is refused."""
        refuse_stock_predictor(cls.__name__)
        return cls.network_class.from_plans(
            configuration_manager, num_input_channels, num_output_channels, enable_deep_supervision
        )

    def print_to_log_file(self, *args: Any, **keywords: Any) -> None:
        """nnU-Net's; its file has the encoding of the system, which may not know all letters."""
        encoding = locale.getpreferredencoding(False)
        super().print_to_log_file(*(printable(str(arg), encoding) for arg in args), **keywords)

    def initialize(self) -> None:
        """Build network, optimiser and loss, all from the seed."""
        seed_everything(self.seed)
        with networks_wrapped_for(self.device):
            super().initialize()
        self.unwrapped_network.touch_absent_encoders = self.is_ddp
        self.unwrapped_network.modality_names = self.modalities.names
        load_through(HeteroNetwork, load_pretrained)
        if super()._do_i_compile():
            self.print_to_log_file("Using torch.compile for encoders and decoders; the fusion of subsets stays eager.")
            self.unwrapped_network.compile_parts()

    @property
    def unwrapped_network(self) -> HeteroNetwork:
        """The network without the wrapper of distributed training."""
        return self.network.module if isinstance(self.network, DistributedDataParallel) else self.network

    def _do_i_compile(self) -> bool:
        """Never the whole network: it would be compiled anew for every subset. `initialize` compiles its parts."""
        return False

    def configure_optimizers(self) -> tuple[Any, Any]:
        """Optimiser and schedule of the settings."""
        optimizer, schedule = super().configure_optimizers()
        if self.hetero.optimizer != SGD:
            make = OPTIMIZERS.get(self.hetero.optimizer)
            optimizer = make(self.network, self.initial_lr, self.weight_decay)
            schedule = PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)
        if self.hetero.lr_schedule == "step":
            every, divisor = self.hetero.lr_step_iterations, self.hetero.lr_step_divisor
            schedule = StepDecay(optimizer, self.initial_lr, self.num_iterations_per_epoch, every, divisor)
        return optimizer, schedule

    @staticmethod
    def get_training_transforms(*args: Any, **kwargs: Any) -> BasicTransform:
        """nnU-Net's augmentation; a channel that was zero before it is zero after it."""
        return KeepAbsentZero(repeatable(nnUNetTrainer.get_training_transforms(*args, **kwargs)))

    def prepare_inputs(self) -> None:
        """Let all cases be loaded as the network is to see them: absent channels zero, histograms standardised."""
        if not self.was_initialized:
            self.initialize()
        if not isinstance(self.dataset_class, PreparedDatasets):
            rules, self.landmarks = input_rules(self, self.hetero, self.ranks, self.landmarks)
            self.dataset_class: Any = PreparedDatasets(self.dataset_class, rules)

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """nnU-Net's, after a look at what each training case has; the draw and the sampling of cases follow from it."""
        training, validation = super().get_tr_and_val_datasets()
        learns = self.learns_from_unlabelled and self.hetero.unlabelled_share != 0
        masked = any(self.configuration_manager.use_mask_for_norm)
        self.unlabelled = arrange_unlabelled(
            self, self.label_manager, training, validation, masked, learns, self.ranks.is_first
        )
        self.orientation = settled_orientation(self, (training, validation))
        self.cohort = cohort = read_training_cohort(self, training, validation, self.ranks.is_first)
        look_ahead(self, training, self.hetero, self.learns_from_unlabelled and not self.unlabelled)
        counts = cohort.subset_counts()
        draw = read_draw(self.hetero, self.modalities, counts)
        probabilities: Any = None  # one per case
        if self.hetero.balance_modalities:
            probabilities = cohort.balanced_probabilities(training.identifiers)
        elif self.hetero.balance_subsets and len(counts) > 1:
            draw = BalancedDraw(draw, counts, len(self.modalities))
            probabilities = draw.case_probabilities([cohort.cases[case] for case in training.identifiers])
        self.sampler.distribution = draw
        if self.unlabelled:
            training.locations = self.unlabelled
            self.loss = LossOfLabelled(self.loss)
            self.print_to_log_file(describe(self.hetero))
            share = self.hetero.unlabelled_share
            probabilities = with_share(training.identifiers, self.unlabelled, probabilities, share)
        if probabilities is not None:
            training.sampling_probabilities = probabilities
            self.print_to_log_file(cohort.describe_probabilities(probabilities))
        return training, validation

    def get_dataloaders(self) -> tuple[Any, Any]:
        """nnU-Net's, which sample cases with the probabilities of the settings."""
        with loaders_of_training():
            return super().get_dataloaders()

    def on_train_start(self) -> None:
        """Start nnU-Net's training on inputs that are prepared."""
        self.prepare_inputs()
        super().on_train_start()
        turned = other_orientation(self.unwrapped_network, self.orientation)
        if turned:
            self.print_to_log_file(f"WARNING: {turned}")
        if self.landmarks is not None and self.ranks.is_first:
            replace_json(os.path.join(self.output_folder, "landmarks.json"), self.landmarks)

    def describe_seed(self) -> str:
        """Whether it was drawn, for the log."""
        return "" if self.hetero.seed is not None else f", drawn by chance; {KEY}.seed sets one"

    def train_step(self, batch: dict) -> dict:
        """One step on a batch of nnU-Net's loader.

        Returns:
            ``loss``: nnU-Net's segmentation loss, the same quantity as in validation; and the other terms of `losses`.
        """
        data, target = self._to_device(batch)
        present = self.modalities_of(batch)
        drawn = self.draw_subsets(present)
        for subsets in drawn.view(-1, *present.shape):
            self.counts.add(present.numpy(), subsets.numpy())

        if self.unlabelled:
            count_samples(self, batch["keys"], data, target, present)
        self._last_seen = data[:1], present[:1]
        self.optimizer.zero_grad(set_to_none=True)
        optimised, terms = self.losses(data, target, present.to(self.device), drawn)
        take_step(optimised, self.network, self.optimizer, self.grad_scaler)
        return {name: value.detach().cpu().numpy() for name, value in terms.items()}

    def draw_subsets(self, present: Tensor) -> Tensor:
        """What each sample is seen through in this step.

        Args:
            present: What each sample has, ``(B, M)`` bool on the host.

        Returns:
            ``(B, M)`` bool, within ``present``; or ``(N, B, M)`` for a trainer that shows each sample N times.
        """
        return torch.from_numpy(self.sampler.draw(present.numpy()))

    def modalities_of(self, batch: dict) -> Tensor:
        """What the case of each sample has, ``(B, M)`` bool on the host.

        It is the case that counts, as in prediction: a patch may lie where an image that is there shows nothing.
        """
        if self.cohort is None:
            return self.unwrapped_network.availability(batch["data"]).cpu()
        return torch.from_numpy(self.cohort.present(batch["keys"]))

    def losses(
        self, data: Tensor, target: Tensor | list[Tensor], present: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch; here nnU-Net's own, of the segmentation from the drawn modalities.

        Args:
            data: Images, ``(B, M, *spatial)``.
            target: nnU-Net's, a list of levels with deep supervision.
            present: What each sample has, ``(B, M)`` bool.
            drawn: What each sample is seen through, from `draw_subsets`.

        Returns:
            What is optimised, and the terms to log by name, the segmentation's under ``loss``.
        """
        with self.autocast():
            segmentation = self.loss(self.network(data, drawn), target)
        return segmentation, {"loss": segmentation}

    def autocast(self) -> Any:
        """nnU-Net's rule: autocast on CUDA only."""
        return autocast(self.device.type, enabled=True) if self.device.type == "cuda" else dummy_context()

    def _to_device(self, batch: dict) -> tuple[Tensor, Tensor | list[Tensor]]:
        data, target = batch["data"].to(self.device, non_blocking=True), batch["target"]
        if isinstance(target, list):
            return data, [level.to(self.device, non_blocking=True) for level in target]
        return data, target.to(self.device, non_blocking=True)

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        """Log the loss terms of the epoch, the mean over steps and ranks, which go on from the same weights."""
        # Their gradients are the same; what unlike cards make of them, by Muon's products, differs in the last bits.
        self.ranks.share(parameter.detach() for parameter in self.unwrapped_network.parameters())
        super().on_train_epoch_end(train_outputs)
        self.counts.end_epoch()
        means = {}
        for key in train_outputs[0]:
            values = self.ranks.gather([float(output[key]) for output in train_outputs])
            means["segmentation" if key == "loss" else key] = float(np.mean(values))
        for name, value in means.items():
            self.terms.log(f"loss/{name}", value, self.current_epoch)
        if len(means) > 1:
            told = (name for name in means if name not in ("segmentation", "total"))
            self.print_to_log_file(*(f"{name} {means[name]:.4f}" for name in told))
        if self.ranks.is_first and self._last_seen:
            watch(self.unwrapped_network, self._last_seen, self.terms, self.current_epoch, self.print_to_log_file)

    def on_validation_epoch_start(self) -> None:
        """Choose the subsets of this epoch, apart for every rank; see `subsets_of_epoch`."""
        super().on_validation_epoch_start()
        done = len(self.progress.validation)
        self.validation_cycle.begin(self.current_epoch, self.num_val_iterations_per_epoch, done)

    def validation_step(self, batch: dict) -> dict:
        """nnU-Net's validation of a batch, seen through the next of the epoch's subsets."""
        if self.unlabelled:
            self.loss.count(None)
        # On the device: a copy of the loader's pinned memory would not be pinned, and the host would wait for it.
        data = seen_through(batch["data"].to(self.device, non_blocking=True), self.validation_cycle.next_subset())
        return super().validation_step({**batch, "data": data})

    def on_validation_epoch_end(self, val_outputs: list[dict]) -> None:
        """nnU-Net's pseudo Dice, over all subsets together, and besides by the number of modalities."""
        super().on_validation_epoch_end(val_outputs)
        for size, dice in self.validation_cycle.pseudo_dice(val_outputs).items():
            self.terms.log(f"pseudo_dice/{size}", dice, self.current_epoch)

    def on_epoch_end(self) -> None:
        """Print the pseudo Dice by number of modalities, draw the second figure, then nnU-Net's own."""
        epoch = self.current_epoch
        self.print_to_log_file(
            "Pseudo dice by number of modalities",
            [round(self.history.values[f"pseudo_dice/{n}"][epoch], 4) for n in range(1, len(self.modalities) + 1)],
        )
        for line in self.counts.total.describe():
            self.print_to_log_file(line)
        super().on_epoch_end()
        if self.ranks.is_first and self.cohort is not None:
            self.history.write(self.output_folder)
            self.counts.total.write(self.output_folder, self.cohort.subset_counts())

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """nnU-Net's validation after training, see `nnunet_hetero.training.final_validation`."""
        self.prepare_inputs()
        with predicting_by(partial(predict_loaded, self)):
            super().perform_actual_validation(save_probabilities)

    def stream_to_save(self) -> dict[str, Any]:
        """What a checkpoint keeps of every rank: its random streams, and its part of an unfinished epoch."""
        return {**super().stream_to_save(), "sampler": self.sampler.state_dict(), "tally": self.counts.of_epoch()}

    def load_stream(self, stream: dict[str, Any], same_ranks: bool) -> None:
        """Take up what `stream_to_save` gave."""
        super().load_stream(stream, same_ranks)
        if "sampler" in stream:
            self.sampler.load_state_dict(stream["sampler"])
        if "tally" in stream:
            self.counts.load_epoch(stream["tally"])

    def state_to_save(self) -> dict:
        """What a checkpoint keeps besides nnU-Net's state and the random streams."""
        return {
            "history": self.history.state_dict(),
            "tally": self.counts.total.state_dict(),
            "landmarks": self.landmarks,
            "orientation": self.orientation,
        }

    def load_saved_state(self, state: dict) -> None:
        """Take up what `state_to_save` gave."""
        self.history.load_state_dict(state["history"])
        self.landmarks, self.orientation = state.get("landmarks"), state.get("orientation", UNKNOWN)
        self.counts.total.load_state_dict(state["tally"])
