"""Whose settings count: those of the plans, else the trainer's, else the package's; and what they do to a training."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_dataset import threads_for_processes
from helpers.tiny_network import masks

from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.training.comparators import HeMISTrainer, MVAESamplingTrainer, SubsetTrainer, UHeMISTrainer
from nnunet_hetero.training.optimization.schedule import PlateauReachedError, StepDecay, require_progress
from nnunet_hetero.training.paper_trainer import UHVEDPaperTrainer
from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer

ALL = (0, 1, 2, 3)


def planned(trainer) -> dict:
    """The trained configuration as it goes beside the weights."""
    return trainer.plans_manager.plans["configurations"][trainer.configuration_name]


class TestPatch:
    @pytest.mark.parametrize(("size", "fits"), [(4, False), (8, True)])
    def test_a_deepest_level_of_one_voxel_is_refused_on_every_device(self, make_trainer, size, fits):
        """The tiny plan halves twice; on a CPU such a training would run, on a GPU instance norm raises."""
        if fits:
            make_trainer(patch_size=size)
        else:
            with pytest.raises(SettingsError, match="single voxel at the deepest of the plan's 3 levels"):
                make_trainer(patch_size=size)


class TestPrecedence:
    def test_the_paper_as_published(self, make_trainer, tiny_dataset):
        """What the plans do not say: the tiny ones say how many epochs and steps, and no more."""
        trainer = make_trainer(trainer=UHVEDPaperTrainer)
        trainer.initialize()
        assert (trainer.batch_size, list(trainer.configuration_manager.patch_size)) == (1, [112] * 3)
        assert planned(trainer)["patch_size"] == [112] * 3 and planned(trainer)["batch_size"] == 1
        assert isinstance(trainer.optimizer, torch.optim.Adam)
        group = trainer.optimizer.param_groups[0]
        assert (group["lr"], group["weight_decay"]) == (1e-3, 1e-5)
        assert (
            UHVEDPaperTrainer.default_settings()["num_epochs"] * trainer.default_settings()["num_iterations_per_epoch"]
            == 60_000
        )
        assert trainer.hetero.histogram_standardisation
        assert (trainer.network.kl_average, trainer.hetero.kl_weight) == ("levels", 0.1)
        assert not trainer.enable_deep_supervision
        rotation, _, _, mirror = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        assert rotation == pytest.approx((-0.1745, 0.1745), abs=1e-4)
        assert mirror == (0, 1, 2)

    def test_the_plans_go_before_the_trainer(self, make_trainer):
        trainer = make_trainer(
            trainer=UHVEDPaperTrainer, patch_size="plan", batch_size=3, optimizer="AdamW", initial_lr=0.5
        )
        trainer.initialize()
        assert (trainer.batch_size, list(trainer.configuration_manager.patch_size)) == (3, [16] * 3)
        assert isinstance(trainer.optimizer, torch.optim.AdamW)
        assert trainer.optimizer.param_groups[0]["lr"] == 0.5
        assert planned(trainer)[KEY]["lr_schedule"] == "step"

    def test_other_trainers_keep_the_plan(self, make_trainer):
        trainer = make_trainer()
        assert planned(trainer)["patch_size"] == [16] * 3 and planned(trainer)["batch_size"] == 2
        assert planned(trainer)[KEY]["patch_size"] == "plan"

    @pytest.mark.parametrize(
        ("size", "message"), [([16, 16], "has 3 axes"), (18, r"multiple of \[4, 4, 4\]"), ([16, 16, 6], "multiple")]
    )
    def test_patches_that_do_not_fit(self, make_trainer, size, message):
        with pytest.raises(SettingsError, match=message):
            make_trainer(patch_size=size)

    def test_a_patch_that_fits(self, make_trainer):
        assert planned(make_trainer(patch_size=[8, 16, 24]))["patch_size"] == [8, 16, 24]


class TestLearningRateBySteps:
    def test_divided_by_four_every_ten_thousand(self):
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], 1e-3)
        schedule = StepDecay(optimizer, 1e-3, 250, 10_000, 4)
        rates = []
        for epoch in (0, 39, 40, 79, 80, 239):
            schedule.step(epoch)
            rates.append(optimizer.param_groups[0]["lr"])
        assert rates == pytest.approx([1e-3, 1e-3, 1e-3 / 4, 1e-3 / 4, 1e-3 / 16, 1e-3 / 4**5])


class TestEarlyStopping:
    @pytest.mark.parametrize(
        ("values", "patience", "ends"),
        [
            ([], 1, False),
            ([0.1, 0.3, 0.2, 0.25], 3, False),
            ([0.1, 0.3, 0.2, 0.25], 2, True),
            ([0.1, 0.3, 0.2, 0.25], None, False),
            ([float("nan")] * 3, 2, True),
        ],
    )
    def test_rule(self, values, patience, ends):
        if ends:
            with pytest.raises(PlateauReachedError, match=f"after {len(values)} epochs"):
                require_progress(values, patience)
        else:
            require_progress(values, patience)

    @pytest.mark.usefixtures("no_figures")
    def test_training_ends_with_its_final_checkpoint_and_is_not_taken_up_again(self, make_trainer, monkeypatch):
        threads_for_processes(monkeypatch)
        settings = {"num_epochs": 9, "num_iterations_per_epoch": 1, "num_val_iterations_per_epoch": 1}
        trainer = make_trainer(trainer=UHeMISTrainer, early_stopping_epochs=2, **settings)
        curve = iter([0.5, 0.4, 0.3, 0.2])
        ended = trainer.on_validation_epoch_end

        def falling(outputs):
            ended(outputs)
            trainer.logger.local_logger.my_fantastic_logging["ema_fg_dice"][-1] = next(curve)

        monkeypatch.setattr(trainer, "on_validation_epoch_end", falling)
        trainer.run_training()
        final = f"{trainer.output_folder}/checkpoint_final.pth"
        assert torch.load(final, weights_only=False)["current_epoch"] == 3
        resumed = make_trainer(trainer=UHeMISTrainer, resume=True, early_stopping_epochs=2, **settings)
        resumed.load_checkpoint(final)
        resumed.run_training()
        assert torch.load(final, weights_only=False)["current_epoch"] == 3


class TestOneSubset:
    def test_names_become_channels(self, make_trainer):
        trainer = make_trainer(trainer=SubsetTrainer, subset="FLAIR+t1")
        assert planned(trainer)[KEY]["subset"] == [0, 3]
        drawn = trainer.draw_subsets(masks(ALL, (0, 1)))
        assert torch.equal(drawn, masks((0, 3), (0,)))

    def test_without_a_subset(self, make_trainer):
        with pytest.raises(SettingsError, match=r"SubsetTrainer trains on one subset .*plan-subsets"):
            make_trainer(trainer=SubsetTrainer)

    def test_a_subset_for_another_trainer(self, make_trainer):
        with pytest.raises(SettingsError, match=r"for one subset .* but HeteroModalVAETrainer draws"):
            make_trainer(trainer=HeteroModalVAETrainer, subset="T1")

    def test_unknown_modality(self, make_trainer):
        with pytest.raises(SettingsError, match=r"Unknown modality 'CT'"):
            make_trainer(trainer=SubsetTrainer, subset=["T1", "CT"])


def test_sampling_of_wu_and_goodman(make_trainer):
    """All, each single modality, two draws; a sample that lacks the single is shown with all that it has."""
    trainer = make_trainer(trainer=MVAESamplingTrainer, random_subsets=2, alpha={"T1": 1})
    drawn = trainer.draw_subsets(masks(ALL, (0, 2)))
    expected = [(ALL, (0, 2)), ((0,), (0,)), ((1,), (0, 2)), ((2,), (2,)), ((3,), (0, 2)), ((0,), (0,)), ((0,), (0,))]
    assert torch.equal(drawn, torch.stack([masks(*pair) for pair in expected]))


def test_hemis_refuses_3d(make_trainer):
    with pytest.raises(SettingsError, match="HeMIS is a 2D network"):
        make_trainer(trainer=HeMISTrainer).initialize()
