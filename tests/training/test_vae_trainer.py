"""The trainer on a tiny dataset: its steps, its settings, and whole short trainings."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from helpers.tiny_dataset import DATASET, threads_for_processes
from helpers.tiny_network import masks
from helpers.trainers import assert_same_state, batch_for, initialised, load, spy
from nnunetv2.run.run_training import maybe_load_checkpoint, run_training

from nnunet_hetero.config import KEY, HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.fusion import kl_to_standard_normal
from nnunet_hetero.training.optimization.losses import masked_l2

FULL = "T1+T1c+T2+FLAIR"


@pytest.fixture(scope="module")
def trained(tiny_dataset, tmp_path_factory):
    """Folder of a training and its validation, by the function behind nnUNetv2_train, with ``--npz``."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny_dataset.use(monkeypatch, results)
        threads_for_processes(monkeypatch)
        run_training(
            "501",
            "3d_fullres",
            "0",
            "HeteroModalVAETrainer",
            export_validation_probabilities=True,
            device=torch.device("cpu"),
        )
    return results / DATASET / "HeteroModalVAETrainer__nnUNetPlans__3d_fullres" / "fold_0"


class TestWholeTraining:
    def test_files(self, trained):
        assert (trained / "progress.png").stat().st_size > 0
        assert (trained / "progress_hetero.png").stat().st_size > 0
        assert {file.name for file in trained.glob("checkpoint*")} == {"checkpoint_final.pth", "checkpoint_best.pth"}
        assert {file.name for file in trained.parent.glob("*.json")} == {
            "plans.json",
            "dataset.json",
            "dataset_fingerprint.json",
        }

    def test_every_setting_travels_with_the_model(self, trained):
        """Also those at their default: a later version with other defaults must build the same network."""
        plans = json.loads((trained.parent / "plans.json").read_text())
        written = plans["configurations"]["3d_fullres"][KEY]
        assert written.keys() == {entry.name for entry in dataclasses.fields(HeteroModalConfig)}
        assert written["image_decoder_width"] == HeteroModalConfig().image_decoder_width
        assert HeteroModalConfig.from_dict(written).num_epochs == 2

    def test_progress(self, trained):
        progress = json.loads((trained / "progress_hetero.json").read_text())
        for term in ("segmentation", "reconstruction", "kl", "single", "total"):
            assert list(progress[f"loss/{term}"]) == ["0", "1"]
            assert all(math.isfinite(value) for value in progress[f"loss/{term}"].values())
        assert all(list(progress[f"pseudo_dice/{size}"]) == ["0", "1"] for size in (1, 2, 3, 4))
        assert progress["train_losses"] == pytest.approx(progress["loss/segmentation"])

    def test_checkpoint(self, trained):
        checkpoint = load(trained / "checkpoint_final.pth")
        assert checkpoint["trainer_name"] == "HeteroModalVAETrainer"
        assert checkpoint["current_epoch"] == 2
        assert checkpoint["hetero_modal"]["history"].keys() >= {"loss/kl", "pseudo_dice/4"}
        assert all(torch.isfinite(value).all() for value in checkpoint["network_weights"].values())

    def test_validation(self, trained, tiny_dataset):
        folder = trained / "validation"
        assert {file.name for file in folder.iterdir()} == {
            "summary.json",
            *(f"{case}{ending}" for case in tiny_dataset.validation_cases for ending in (".nii.gz", ".npz", ".pkl")),
        }
        summary = json.loads((folder / "summary.json").read_text())
        assert len(summary["metric_per_case"]) == 2
        assert summary["foreground_mean"]["TP"] + summary["foreground_mean"]["FN"] > 0

    def test_pretrained_weights(self, trained, make_trainer):
        trainer = initialised(make_trainer(seed=9))
        before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
        maybe_load_checkpoint(trainer, False, False, str(trained / "checkpoint_final.pth"))
        weights = load(trained / "checkpoint_final.pth")["network_weights"]
        for key, value in trainer.network.state_dict().items():
            assert torch.equal(value, before[key] if ".seg_layers." in key else weights[key]), key

    def test_training_is_over_when_continued(self, trained, make_trainer):
        trainer = make_trainer(resume=True)
        trainer.load_checkpoint(str(trained / "checkpoint_final.pth"))
        assert trainer.current_epoch == trainer.num_epochs
        assert trainer.history.values["loss/kl"].keys() == {0, 1}

    def test_one_that_began_without_single_modalities_goes_on_without(self, trained, make_trainer, tmp_path):
        """As trainings of an earlier version did; also when it is continued a second time."""
        checkpoint = load(trained / "checkpoint_final.pth")
        del checkpoint["init_args"]["plans"]["configurations"]["3d_fullres"][KEY]["single_modality_weight"]
        torch.save(checkpoint, tmp_path / "earlier.pth")
        file = tmp_path / "earlier.pth"
        for again in ("first.pth", "second.pth"):
            trainer = make_trainer(resume=True)
            assert trainer.hetero.single_modality_weight == 0.5
            trainer.load_checkpoint(str(file))
            assert not trainer.segmenting_singles
            file = tmp_path / again
            trainer.save_checkpoint(str(file))
            plans = trainer.plans_manager.plans["configurations"]["3d_fullres"]
            assert plans[KEY]["single_modality_weight"] == 0

    @pytest.mark.usefixtures("no_figures")
    @pytest.mark.parametrize(("configuration", "fold"), [("2d", 0), ("3d_fullres", "all")])
    def test_other_configurations(self, make_trainer, configuration, fold, tmp_path):
        trainer = make_trainer(configuration, fold, num_epochs=1)
        trainer.run_training()
        folder = f"HeteroModalVAETrainer__nnUNetPlans__{configuration}/fold_{fold}"
        checkpoint = load(tmp_path / "results" / DATASET / folder / "checkpoint_final.pth")
        assert math.isfinite(checkpoint["hetero_modal"]["history"]["loss/total"][0])


class TestSettings:
    def test_network_follows_the_plan(self, make_trainer):
        network = initialised(make_trainer(image_decoders=False, latent_width=1.0)).network
        assert network.channels == [4, 8, 8]
        assert network.image_decoder is None


class TestTrainStep:
    @pytest.mark.parametrize(
        ("settings", "weights"),
        [
            ({}, (0.03, 0.1)),
            ({"kl_weight": 2.0, "reconstruction_weight": 0.5}, (2.0, 0.5)),
            ({"kl_weight": 0, "reconstruction_weight": 0}, (0, 0)),
            ({"kl_average": "levels", "kl_weight": 0.1}, (0.1, 0.1)),
        ],
    )
    @pytest.mark.parametrize("alpha", [{FULL: 1}, {"T1": 1}])
    def test_loss(self, make_trainer, settings, weights, alpha):
        """nnU-Net's loss, KL of what was drawn, L2 inside the brain over all that the case has."""
        trainer = initialised(make_trainer(alpha=alpha, **settings, single_modality_weight=0))
        present = masks((0, 1, 2, 3), (0, 3))
        drawn = present if FULL in alpha else masks((0,), (0,))
        batch = batch_for(trainer, present)
        torch.manual_seed(1)
        output = trainer.network(batch["data"], drawn, full=True)
        expected = {
            "loss": trainer.loss(output.segmentation, batch["target"]).item(),
            "kl": kl_to_standard_normal(output.posterior, trainer.hetero.kl_average).item(),
            "reconstruction": masked_l2(output.completion[..., 5:], batch["data"][..., 5:], present).item(),
        }
        expected["total"] = expected["loss"] + weights[0] * expected["kl"] + weights[1] * expected["reconstruction"]
        torch.manual_seed(1)
        found = trainer.train_step(batch)
        assert {name: float(value) for name, value in found.items()} == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("share", [0.5, 1.0])
    def test_loss_with_single_modalities(self, make_trainer, share):
        """Both segmentations together weigh what one weighs by itself."""
        trainer = initialised(make_trainer(single_modality_weight=0.25, single_modality_share=share))
        batch = batch_for(trainer, masks((0, 1, 2, 3), (0, 3)))
        present = trainer.modalities_of(batch)
        drawn = trainer.draw_subsets(present)
        before = trainer.sampler.state_dict()
        torch.manual_seed(1)
        optimised, terms = trainer.losses(batch["data"], batch["target"], present, drawn)
        trainer.sampler.load_state_dict(before)
        singles = torch.from_numpy(trainer.sampler.draw_singles(drawn.numpy(), range(2), share))
        torch.manual_seed(1)
        output = trainer.network(batch["data"], drawn, full=True, single=singles)
        rows = list(output.single.samples.numbers)
        assert len(rows) == 2 * share
        expected = trainer.loss(output.single.segmentation, [batch["target"][1][rows]])
        assert terms["single"].item() == pytest.approx(expected.item())
        images = len(trainer.modalities) * terms["reconstruction"]
        mean = (terms["loss"] + 0.25 * terms["single"]) / 1.25
        assert optimised.item() == pytest.approx((mean + 0.03 * terms["kl"] + images).item(), rel=1e-5)
        total = terms["loss"] + 0.03 * terms["kl"] + 0.1 * terms["reconstruction"]
        assert terms["total"].item() == pytest.approx(total.item(), rel=1e-5)

    def test_without_deep_supervision_single_modalities_are_refused(self, make_trainer):
        trainer = make_trainer(single_modality_weight=0.5)
        trainer.enable_deep_supervision = False
        with pytest.raises(SettingsError, match=r"single_modality_weight is 0\.5, which HeteroModalVAETrainer cannot"):
            trainer.initialize()

    @pytest.mark.parametrize("settings", [{"single_modality_weight": 0}, {"completion_first": 0.9}])
    def test_no_single_modalities(self, make_trainer, settings):
        trainer = initialised(make_trainer(**{"single_modality_weight": 0.5, **settings}))
        assert "single" not in trainer.train_step(batch_for(trainer, masks((0, 1, 2, 3), (0, 3))))

    def test_every_part_learns(self, make_trainer):
        trainer = initialised(make_trainer(alpha={"T1+FLAIR": 1}))
        before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
        trainer.train_step(batch_for(trainer, masks((0, 1, 2, 3), (0, 1, 2, 3))))
        after = trainer.network.state_dict()
        moved = {".".join(key.split(".")[:2]) for key in after if not torch.equal(before[key], after[key])}
        decoders = ("decoder", "image_decoder")
        parts = {f"{decoder}.{part}" for decoder in decoders for part in ("stages", "transpconvs")}
        parts |= {"decoder.seg_layers", "image_decoder.output", "encoders.0", "encoders.3"}
        assert moved == parts

    def test_gradients_are_clipped_as_in_nnunet(self, make_trainer):
        trainer = initialised(make_trainer(kl_weight=1e6))
        trainer.train_step(batch_for(trainer, masks((0, 1, 2, 3), (0, 1, 2, 3))))
        gradients = [p.grad for p in trainer.network.parameters() if p.grad is not None]
        assert torch.stack([gradient.norm() for gradient in gradients]).norm().item() == pytest.approx(12, rel=1e-3)

    def test_scaled_loss_of_mixed_precision(self, make_trainer):
        """With nnU-Net's gradient scaler the step is the same, and a step with infinite gradients is left out."""
        weights = []
        for scaled in (False, True):
            trainer = initialised(make_trainer(seed=0, kl_weight=1e3))
            trainer.grad_scaler = torch.amp.GradScaler("cpu") if scaled else None
            batch = batch_for(trainer, masks((0, 1, 2, 3), (0, 1, 2, 3)))
            torch.manual_seed(0)
            trainer.train_step(batch)
            weights.append({key: value.clone() for key, value in trainer.network.state_dict().items()})
        torch.testing.assert_close(*weights)
        batch["data"][0, 0, 0, 0, 0] = math.inf
        trainer.train_step(batch)
        assert_same_state(dict(trainer.network.state_dict()), weights[1])

    def test_without_image_decoders(self, make_trainer):
        trainer = initialised(make_trainer(image_decoders=False))
        found = trainer.train_step(batch_for(trainer, masks((0, 1, 2, 3), (0, 1, 2, 3))))
        assert found["reconstruction"] == 0
        assert found["total"] == pytest.approx(found["loss"] + trainer.hetero.kl_weight * found["kl"])

    def test_draws_within_what_each_sample_has(self, make_trainer):
        trainer = initialised(make_trainer(seed=0))
        seen = spy(trainer.network)
        present = masks((0, 2, 3), (1,))
        for _ in range(12):
            trainer.train_step(batch_for(trainer, present))
        drawn = torch.stack(seen)
        assert not (drawn & ~present).any()
        assert drawn.any(dim=2).all()
        assert len(drawn[:, 0].unique(dim=0)) > 3

    def test_patch_with_nothing_in_it(self, make_trainer):
        trainer = initialised(make_trainer())
        found = trainer.train_step(batch_for(trainer, masks((), ())))
        assert math.isfinite(found["total"])
        assert all(torch.isfinite(value).all() for value in trainer.network.state_dict().values())


LABELS = {
    "labels": ({"background": 0, "a": 1, "b": 2, "c": 3}, None),
    "regions": ({"background": 0, "whole": [1, 2, 3], "core": [2, 3], "rim": [3]}, [1, 2, 3]),
    "labels, ignore": ({"background": 0, "a": 1, "b": 2, "ignore": 3}, None),
    "regions, ignore": ({"background": 0, "whole": [1, 2], "core": [2], "ignore": 3}, [1, 2]),
}


class TestLabels:
    @pytest.mark.parametrize(("labels", "order"), LABELS.values(), ids=LABELS)
    def test_step_and_validation(self, make_trainer, tiny_dataset, labels, order):
        dataset_json = {**tiny_dataset.dataset_json, "labels": labels}
        dataset_json.pop("regions_class_order")
        if order:
            dataset_json["regions_class_order"] = order
        trainer = initialised(make_trainer(dataset_json=dataset_json))
        batch = batch_for(trainer, masks((0, 1, 2, 3), (0, 3)))
        assert all(math.isfinite(value) for value in trainer.train_step(batch).values())
        trainer.on_validation_epoch_start()
        with torch.no_grad():
            found = trainer.validation_step(batch_for(trainer, masks((0, 1, 2, 3), (0, 3))))
        assert math.isfinite(found["loss"])
        voxels = np.stack(
            [np.random.default_rng(row).integers(0, 4, (1, 16, 16, 16), dtype=np.int16) for row in (0, 1)]
        )
        classes = [values for name, values in labels.items() if name not in ("background", "ignore")]
        # Ignored voxels count for no class, neither as hit nor as miss.
        expected = [np.isin(voxels, values).sum() for values in classes]
        assert (found["tp_hard"] + found["fn_hard"]).tolist() == expected
        assert (found["tp_hard"] + found["fp_hard"]).sum() <= len(classes) * (
            voxels.size - ("ignore" in labels) * (voxels == 3).sum()
        )


class TestWhatIsOptimised:
    """The gradient of one step, part by part, against the objective written out by hand."""

    @pytest.mark.parametrize(
        "weights",
        [
            {},
            {"single_modality_weight": 0},
            {"reconstruction_weight": 0.7, "kl_weight": 0.4, "single_modality_weight": 2},
        ],
    )
    def test_every_part_follows_its_own_loss(self, make_trainer, weights):
        trainer = initialised(make_trainer(seed=4, optimizer="SGD", **weights))
        network, config = trainer.network, trainer.hetero
        present, drawn = masks((0, 1, 2, 3), (0, 1, 3)), masks((0, 3), (1,))
        batch = batch_for(trainer, present)
        data, target = batch["data"], batch["target"]
        before = trainer.sampler.state_dict()
        singles = torch.from_numpy(trainer.sampler.draw_singles(drawn.numpy(), range(2), config.single_modality_share))
        trainer.sampler.load_state_dict(before)

        def gradients(objective) -> dict[str, torch.Tensor]:
            network.zero_grad(set_to_none=True)
            torch.manual_seed(7)  # the same draw of the latents
            objective().backward()
            return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}

        optimised = gradients(lambda: trainer.losses(data, target, present, drawn)[0])

        def parts():
            output = network(data, drawn, full=True, single=singles if config.single_modality_weight else None)
            segmentation, share = trainer.loss(output.segmentation, target), 1 / (1 + config.single_modality_weight)
            if output.single is not None:
                samples, levels = output.single
                alone = trainer.loss(levels, [target[1][list(samples.numbers)]])
                segmentation = share * segmentation + (1 - share) * alone
            where = ((data != 0) & present[..., None, None, None]).any(1, keepdim=True)
            errors = (output.completion - data).square() * where
            mean = errors.flatten(2).sum(2) / where.flatten(2).sum(2)
            return segmentation, output.kl, (mean * present).sum() / present.sum()

        network.completion_gradient = 1.0  # by hand the latents get the gradient of their own objective

        def of_the_latents():
            segmentation, kl, images = parts()
            return segmentation + config.kl_weight * kl + config.reconstruction_weight * images

        latents = gradients(of_the_latents)
        images = gradients(lambda: 4 * parts()[2])  # each of the M images' own loss in full
        segmentation = gradients(lambda: parts()[0])
        expected = {"encoders": latents, "decoder": segmentation, "image_decoder": images}
        assert {name.split(".")[0] for name in optimised} == set(expected)
        for name, gradient in optimised.items():
            torch.testing.assert_close(gradient, expected[name.split(".")[0]][name], rtol=1e-3, atol=1e-6, msg=name)
        assert all(optimised[f"encoders.{channel}.heads.0.weight"].abs().max() > 0 for channel in (0, 1, 3))
