"""The parts that train, measure and score, on tiny data: cost of a step, training alone, completed images."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from head_to_head import completion, cost, precision, training
from helpers.tiny_dataset import DATASET, threads_for_processes
from helpers.tiny_model import tiny_plans, write_json
from measuring.taking_turns import compare, in_fresh_process, peak_bytes
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.modalities import Modalities

SHORT = {"num_epochs": 2, "num_iterations_per_epoch": 1, "num_val_iterations_per_epoch": 1, "seed": 0}
TRAINERS = {cost.PLAIN: "nnUNetTrainer", "ours": "HeteroModalVAETrainer", "dropout": "ModalityDropoutTrainer"}


class TestMeasuring:
    def test_peak_of_a_call_and_what_stood_before(self):
        network = torch.nn.Linear(1024, 1024, bias=False)

        def call():
            one = torch.empty(2**20)  # 4 MiB
            two = torch.empty(2**20)
            del one, two
            torch.empty(2**20)

        assert peak_bytes(call, network, "cpu") == pytest.approx(12 * 2**20, rel=0.01)

    def test_the_optimisers_state_counts(self):
        network = torch.nn.Linear(1024, 1024, bias=False)
        optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
        network.weight.grad = torch.ones_like(network.weight)
        optimizer.step()
        without, with_state = (peak_bytes(lambda: torch.empty(8), network, "cpu", entry) for entry in (None, optimizer))
        assert with_state - without == network.weight.nbytes

    def test_calls_take_turns_after_one_that_does_not_count(self):
        order = []
        times = compare({name: lambda name=name: order.append(name) for name in "ab"}, 2, "cpu")
        assert order == list("ababab") and set(times) == {"a", "b"}

    def test_a_process_that_fails_is_told(self):
        with pytest.raises(RuntimeError, match="float ended without a result"):
            in_fresh_process(float, "no number")


@pytest.mark.parametrize(
    ("name", "device", "has_it", "taken"),
    [
        ("bfloat16", "cpu", False, False),
        ("bfloat16", "cpu", True, True),
        ("float32", "cpu", False, True),
        ("bfloat16", "cuda", False, True),
    ],
)
def test_bfloat16_is_not_imitated(monkeypatch, name, device, has_it, taken):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_it)
    with nullcontext() if taken else pytest.raises(SettingsError, match="no instructions"):
        precision.require_fast(name, device)


@pytest.fixture(scope="module")
def models(tiny_dataset):
    """Plans of each method in the tiny dataset, as `cost.measure` wants them."""
    found = {}
    for name, trainer in TRAINERS.items():
        plans = tiny_dataset.plans
        plans["plans_name"] = f"Bench_{trainer}"
        plans["configurations"]["3d_fullres"][KEY] = SHORT
        write_json(tiny_dataset.preprocessed / f"Bench_{trainer}.json", plans)
        found[name] = {"trainer": trainer, "plans": f"Bench_{trainer}"}
    return found


def test_cost_of_every_method(tiny_dataset, models, tmp_path, monkeypatch):
    tiny_dataset.use(monkeypatch, tmp_path)
    monkeypatch.setattr(cost, "in_fresh_process", lambda function, *arguments: function(*arguments))
    work = {"dataset": 501, "configuration": "3d_fullres", "fold": 0, "device": "cpu", "precision": "float32"}
    found = cost.measure({**work, "repeats": 1, "models": models})
    assert list(found) == list(TRAINERS)
    assert all(entry["seconds"] > 0 and entry["cpu_seconds"] > 0 for entry in found.values())
    # The same network, with channels dropped before it.
    assert found["dropout"]["parameters"] == found[cost.PLAIN]["parameters"]
    assert found["dropout"]["memory"] == pytest.approx(found[cost.PLAIN]["memory"], rel=0.1)
    assert found["ours"]["completes_images"] and not found["dropout"]["completes_images"]
    assert (found["ours"]["optimizer"], found["ours"]["lr"]) == ("Muon", 0.005)
    assert (found["dropout"]["optimizer"], found["dropout"]["lr"]) == ("SGD", 0.01)


def test_training_alone_ends_and_is_not_repeated(tiny_dataset, models, tmp_path, monkeypatch):
    tiny_dataset.use(monkeypatch, tmp_path)
    threads_for_processes(monkeypatch)
    arguments = ("501", "3d_fullres", "0", "ModalityDropoutTrainer", models["dropout"]["plans"], "cpu")
    training.train(*arguments)
    fold = tmp_path / DATASET / "ModalityDropoutTrainer__Bench_ModalityDropoutTrainer__3d_fullres" / "fold_0"
    checkpoint = torch.load(fold / "checkpoint_final.pth", weights_only=False)
    assert checkpoint["current_epoch"] == 2
    assert not (fold / "validation").exists()
    training.train(*arguments)
    again = torch.load(fold / "checkpoint_final.pth", weights_only=False)["network_weights"]
    assert all(torch.equal(value, again[name]) for name, value in checkpoint["network_weights"].items())


@pytest.mark.parametrize("name", ["ours", "dropout"])
def test_training_in_bfloat16(tiny_dataset, models, tmp_path, monkeypatch, name):
    tiny_dataset.use(monkeypatch, tmp_path)
    threads_for_processes(monkeypatch)
    work = {"dataset": 501, "configuration": "3d_fullres", "fold": 0, "device": "cpu", "precision": "bfloat16"}
    trainer = cost.build({**work, "models": models}, name)
    convolved, lost = set(), set()
    for module in trainer.network.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.register_forward_hook(lambda module, inputs, output: convolved.add(output.dtype))
    of_level = trainer.loss.loss.loss
    of_level.register_forward_pre_hook(lambda module, inputs: lost.add(inputs[0].dtype))
    before = [parameter.detach().clone() for parameter in trainer.network.parameters()]
    terms = cost.step_of(trainer, all_modalities=True)()
    assert convolved == {torch.bfloat16} and lost == {torch.float32}
    assert np.isfinite(terms["loss"])
    after = list(trainer.network.parameters())
    assert {parameter.dtype for parameter in after} == {torch.float32}
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def images_of(name: str, data: np.ndarray, spacing: float = 1.0) -> CaseImages:
    """A case of two modalities; those that are zero are absent."""
    place = {"spacing": (spacing,) * 3, "origin": (0.0,) * 3, "direction": (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)}
    grid = {"spacing": [spacing] * 3, "sitk_stuff": place}
    absent = {channel: "no file" for channel in range(len(data)) if not data[channel].any()}
    properties = tuple(None if channel in absent else grid for channel in range(len(data)))
    return CaseImages(name, Modalities(("T1", "T2")), data.astype(np.float32), properties, absent)


class TestTrainingMean:
    def test_is_voxel_wise_over_the_cases_with_brain_there(self):
        one, two = np.zeros((2, 1, 1, 3)), np.zeros((2, 1, 1, 3))
        one[0], one[1] = [10, 20, 0], [1, 2, 3]
        two[0] = [5, 9, 7]
        mean = completion.TrainingMean()
        for name, data in (("a", one), ("b", two)):
            mean.add(images_of(name, data))
        deviation = np.sqrt(8 / 3)
        expected = [(-1 - 2 / deviation) / 2, (1 + 2 / deviation) / 2, 0]
        np.testing.assert_allclose(mean.image(0)[0, 0], expected)
        # b has no second modality
        np.testing.assert_allclose(mean.image(1)[0, 0], np.array([-1, 0, 1]) / np.sqrt(2 / 3))

    def test_needs_one_grid(self):
        mean = completion.TrainingMean()
        mean.add(images_of("a", np.ones((2, 2, 2, 2))))
        with pytest.raises(completion.OtherGridError, match="'b' and 'a' lie on different grids"):
            mean.add(images_of("b", np.ones((2, 2, 2, 3))))


class TestBrainPsnr:
    def test_by_hand(self):
        real = np.array([[[0.0, 2.0, 4.0]]])  # in the brain -1 and 1, range 2
        image = np.array([[[9.0, -1.0, 0.0]]])  # errors 0 and 1 there; outside nothing counts
        assert completion.brain_scores(image, real)[0] == pytest.approx(10 * np.log10(2**2 / 0.5))


class TestScore:
    def test_every_modality_of_every_held_out_case(self, nnunet_folders):
        found = completion.score(str(nnunet_folders.folder), "0", "cpu")
        assert found["note"] == ""
        cases = {row["case"] for row in found["rows"]}
        assert len(found["rows"]) == 4 * len(cases)
        assert {row["modality"] for row in found["rows"]} == {"T1", "T1c", "T2", "FLAIR"}
        assert all(np.isfinite([row["psnr"], row["psnr_mean"]]).all() for row in found["rows"])

    def test_a_modality_is_completed_from_the_others_only(self, nnunet_folders):
        predictor = completion.HeteroModalPredictor.from_model_folder(
            str(nnunet_folders.folder), [0], "cpu", use_mirroring=False
        )
        (case,) = completion.cases_of(predictor, ["case_00"], "")
        other = CaseImages(case.name, case.modalities, case.data.copy(), case.properties, case.absent)
        other.data[1] = np.where(case.data[1] != 0, 7 + case.data[1] ** 2, 0)
        first, second = (completion.completed(predictor, entry, 1) for entry in (case, other))
        np.testing.assert_array_equal(first, second)

    def test_it_is_the_image_that_a_user_gets(self, nnunet_folders):
        """In other units, on a grid that is not the network's."""
        predictor = completion.HeteroModalPredictor.from_model_folder(
            str(nnunet_folders.folder),
            [0],
            "cpu",
            use_mirroring=False,
            options=PredictionOptions(sampling=SamplingOptions(0)),
        )
        (case,) = completion.cases_of(predictor, ["case_00"], "")
        spacing = (0.7, 0.8, 0.9)
        place = {"spacing": spacing[::-1], "origin": (0.0,) * 3, "direction": (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)}
        grid = {"spacing": spacing, "sitk_stuff": place}
        case = dataclasses.replace(case, properties=(grid,) * 4)
        given = {
            name: image for name, image in zip(predictor.modalities.names, case.data, strict=True) if name != "T1c"
        }
        users = predictor.predict(given, spacing).completed["T1c"]
        scale = predictor.model.scales[1]
        np.testing.assert_allclose(
            completion.completed(predictor, case, 1), np.where(users, (users - scale.mean) / scale.sd, 0), atol=1e-5
        )


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"use_mask_for_norm": [True, False]}, "does not z-score"),
        ({"normalization_schemes": ["ZScoreNormalization", "CTNormalization"]}, "does not z-score"),
        ({"hetero_modal": {"histogram_standardisation": True}}, "standardised histograms"),
    ],
)
def test_models_with_other_units_are_recognised(changed, why):
    plans = PlansManager(tiny_plans(("T1", "T2")))
    plans.plans["configurations"]["3d_fullres"].update(changed)
    found = completion.why_other_units(plans.get_configuration("3d_fullres"))
    assert why in found if why else not found
