"""What a checkpoint must hold."""

from __future__ import annotations

import pytest
import torch

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.model.checkpoint_content import TrainedFold

CONTENT = {
    "network_weights": {"a": torch.zeros(1)},
    "trainer_name": "HeteroModalVAETrainer",
    "init_args": {"plans": {}, "configuration": "3d_fullres", "dataset_json": {}, "fold": 0},
    "inference_allowed_mirroring_axes": (0, 1),
    "hetero_modal": {"intensity": {"T1": {"mean": 1.0, "sd": 2.0, "cases": 3}}, "landmarks": None},
    "optimizer_state": None,
}


def test_right_content():
    fold = TrainedFold.of(CONTENT, "x.pth")
    assert fold.mirroring_axes == (0, 1) and fold.intensity["T1"]["sd"] == 2.0 and fold.landmarks is None


def test_checkpoints_without_our_part():
    content = {key: CONTENT[key] for key in ("network_weights", "trainer_name", "init_args")}
    fold = TrainedFold.of(content, "x.pth")
    assert (fold.mirroring_axes, fold.intensity, fold.landmarks) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network_weights": [1]}, "'network_weights' is a list, not an object"),
        ({"network_weights": {"a": "b"}}, "'network_weights.a' is 'b'"),
        ({"network_weights": {"a": torch.tensor([0, float("nan")])}}, "the weights a are not all finite"),
        ({"trainer_name": None}, "'trainer_name' is null, not a text"),
        ({"init_args": "3d_fullres"}, "'init_args' is '3d_fullres', not an object"),
        ({"init_args": {"configuration": "3d_fullres", "dataset_json": {}}}, "'init_args.plans' is missing"),
        ({"inference_allowed_mirroring_axes": "xyz"}, "'inference_allowed_mirroring_axes' is 'xyz'"),
        ({"hetero_modal": 5}, "'hetero_modal' is 5, not an object"),
        ({"hetero_modal": {"intensity": {"T1": 5}}}, "'hetero_modal.intensity.T1' is 5, not an object"),
        ({"hetero_modal": {"intensity": {"T1": {"mean": 1.0}}}}, "'hetero_modal.intensity.T1.sd' is missing"),
        ({"hetero_modal": {"landmarks": {"T1": ["a"]}}}, "'hetero_modal.landmarks.T1[0]' is 'a', not a number"),
    ],
)
def test_wrong_content(changes, words):
    with pytest.raises(SettingsError) as refusal:
        TrainedFold.of({**CONTENT, **changes}, "x.pth")
    message = str(refusal.value)
    assert message.startswith("x.pth does not fit: ") and words in message and "-chk" in message
