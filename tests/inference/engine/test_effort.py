"""Prediction with as much at once as there is memory for; out-of-memory errors are thrown, not provoked."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.preprocessed import images

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.engine import effort, tiling
from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.engine.effort import Effort, efforts, is_shortage, tiles_at_once, with_memory_at_hand
from nnunet_hetero.inference.predictor import HeteroModalPredictor

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


def on_a_gpu(results_on_device: bool = True, elements: int = 2**20) -> SimpleNamespace:
    """As much of a model as the choice depends on."""
    network = SimpleNamespace(compute_conv_feature_map_size=lambda patch: elements)
    return SimpleNamespace(device=CUDA, results_on_device=results_on_device, network=network, patch_size=(8, 8, 8))


@pytest.fixture
def free(monkeypatch):
    """Sets the free memory of the GPU, in bytes."""
    monkeypatch.setattr(effort, "empty_cache", lambda device: None)

    def let(free_bytes: float) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free_bytes), 2**40))

    let(2**40)
    return let


class TestEfforts:
    def test_batch_halves_then_the_maps_move(self, free):
        tried = [(one.at_once, one.results_device) for one in efforts(on_a_gpu())]
        assert tried == [(4, CUDA), (2, CUDA), (1, CUDA), (1, CPU)]

    def test_maps_that_stay_on_the_host(self, free):
        assert list(efforts(on_a_gpu(results_on_device=False))) == [Effort(1, CPU)]

    @pytest.mark.parametrize(("tiles", "expected"), [(0.5, 1), (1, 1), (2, 2), (3, 3), (100, 4)])
    def test_as_many_tiles_as_half_of_the_memory_holds(self, tiles, expected):
        assert tiles_at_once(on_a_gpu(), int(2 * tiles * effort.PREDICTION_BYTES * 2**20)) == expected

    def test_a_cpu_takes_two(self):
        model = SimpleNamespace(device=CPU, results_on_device=True)
        assert list(efforts(model)) == [Effort(2, CPU)]


class TestShortage:
    @pytest.mark.parametrize("fits", [(4, CUDA), (2, CUDA), (1, CUDA), (1, CPU)])
    def test_less_until_it_fits(self, free, fits, capsys):
        tried = []

        def predict(one: Effort) -> str:
            tried.append((one.at_once, one.results_device))
            if tried[-1] != fits:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return "done"

        assert with_memory_at_hand(on_a_gpu(), predict) == "done"
        assert capsys.readouterr().out.count("Out of memory") == len(tried) - 1

    def test_nothing_fits(self, free):
        def predict(one: Effort) -> None:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

        with pytest.raises(SettingsError, match=r"8×8×8 voxels does not fit.*-device cpu.*gpu_memory_target"):
            with_memory_at_hand(on_a_gpu(), predict)

    def test_what_was_computed_is_let_go_before_the_next_attempt(self, free):
        class Computed:
            alive = 0

            def __init__(self):
                assert not Computed.alive
                Computed.alive += 1

            def __del__(self):
                Computed.alive -= 1

        def predict(one: Effort) -> None:
            kept = Computed()
            if one.results_device == CUDA:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            del kept

        with_memory_at_hand(on_a_gpu(), predict)

    def test_another_error_is_not_tried_again(self, free):
        calls = []

        def predict(one: Effort) -> None:
            calls.append(one)
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        with pytest.raises(RuntimeError, match="mat1"):
            with_memory_at_hand(on_a_gpu(), predict)
        assert len(calls) == 1

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (torch.OutOfMemoryError("any"), True),
            (MemoryError(), True),
            (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
            (RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"), True),
            (RuntimeError("CUDA error: device-side assert triggered"), False),
        ],
    )
    def test_what_is_one(self, error, expected):
        assert is_shortage(error) == expected


@pytest.fixture
def model(tiny_model, nnunet_folders):
    """A tiny model of one fold, without mirroring."""
    predictor = HeteroModalPredictor(allow_tqdm=False, use_mirroring=False, device=CPU)
    predictor.initialize_from_trained_model_folder(str(tiny_model.folder), (0,))
    return predictor.model


class TestOfACase:
    @pytest.mark.parametrize("at_once", [1, 2, 3, 4])
    def test_same_result_with_any_number_at_once(self, model, monkeypatch, at_once):
        data = images()
        options = SamplingOptions(3, save_completed="missing", save_uncertainty=True)
        expected = predict_preprocessed(model, data, "case", options, 0.001)
        monkeypatch.setattr(effort, "efforts", lambda model: [Effort(at_once, CPU)])
        found = predict_preprocessed(model, data, "case", options, 0.001)
        np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found.completion, expected.completion, rtol=1e-3, atol=1e-4)

    def test_after_a_shortage_in_the_middle(self, model, monkeypatch):
        """The network runs out of memory in its second pass; nothing of the first attempt is in the result."""
        data = images(absent=())
        options = SamplingOptions(0, save_completed="all")
        expected = predict_preprocessed(model, data, "case", options)
        window = tiling.window_of
        passes = []

        def short(*arguments):
            found = window(*arguments)
            if found.at_once == 2:
                decode = found.network.decode

                def fails(levels):
                    passes.append(len(levels[0]))
                    if len(passes) == 2:
                        raise torch.OutOfMemoryError("CUDA out of memory.")
                    return decode(levels)

                monkeypatch.setattr(found.network, "decode", fails)
            else:
                monkeypatch.setattr(found.network, "decode", type(found.network).decode.__get__(found.network))
            return found

        monkeypatch.setattr("nnunet_hetero.inference.engine.case_prediction.window_of", short)
        monkeypatch.setattr(effort, "efforts", lambda model: [Effort(2, CPU), Effort(1, CPU)])
        found = predict_preprocessed(model, data, "case", options)
        assert len(passes) == 2
        np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found.completion, expected.completion, rtol=1e-3, atol=1e-4)


class TestCompletionInOnePass:
    @pytest.mark.parametrize(("subset", "completed", "number"), [((0,), "missing", 3), ((0, 1, 3), "all", 4)])
    def test_the_image_decoder_runs_once_per_pass_of_the_segmentation(
        self, model, monkeypatch, subset, completed, number
    ):
        """However many images are wanted."""
        model = replace(model, tiles=replace(model.tiles, mirroring_axes=(0,)))
        data = images(absent=set(range(4)) - set(subset))
        passes = {"decoder": 0, "image_decoder": 0}
        hooks = [
            getattr(model.network, name).register_forward_hook(
                lambda *_, name=name: passes.__setitem__(name, passes[name] + 1)
            )
            for name in passes
        ]
        found = predict_preprocessed(model, data, "case", SamplingOptions(4, save_completed=completed))
        for hook in hooks:
            hook.remove()
        assert len(found.completion) == number
        assert passes["image_decoder"] == passes["decoder"] > 1
