"""A model's files, broken or edited: whatever loads them says which file and what to do, without a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.accidents.spoilt import BROKEN, put, require_refusal, run, spoilt, without
from helpers.tiny_model import CONFIGURATION, write_case

HERE = ("configurations", CONFIGURATION)
QUICK = ("-device", "cpu", "--disable_tta", "--disable_progress_bar")


@pytest.fixture(scope="module")
def shop(tiny_model, tmp_path_factory):
    """A model of its own, one image, and the commands that load the model."""
    folder = tmp_path_factory.mktemp("wrong_model")
    model = shutil.copytree(tiny_model.folder, folder / tiny_model.dataset / tiny_model.folder.name)
    write_case(folder / "images", "a", labels=folder / "labels")
    out = folder / "out"
    images = ("-i", folder / "images", "-o", out)
    commands = {
        "predict": ("predict", *images, "-m", model, "-f", "0", *QUICK, "-npp", "0", "-nps", "0"),
        "complete": ("complete", *images, "-m", model, "-f", "0", *QUICK, "-npp", "0"),
        "evaluate": (
            "evaluate",
            *images,
            "-l",
            folder / "labels",
            "-d",
            tiny_model.dataset,
            "-c",
            CONFIGURATION,
            *QUICK,
        ),
        "export-model": ("export-model", "-m", model, "-f", "0", "-o", folder / "model.zip"),
    }
    return SimpleNamespace(model=model, out=out, commands=commands, results=folder)


@pytest.fixture(autouse=True)
def _environment(nnunet_folders, shop, monkeypatch):
    monkeypatch.setenv("nnUNet_results", str(shop.results))


WRONG_DATASET_JSON = {
    **BROKEN,
    **{f"without {key}": without(key) for key in ("channel_names", "labels", "file_ending", "regions_class_order")},
    "channel_names empty": put({}, "channel_names"),
    "channel_names a list": put(["T1"], "channel_names"),
    "channel_names reversed": put({"0": "FLAIR", "1": "T2", "2": "T1c", "3": "T1"}, "channel_names"),
    "a channel less": without("channel_names", "3"),
    "a channel renamed": put("Other", "channel_names", "1"),
    "labels a list": put(["background"], "labels"),
    "labels of text": put({"background": 0, "a": "1"}, "labels"),
    "labels without background": without("labels", "background"),
    "labels exchanged": put([2], "labels", "enhancing tumor"),
    "regions_class_order short": put([1], "regions_class_order"),
    "regions_class_order turned": put([3, 2, 1], "regions_class_order"),
    "file_ending a number": put(3, "file_ending"),
    "dataset a list": put([], "dataset"),
}
WRONG_PLANS = {
    **BROKEN,
    **{f"without {key}": without(key) for key in ("configurations", "plans_name", "dataset_name", "transpose_forward")},
    **{
        f"configuration without {key}": without(*HERE, key)
        for key in ("architecture", "spacing", "patch_size", "normalization_schemes", "use_mask_for_norm", "batch_size")
    },
    "configurations a list": put([], "configurations"),
    "configuration a text": put("3d", *HERE),
    "no such configuration": put({"2d": {}}, "configurations"),
    "a loop of inherits_from": put(CONFIGURATION, *HERE, "inherits_from"),
    "inherits from nothing": put("nowhere", *HERE, "inherits_from"),
    "architecture a list": put([], *HERE, "architecture"),
    "arch_kwargs null": put(None, *HERE, "architecture", "arch_kwargs"),
    "features a text": put("many", *HERE, "architecture", "arch_kwargs", "features_per_stage"),
    "other features": put([8, 8, 8], *HERE, "architecture", "arch_kwargs", "features_per_stage"),
    "too few normalisations": put(["ZScoreNormalization"], *HERE, "normalization_schemes"),
    "unknown normalisation": put(["Foo"] * 4, *HERE, "normalization_schemes"),
    "other normalisation": put(["CTNormalization"] * 4, *HERE, "normalization_schemes"),
    "other mask": put([False] * 4, *HERE, "use_mask_for_norm"),
    "other spacing": put([2.0, 1.0, 1.0], *HERE, "spacing"),
    "spacing of 0": put([0.0, 1.0, 1.0], *HERE, "spacing"),
    "spacing of text": put(["1"] * 3, *HERE, "spacing"),
    "spacing 2D": put([1.0, 1.0], *HERE, "spacing"),
    "other patch": put([32, 32, 32], *HERE, "patch_size"),
    "patch of 0": put([0, 16, 16], *HERE, "patch_size"),
    "patch a fraction": put([16.5, 16, 16], *HERE, "patch_size"),
    "other reader": put("NibabelIOWithReorient", "image_reader_writer"),
    "no reader": put(None, "image_reader_writer"),
    "other axes": put([1, 0, 2], "transpose_forward"),
    "settings a list": put([], *HERE, "hetero_modal"),
    "unknown setting": put({"width": 3}, *HERE, "hetero_modal"),
    "other setting": put({"encoder_width": 1.0}, *HERE, "hetero_modal"),
}


@pytest.mark.parametrize("kind", WRONG_DATASET_JSON)
def test_dataset_json(shop, kind, capfd):
    with spoilt(shop.model / "dataset.json", WRONG_DATASET_JSON[kind]):
        code = run(*shop.commands["predict"])
    require_refusal(code, "".join(capfd.readouterr()), "dataset.json")
    assert not list(shop.out.glob("a.nii.gz"))


@pytest.mark.parametrize("kind", WRONG_PLANS)
def test_plans(shop, kind, capfd):
    with spoilt(shop.model / "plans.json", WRONG_PLANS[kind]):
        code = run(*shop.commands["predict"])
    require_refusal(code, "".join(capfd.readouterr()), "plans" if kind == "unknown setting" else "plans.json")
    assert not list(shop.out.glob("a.nii.gz"))


@pytest.mark.parametrize("command", ["complete", "evaluate", "export-model"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("plans.json", kind) for kind in ("empty", "binary", "a folder", "other type", "other spacing", "gone")),
        *(("dataset.json", kind) for kind in ("no JSON", "a loop", "without labels", "channel_names reversed")),
    ],
)
def test_all_commands_refuse_alike(shop, command, name, kind, capfd):
    kinds = WRONG_PLANS if name == "plans.json" else WRONG_DATASET_JSON
    with spoilt(shop.model / name, kinds[kind]):
        code = run(*shop.commands[command])
    require_refusal(code, "".join(capfd.readouterr()), name)


def without_key(key: str) -> Callable[[dict], Any]:
    return lambda content: content.pop(key) and None


WRONG_CHECKPOINTS: dict[str, Callable[[dict], Any]] = {
    "no object": lambda content: [1, 2],
    "a tensor": lambda content: torch.zeros(3),
    "nothing in it": lambda content: {},
    **{f"without {key}": without_key(key) for key in ("network_weights", "trainer_name", "init_args")},
    "init_args a text": lambda content: content.update(init_args="3d_fullres"),
    "init_args a list": lambda content: content.update(init_args=[]),
    "init_args empty": lambda content: content.update(init_args={}),
    "configuration a number": lambda content: content["init_args"].update(configuration=3),
    "another configuration": lambda content: content["init_args"].update(configuration="2d"),
    "plans a list": lambda content: content["init_args"].update(plans=[]),
    "plans empty": lambda content: content["init_args"].update(plans={}),
    "dataset_json a text": lambda content: content["init_args"].update(dataset_json="a"),
    "dataset_json empty": lambda content: content["init_args"].update(dataset_json={}),
    "trainer_name a number": lambda content: content.update(trainer_name=3),
    "trainer_name null": lambda content: content.update(trainer_name=None),
    "trainer_name unknown": lambda content: content.update(trainer_name="NoSuchTrainer"),
    "trainer_name stock": lambda content: content.update(trainer_name="nnUNetTrainer"),
    "weights a list": lambda content: content.update(network_weights=[1]),
    "weights of text": lambda content: content.update(network_weights={"a": "b"}),
    "weights of others": lambda content: content.update(network_weights={"a": torch.zeros(1)}),
    "weights empty": lambda content: content.update(network_weights={}),
    "mirroring a text": lambda content: content.update(inference_allowed_mirroring_axes="xyz"),
    "our part a number": lambda content: content.update(hetero_modal=3),
    "our intensities a list": lambda content: content.update(hetero_modal={"intensity": []}),
    "our intensities of text": lambda content: content.update(hetero_modal={"intensity": {"T1": "bright"}}),
    "our landmarks a number": lambda content: content.update(hetero_modal={"landmarks": 3}),
}


TEXTS = ("a text", "not UTF-8", "UTF-16")
"""Of `BROKEN`, what happens to texts alone."""


@pytest.mark.parametrize("kind", [*WRONG_CHECKPOINTS, *(f"file: {kind}" for kind in BROKEN if kind not in TEXTS)])
def test_checkpoint(shop, kind, capfd):
    file = shop.model / "fold_0" / "checkpoint_final.pth"

    def change(file):
        content = torch.load(file, weights_only=False)
        content = deepcopy(content)
        other = WRONG_CHECKPOINTS[kind](content)
        torch.save(content if other is None else other, file)

    spoil = BROKEN[kind.removeprefix("file: ")] if kind.startswith("file: ") else change
    with spoilt(file, spoil):
        code = run(*shop.commands["predict"])
    require_refusal(code, "".join(capfd.readouterr()), "checkpoint")


def test_the_model_itself_is_fine(shop, capfd):
    """All the refusals above are of what was spoilt."""
    assert run(*shop.commands["predict"]) == 0
    assert json.loads((shop.out / "modalities.json").read_text())["a"]["absent"] == {}
    shutil.rmtree(shop.out)
