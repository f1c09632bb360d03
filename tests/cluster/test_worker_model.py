"""The model of a worker: kept, and another one than the client's refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nnunet_hetero.cluster.worker_model import ModelRequest, worker_model
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.processes import FatalError

CHECKPOINT = "checkpoint_final.pth"


@pytest.fixture(scope="module")
def request_(tiny_model):
    options = PredictionOptions(missing=("T1c",), sampling=SamplingOptions(3))
    predictor = HeteroModalPredictor.from_model_folder(
        tiny_model.folder, (0,), "cpu", options=options, use_mirroring=False, tile_step_size=0.7
    )
    return ModelRequest.of(predictor, tiny_model.folder, (0,), CHECKPOINT, "cpu")


def test_it_predicts_as_the_client_would_and_is_kept(request_):
    own = worker_model(request_, request_.workplace())
    model = own.predictor.model
    assert (model.sampling.num_samples, model.tiles.step, model.tiles.mirroring_axes) == (3, 0.7, None)
    assert model.kept == (0, 2, 3)
    assert worker_model(request_, request_.workplace(("/",))) is own
    assert own.run()["flags"]["step_size"] == 0.7


def test_another_model_is_refused(request_):
    other = replace(request_, folds=(1,))
    with pytest.raises(FatalError, match=r"the model in .* is another one there"):
        worker_model(other, other.workplace())


def test_a_device_that_is_not_there_is_refused(request_):
    other = replace(request_, device="mps")
    with pytest.raises(FatalError, match=r"The worker on .* cannot be used: -device mps"):
        worker_model(other, other.workplace())
