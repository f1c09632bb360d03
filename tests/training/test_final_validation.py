"""nnU-Net's validation after training writes what prediction writes."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from helpers.tiny_dataset import DATASET, threads_for_processes

from nnunet_hetero.cli.main import main
from nnunet_hetero.network.fusing.fusible import restore_fusible
from nnunet_hetero.training.final_validation import model_of
from nnunet_hetero.training.hetero_trainer import HeteroTrainer

SHORT = {"num_epochs": 1, "num_iterations_per_epoch": 1, "num_val_iterations_per_epoch": 1}


@pytest.fixture
def as_written():
    yield
    restore_fusible()
    torch._dynamo.reset()


@pytest.mark.usefixtures("no_figures", "as_written")
def test_as_predict_does_with_parts_compiled_once(make_trainer, tiny_dataset, tmp_path, monkeypatch):
    """With nnUNet_compile nnU-Net's own predictor would compile the whole network, anew for every subset."""
    threads_for_processes(monkeypatch)
    trainer = make_trainer(seed=1, **SHORT)
    trainer.run_training()
    graphs = []
    trainer.unwrapped_network.compile_parts(backend=lambda graph, inputs: graphs.append(graph) or graph.forward)
    with monkeypatch.context() as patched:
        patched.setenv("nnUNet_compile", "t")
        patched.setattr(torch, "compile", lambda *_, **__: pytest.fail("the network is compiled as a whole"))
        trainer.perform_actual_validation()
    assert 2 <= len(graphs) <= 40  # 4 encoders, 1 decoder, the fusion; for one tile, two, and any number
    restore_fusible()

    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    for case in tiny_dataset.validation_cases:
        for file in (tiny_dataset.root / "raw" / DATASET / "imagesTr").glob(f"{case}_*.nii.gz"):
            (images / file.name).symlink_to(file)
    flags = ["-d", "501", "-c", "3d_fullres", "-f", "0", "-tr", "HeteroModalVAETrainer", "-device", "cpu"]
    assert main(["predict", "-i", str(images), "-o", str(out), *flags, "-npp", "0", "-nps", "0"]) == 0
    for case in tiny_dataset.validation_cases:
        validated, predicted = (
            np.asarray(nib.load(folder / f"{case}.nii.gz").dataobj)
            for folder in (Path(trainer.output_folder) / "validation", out)
        )
        assert len(np.unique(predicted)) > 1
        assert (validated == predicted).mean() > 0.999, "preprocessed once, and stored in between"


def test_its_settings_are_the_defaults_of_predict(make_trainer):
    trainer = make_trainer()
    trainer.initialize()
    trainer.inference_allowed_mirroring_axes = [0, 2]  # as a training, or its checkpoint, has them
    model = model_of(trainer)
    assert (model.sampling.num_samples, model.kept, model.tiles.step) == (10, (0, 1, 2, 3), 0.5)
    assert model.tiles.mirroring_axes == (0, 2)
    assert isinstance(trainer, HeteroTrainer) and model.network is trainer.network
