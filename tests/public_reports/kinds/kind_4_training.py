"""Kind 4, in training: data and scores that mean something else than they seem to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from helpers.tiny_model import CONFIGURATION, SHAPE, TinyModel
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetNumpy
from public_reports.situation import Place, Situation

EPOCHS = 20


def _preprocess(model: TinyModel, channels: int = 4, scale: float = 1.0) -> None:
    """What nnU-Net's preprocessing leaves of the data set's cases, with invented values."""
    folder = model.preprocessed / model.dataset / f"nnUNetPlans_{CONFIGURATION}"
    folder.mkdir()
    random = np.random.default_rng(0)
    for fold in json.loads((model.preprocessed / model.dataset / "splits_final.json").read_text()):
        for case in fold["val"]:
            data = scale * random.normal(0, 1, (channels, *SHAPE)).astype(np.float32)
            seg = random.integers(0, 4, (1, *SHAPE), dtype=np.int8)
            nnUNetDatasetNumpy.save_case(data, seg, {}, str(folder / case))


def _train(place: Place) -> int:
    return place.run("train", "501", CONFIGURATION, "0", "-device", "cpu")


def _one_file_with_all_channels(place: Place) -> int:
    """As of RGB images: nnU-Net takes all channels from CASE_0000."""
    model = place.own_model()
    _preprocess(model)
    for channel in (1, 2, 3):
        for file in model.images.glob(f"*_{channel:04d}.nii.gz"):
            file.unlink()
    return _train(place)


def _other_channels_than_named(place: Place) -> int:
    model = place.own_model()
    _preprocess(model, channels=3)
    return _train(place)


def _values_of(scale: float) -> Callable[[Place], int]:
    """What a training says when it looks at its cases; the rest of it takes minutes."""

    def act(place: Place) -> int:
        _preprocess(place.own_model(), scale=scale)
        trainer = get_trainer_from_args("501", CONFIGURATION, 0, "HeteroModalVAETrainer", device=torch.device("cpu"))
        trainer.prepare_inputs()
        trainer.get_tr_and_val_datasets()
        return 0

    return act


def _mix_of_epochs(modalities: int) -> Callable[[Place], int]:
    """The sizes of the subsets that each epoch's validation is seen through."""

    def act(place: Place) -> int:
        model = place.own_model()
        folder = model.preprocessed / model.dataset
        names = {str(number): f"M{number}" for number in range(modalities)}
        dataset = json.loads((folder / "dataset.json").read_text())
        (folder / "dataset.json").write_text(json.dumps({**dataset, "channel_names": names}))
        trainer = get_trainer_from_args("501", CONFIGURATION, 0, "HeteroModalVAETrainer", device=torch.device("cpu"))
        trainer.network = torch.nn.Identity()  # is switched to evaluation
        found = set()
        for trainer.current_epoch in range(EPOCHS):
            trainer.on_validation_epoch_start()
            steps = range(trainer.num_val_iterations_per_epoch)
            sizes = Counter(len(trainer.validation_cycle.next_subset()) for _ in steps)
            found.add(tuple(sorted(sizes.items())))
        print(f"{len(found)} mix of sizes, {len(next(iter(found)))} sizes")
        return 0

    return act


SITUATIONS = [
    Situation("17", "several channels in one file", _one_file_with_all_channels, says=("1 image file(s)", "RGB")),
    Situation("17a", "channels that dataset.json does not name", _other_channels_than_named, says=("3 channel(s)",)),
    Situation(
        "17b", "values without normalisation", _values_of(1000), 0, says=("WARNING: the values of T1 are about",)
    ),
    Situation("17c", "values of a hundredth", _values_of(0.01), 0, says=("WARNING: the values of T1 are about 0.01",)),
    Situation("17d", "values as usual", _values_of(1), 0, never=("WARNING", "Traceback")),
    *(
        Situation(
            f"18{letter}",
            f"epochs of {modalities} modalities",
            _mix_of_epochs(modalities),
            0,
            says=(f"1 mix of sizes, {modalities} sizes",),
        )
        for letter, modalities in zip(("", "a", "b"), (6, 7, 8), strict=True)
    ),
]
