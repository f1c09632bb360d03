"""Whole trainings on a dataset of which a case has no segmentation, from the raw cohort on."""

from __future__ import annotations

import dataclasses
import json
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.tiny_dataset import DATASET, SHORT, new_dataset, plan_and_preprocess
from helpers.tiny_network import masks
from helpers.trainers import batch_for, initialised
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

from nnunet_hetero.config import KEY
from nnunet_hetero.dataset_conversion.brats import convert_brats
from nnunet_hetero.dataset_conversion.phantom import write_cohort
from nnunet_hetero.training.comparators import ModalityDropoutTrainer
from nnunet_hetero.training.data.unlabelled import LossOfLabelled
from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Five phantoms, the first without a segmentation; fold 0 validates on the last two. And the first one's name."""
    root = tmp_path_factory.mktemp("unlabelled")
    with pytest.MonkeyPatch.context() as monkeypatch:
        found = new_dataset(root, monkeypatch)
        cases = write_cohort(root / "cohort", cases=5, size=24, progress=False)
        (root / "cohort" / cases[0] / f"{cases[0]}_seg.nii.gz").unlink()
        convert_brats(root / "cohort", 501, unlabelled="train", processes=1, progress=False)
        plan_and_preprocess(found, cases[:3], cases[3:], monkeypatch)
    return found, cases[0]


@pytest.fixture
def make(dataset, tmp_path, monkeypatch, no_figures):
    def make(trainer, **settings):
        found, _ = dataset
        found.use(monkeypatch, tmp_path / "results")
        plans = found.plans
        plans["configurations"]["3d_fullres"][KEY] = {**SHORT, **deepcopy(settings)}
        plans["continue_training"] = False
        return trainer(plans, "3d_fullres", 0, found.dataset_json, torch.device("cpu"))

    return make


def test_a_training_with_its_validation(make, dataset, tmp_path):
    # So many steps that each epoch sees a case with a segmentation.
    settings = {"unlabelled_share": 0.6, "completion_first": 0.5, "distil_unlabelled_after": 0.2}
    trainer = make(HeteroModalVAETrainer, num_iterations_per_epoch=12, **settings)
    trainer.run_training()
    trainer.perform_actual_validation()
    folder = tmp_path / "results" / DATASET / "HeteroModalVAETrainer__nnUNetPlans__3d_fullres" / "fold_0"
    series = json.loads((folder / "progress_hetero.json").read_text())
    assert all(np.isfinite(list(series[f"loss/{name}"].values())).all() for name in ("segmentation", "reconstruction"))
    assert series["loss/segmentation"]["0"] == 0 and series["loss/segmentation"]["1"] != 0
    log = "\n".join(file.read_text() for file in folder.glob("training_log_*.txt"))
    assert "1 of 3 training cases have no segmentation." in log and "from epoch 1 on for the segmentation" in log
    summary = json.loads((folder / "validation" / "summary.json").read_text())
    assert len(summary["metric_per_case"]) == 2 and np.isfinite(summary["foreground_mean"]["Dice"])


def test_its_images_are_normalised_as_those_of_any_case(make, dataset):
    """Without the zeros around them, which are zeros afterwards as well."""
    trainer = initialised(make(HeteroModalVAETrainer))
    trainer.prepare_inputs()
    training, _ = trainer.get_tr_and_val_datasets()
    for case in training.identifiers:
        data, segmentation, _, _ = training.load_case(case)
        outside = np.asarray(segmentation[0]) == -1
        images = np.asarray(data[:])
        assert 0.1 < outside.mean() < 0.9 and not images[:, outside].any()
        for image in images[:, ~outside]:
            assert not image.any() or image.std() == pytest.approx(1, abs=0.15)


def test_a_share_of_nothing_leaves_them_out(make, dataset):
    trainer = initialised(make(HeteroModalVAETrainer, unlabelled_share=0))
    trainer.prepare_inputs()
    training, _ = trainer.get_tr_and_val_datasets()
    assert dataset[1] not in training.identifiers and len(training.identifiers) == 2


def test_what_is_set_for_them_where_there_are_none(make_trainer, capsys):
    for share, named in ((0.5, 2), (0, 1), (None, 1)):
        trainer = make_trainer(unlabelled_share=share, distil_unlabelled_after=0.0)
        trainer.prepare_inputs()
        trainer.get_tr_and_val_datasets()
        printed = capsys.readouterr().out
        assert printed.count("and every case that is trained on has a segmentation: it changes nothing") == named
        assert f"WARNING: {KEY}.distil_unlabelled_after is 0.0, and" in printed


def test_a_batch_without_any_segmentation(make, dataset):
    """It has no part in the segmentation's loss but for what the network is taught by itself."""
    trainer = initialised(make(HeteroModalVAETrainer, single_modality_weight=0.5))
    trainer.prepare_inputs()
    training, _ = trainer.get_tr_and_val_datasets()
    assert dataset[1] in training.identifiers
    training.sampling_probabilities = [float(case == dataset[1]) for case in training.identifiers]
    trainer.get_tr_and_val_datasets = lambda: (training, training)
    batch = next(trainer.get_dataloaders()[0])
    assert set(batch["keys"]) == {dataset[1]}
    # Around voxels of the images, not of the air outside.
    assert (batch["data"] != 0).flatten(1).any(dim=1).all()
    terms = trainer.train_step(batch)
    assert terms["loss"] == terms["single"] == 0 and np.isfinite(terms["total"]) and terms["reconstruction"] > 0
    trainer.hetero = dataclasses.replace(trainer.hetero, distil_unlabelled_after=0.0)
    terms = trainer.train_step(batch)
    assert terms["loss"] > 0 and terms["single"] == 0 and np.isfinite(terms["total"])


def test_single_modalities_are_shown_of_cases_with_a_segmentation(make):
    trainer = initialised(make(HeteroModalVAETrainer))
    trainer.prepare_inputs()
    trainer.get_tr_and_val_datasets()
    present, seen = masks((0, 1, 2, 3), (0, 1)), []
    batch = batch_for(trainer, present)
    trainer.network.register_forward_pre_hook(lambda _, __, kwargs: seen.append(kwargs["single"]), with_kwargs=True)
    trainer.loss.count([1])
    _, terms = trainer.losses(batch["data"], batch["target"], present, masks((0, 1, 2, 3), (1,)))
    assert torch.equal(seen[0], masks((), (1,))) and terms["single"] != 0


def test_ranks_that_make_one_dice_give_as_many_samples_each(monkeypatch):
    """nnU-Net gathers the sums of every rank's samples; with other numbers of them the ranks would wait for good."""
    gathered = []

    def gather(sums):
        gathered.append(len(sums))
        return sums[None]

    monkeypatch.setattr("nnunetv2.training.loss.dice.AllGatherGrad", SimpleNamespace(apply=gather))
    dice = {"batch_dice": True, "do_bg": True, "smooth": 1e-5, "ddp": True}
    theirs = DC_and_BCE_loss({}, dice, use_ignore_label=True, dice_class=MemoryEfficientSoftDiceLoss)
    logits, target = torch.randn(2, 3, 4, 4, 4), torch.randint(2, (2, 4, 4, 4, 4)).float()
    target[:, 3] = 0
    target[0, 3] = 1  # the first sample is ignored throughout
    loss = LossOfLabelled(theirs)
    for rows in ([1], []):
        loss.count(rows)
        loss(logits, target)
        assert list(loss.candidates(2)) == [0, 1]
    assert gathered == [2] * 6
    loss.count([1])
    alone = DC_and_BCE_loss({}, {**dice, "ddp": False}, use_ignore_label=True, dice_class=MemoryEfficientSoftDiceLoss)
    torch.testing.assert_close(loss(logits, target), alone(logits[1:], target[1:]))


def test_a_trainer_of_segmentations_alone_leaves_the_case_out(make, dataset):
    trainer = initialised(make(ModalityDropoutTrainer))
    trainer.prepare_inputs()
    training, validation = trainer.get_tr_and_val_datasets()
    assert len(training.identifiers) == 2 and dataset[1] not in training.identifiers
    assert len(validation.identifiers) == 2
