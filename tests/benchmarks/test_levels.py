"""What the benchmark of levels counts, on a tiny model with random weights."""

from __future__ import annotations

import levels
import pytest
import torch

from nnunet_hetero.evaluation.sweep.model import evaluate_model
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest
from nnunet_hetero.network.fusion import Gaussian
from nnunet_hetero.network.variational import VariationalNetwork

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


def test_with_all_levels_it_is_the_models_evaluation(tiny_model, tmp_path):
    found = levels.measure(tiny_model.folder, "0", CPU)
    own = evaluate_model(
        EvaluationRequest(tiny_model.folder, [0], output=tmp_path, device=CPU, mirroring=False, step_size=1.0)
    )
    assert found.dice == pytest.approx(100 * own.summary.overall.mean)
    assert set(found.nats) == {0, 1, 2}
    assert all(set(nats) == {1, 2, 3, 4} for nats in found.nats.values())


def test_a_level_removed_is_at_the_prior_for_the_decoder(tiny_model, monkeypatch):
    fused = []
    fuse = VariationalNetwork.fuse
    monkeypatch.setattr(VariationalNetwork, "fuse", lambda *arguments: fused.append(fuse(*arguments)) or fused[-1])
    found = levels.measure(tiny_model.folder, "0", CPU, range(1, 3))
    assert all(finest.mean.any() for finest, *_ in fused)
    assert not any(tensor.any() for _, *deeper in fused for level in deeper for tensor in level)
    assert all(nats[4] > 0 for nats in found.nats.values()), "the divergence is that of the model, not of the prior"


def test_divergence_of_a_level(tiny_model, monkeypatch):
    """Every mean 2, every variance 1: ½ · 2² nats."""
    fuse = VariationalNetwork.fuse

    def constant(*arguments):
        return [Gaussian(level.mean * 0 + 2, level.log_variance * 0) for level in fuse(*arguments)]

    monkeypatch.setattr(VariationalNetwork, "fuse", constant)
    found = levels.measure(tiny_model.folder, "0", CPU)
    assert [nats[1] for nats in found.nats.values()] == pytest.approx([2.0] * 3)


def test_report():
    whole = levels.Found(60.0, {0: {1: 0.5, 4: 1.25}, 1: {1: 0.0, 4: 0.01}})
    lines = levels.report(whole, {1: levels.Found(58.25, {})}).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["1", "0.50", "1.25", "-"]
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == ["2", "0.00", "0.01", "58.2"]
    assert lines[-1] == "Dice with all levels: 60.0 %"
