"""A training that starts from a checkpoint: what it takes over, and what it refuses."""

from __future__ import annotations

import os
from copy import deepcopy
from functools import partial

import pytest
import torch
from helpers.trainers import initialised
from nnunetv2.run.run_training import maybe_load_checkpoint

from nnunet_hetero.cases.orientation import UNKNOWN
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.checkpoints import TRUST_VARIABLE
from nnunet_hetero.training.comparators import HeMISTrainer, ModalityDropoutTrainer, UHeMISTrainer
from nnunet_hetero.training.paper_trainer import UHVEDPaperTrainer
from nnunet_hetero.training.pretrained_weights import other_orientation
from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer


class CreatesFile:
    """What an attacker puts into a checkpoint: loading it runs a command."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


@pytest.fixture
def checkpoint(make_trainer, tmp_path):
    """Function that writes the checkpoint of another training, with changes, and returns its file."""

    def write(channel_names=None, **changes) -> str:
        trainer = initialised(make_trainer(seed=1, results="other"))
        dataset_json = deepcopy(trainer.dataset_json)
        if channel_names:
            dataset_json["channel_names"] = {str(number): name for number, name in enumerate(channel_names)}
        content = {
            "network_weights": trainer.network.state_dict(),
            "trainer_name": "HeteroModalVAETrainer",
            "init_args": {"dataset_json": dataset_json},
            **changes,
        }
        torch.save(content, tmp_path / "weights.pth")
        return str(tmp_path / "weights.pth")

    return write


def start_from(trainer, file: str) -> None:
    """As ``nnUNetv2_train ... -pretrained_weights FILE`` does."""
    maybe_load_checkpoint(trainer, False, False, file)


def test_all_but_the_segmentations_output(make_trainer, checkpoint, capsys):
    file = checkpoint()
    trainer = initialised(make_trainer(seed=9))
    before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
    start_from(trainer, file)
    weights = torch.load(file)["network_weights"]
    assert any("image_decoder.output" in key for key in weights)
    for key, value in trainer.network.state_dict().items():
        assert torch.equal(value, before[key] if ".seg_layers." in key else weights[key]), key
    assert "WARNING" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("trainer", "configuration"),
    [
        (HeteroModalVAETrainer, "3d_fullres"),
        (ModalityDropoutTrainer, "3d_fullres"),
        (UHVEDPaperTrainer, "3d_fullres"),
        (UHeMISTrainer, "3d_fullres"),
        (HeMISTrainer, "2d"),
    ],
)
def test_a_data_set_with_other_labels(make_trainer, tiny_dataset, tmp_path, trainer, configuration):
    make = partial(make_trainer, configuration, trainer=trainer)
    first = initialised(make(seed=1))
    content = {"network_weights": first.network.state_dict(), "trainer_name": trainer.__name__}
    torch.save(content, tmp_path / "weights.pth")
    labels = {"background": 0, **{f"label {number}": number for number in range(1, 6)}}
    dataset_json = {**tiny_dataset.dataset_json, "labels": labels}
    dataset_json.pop("regions_class_order", None)
    second = initialised(make(seed=2, dataset_json=dataset_json))
    start_from(second, str(tmp_path / "weights.pth"))
    one, other = (made.network.state_dict() for made in (first, second))
    assert one.keys() == other.keys()
    assert any(one[key].shape != other[key].shape for key in one)
    assert all(torch.equal(one[key], other[key]) for key in one if "encoders.0" in key)


def test_code_in_it_does_not_run(make_trainer, checkpoint, tmp_path, monkeypatch):
    trap = tmp_path / "trap"
    file = checkpoint(extra=CreatesFile(trap))
    trainer = make_trainer()
    with pytest.raises(SettingsError, match=r"weights\.pth wants to load .*system.*--trust_checkpoint"):
        start_from(trainer, file)
    assert not trap.exists()
    monkeypatch.setenv(TRUST_VARIABLE, "1")
    start_from(trainer, file)
    assert trap.exists()


def test_modalities_in_another_order_are_refused(make_trainer, checkpoint):
    trainer = make_trainer()
    names = list(trainer.modalities.names)
    with pytest.raises(SettingsError, match=f"on the modalities {', '.join(names[::-1])}, in this order"):
        start_from(trainer, checkpoint(names[::-1]))


def test_other_names_are_pointed_out(make_trainer, checkpoint, capsys):
    trainer = make_trainer()
    first, *others = trainer.modalities.names
    start_from(trainer, checkpoint([first.lower(), "CT", *others[1:]]))
    printed = capsys.readouterr().out
    assert f"start from another: {others[0]} from CT." in printed and f"{first} from" not in printed


def test_a_checkpoint_that_does_not_say(make_trainer, checkpoint, capsys):
    start_from(make_trainer(), checkpoint(init_args={}))
    assert "does not say on which modalities" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network_weights": None}, "has no 'network_weights'"),
        ({"network_weights": {}}, "of another network: for .* it has no such weights"),
        ({"network_weights": 5}, "has no 'network_weights'"),
    ],
)
def test_no_weights(make_trainer, checkpoint, changes, message):
    with pytest.raises(SettingsError, match=message):
        start_from(make_trainer(), checkpoint(**changes))


def test_weights_of_another_shape(make_trainer, checkpoint):
    with pytest.raises(SettingsError, match=r"of another network: for .* it has the shape \(.*expected \("):
        start_from(make_trainer(latent_width=1.0), checkpoint())


def test_plans_that_name_code_are_refused_before_anything_is_built(make_trainer, tiny_dataset, monkeypatch):
    plans = tiny_dataset.plans
    plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["norm_op"] = "module_of_the_user.Norm"
    monkeypatch.setattr(type(tiny_dataset), "plans", property(lambda _: plans))
    with pytest.raises(SettingsError, match=r"'module_of_the_user\.Norm' as norm_op"):
        make_trainer()


@pytest.mark.parametrize(
    ("before", "now", "warned"),
    [("RAS", "LPS", True), ("LPS", "LPS", False), (None, "LPS", False), ("RAS", None, False)],
)
def test_another_orientation_is_pointed_out(make_trainer, checkpoint, before, now, warned):
    trainer = make_trainer()
    start_from(trainer, checkpoint(hetero_modal={"orientation": before}))
    words = other_orientation(trainer.network, now)
    assert ("in the orientation RAS, and these have LPS" in words) is warned


@pytest.mark.parametrize("ours", [{}, {"orientation": UNKNOWN}, None])
def test_a_checkpoint_without_an_orientation(make_trainer, checkpoint, ours):
    trainer = make_trainer()
    start_from(trainer, checkpoint(hetero_modal=ours))
    assert other_orientation(trainer.network, "LPS") == ""


def test_a_training_says_so_when_it_begins(make_trainer, checkpoint, capsys):
    """The images of the tiny data set are LPS."""
    trainer = make_trainer(num_epochs=1)
    start_from(trainer, checkpoint(hetero_modal={"orientation": "RAS"}))
    trainer.on_train_start()
    printed = capsys.readouterr().out.replace("\n", " ")
    assert "WARNING: the weights that it starts from were trained on images in the orientation RAS" in printed
