"""Impossible values of flags and variables, for every command: one sentence, exit code 1, or argparse's 2."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
import torch
from helpers.accidents.spoilt import require_refusal, run
from helpers.tiny_model import CONFIGURATION, write_case

from nnunet_hetero.cli.main import COMMANDS
from nnunet_hetero.cli.main import main as nnunet_hetero


@pytest.fixture(scope="module")
def shop(tiny_model, tmp_path_factory):
    """Places to name, and for every command arguments that are right."""
    folder = tmp_path_factory.mktemp("wrong_flags")
    write_case(folder / "images", "a", labels=folder / "labels")
    (folder / "a_file").write_text("x")
    (folder / "a_loop").symlink_to(folder / "a_loop")
    (folder / "empty").mkdir()
    (folder / "raw_cohort").mkdir()
    shutil.copytree(tiny_model.preprocessed, folder / "preprocessed")
    (folder / "preprocessed" / tiny_model.dataset / "nnUNetPlans_3d_fullres").mkdir()
    data = ("-d", tiny_model.dataset)
    model = (*data, "-c", CONFIGURATION, "-f", "0")
    cpu = ("-device", "cpu")
    images = ("-i", folder / "images", "-o", folder / "out")
    commands = {
        "predict": (*images, *model, *cpu),
        "predict -m": (*images, "-m", tiny_model.folder, "-f", "0", *cpu),
        "complete": (*images, *model, *cpu),
        "evaluate": (*images, "-l", folder / "labels", *model, *cpu),
        "export-model": ("-o", folder / "model.zip", *model),
        "install-model": (folder / "model.zip",),
        "train": (tiny_model.dataset, CONFIGURATION, "0", *cpu),
        "plan": (*data, "--out_plans", "Other", "--set", "seed=1"),
        "plan-subsets": data,
        "splits": (*data, "--dry-run"),
        "fill-gaps": (*data, "--dry-run"),
        "report": (folder / "empty",),
        "compare": (folder / "empty", "-o", folder / "out"),
        "convert brats": ("-i", folder / "raw_cohort", "-d", "777", "--dry-run"),
        "convert phantom": ("-o", folder / "phantoms"),
        "demo": ("--out", folder / "demo"),
    }
    return SimpleNamespace(folder=folder, commands=commands)


@pytest.fixture(autouse=True)
def _environment(nnunet_folders, shop, monkeypatch):
    monkeypatch.setenv("nnUNet_preprocessed", str(shop.folder / "preprocessed"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


PLACES = ("a_file", "a_file/below", "a_loop", "a_loop/below")
FOLDS = [("-f", text) for text in ("abc", "-1", "0.5", "7", "ALL")]
DEVICES = [("-device", text) for text in ("foo", "cuda", "cuda:7", "mps", "", "cpu:0:1")]
STEPS = [("-step_size", text) for text in ("0", "-0.5", "2", "nan", "inf", "wide")]
DRAWS = [("--num_samples", "-1"), ("--num_samples", "2.5"), ("--seed", "-1"), ("--seed", "x"), ("--seed", str(2**40))]
SUBSETS = [
    ("--missing", "PET"),
    ("--available", "9"),
    ("--missing", "T1", "t1"),
    ("--missing", "T1", "--available", "T2"),
]
MODELS = [("-d", "999"), ("-d", "x"), ("-d", "Dataset999_None"), ("-c", "4d"), ("-tr", "NoTrainer"), ("-p", "NoPlans")]
MODELS += [("-chk", "no.pth"), ("-chk", "../x.pth")]
MODEL_FOLDERS = [("-m", name) for name in ("nowhere", "{}/empty", *(f"{{}}/{place}" for place in PLACES))]
INPUTS = [("-i", name) for name in ("nowhere", "{}/empty", *(f"{{}}/{place}" for place in PLACES))]
OUTPUTS = [("-o", f"{{}}/{place}") for place in PLACES]

WRONG: dict[str, list[tuple[str, ...]]] = {
    "predict": [
        *[("-npp", text) for text in ("-1", "1.5", "many")],
        *[("-nps", text) for text in ("-1", "x")],
        *[("-num_parts", "0"), ("-num_parts", "-2"), ("-part_id", "1"), ("-part_id", "-1"), ("-num_parts", "x")],
        *(*FOLDS, *DEVICES, *STEPS, *DRAWS, *SUBSETS, *MODELS, *INPUTS, *OUTPUTS),
        *[("--save_completed", "some"), ("--no_such_flag",)],
    ],
    "predict -m": [*MODEL_FOLDERS, *FOLDS[:2], *DEVICES[:2], *OUTPUTS[:2], ("-npp", "-1")],
    "complete": [
        *[("-npp", text) for text in ("-1", "1.5", "many")],
        *(*FOLDS, *DEVICES, *STEPS, *DRAWS, *SUBSETS, *MODELS, *MODEL_FOLDERS, *INPUTS, *OUTPUTS),
        *[("--save_completed", "some"), ("--no_such_flag",)],
    ],
    "evaluate": [
        *(*FOLDS, *DEVICES, *STEPS, *DRAWS, *MODELS, *INPUTS, *OUTPUTS),
        *[("-l", "nowhere"), ("-l", "{}/a_file"), ("-l", "{}/empty"), ("--split", "train"), ("--split", "test")],
        *[("--subsets", "PET"), ("--subsets", "T1", "T1"), ("--subsets", ""), ("--metrics", "beauty")],
        *[("--nsd_tolerance", "-1"), ("--nsd_tolerance", "nan"), ("--nsd_tolerance", "x"), ("--lesion_rule", "mine")],
        *[
            ("--remove_small", "edema", "5"),
            ("--remove_small", "tumor core", "-5"),
            ("--remove_small", "tumor core", "x"),
        ],
    ],
    "export-model": [
        *FOLDS,
        *MODELS,
        *MODEL_FOLDERS,
        ("-o", "{}/a_file/below.zip"),
        ("-o", "{}/a_loop/x.zip"),
        ("-o", "{}/empty"),
    ],
    "install-model": [("{}/a_file",), ("{}/empty",), ("nowhere.zip",), ("{}/a_loop",)],
    "train": [
        *[("-num_gpus", text) for text in ("0", "-1", "x")],
        *[("-pretrained_weights", text) for text in ("nowhere.pth", "{}/a_file", "{}/empty", "{}/a_loop")],
        *(*DEVICES[:5], ("-p", "NoPlans"), ("-tr", "NoTrainer")),
    ],
    "plan": [
        *[
            ("-d", "999"),
            ("-d", "x"),
            ("-d", "Dataset999_None"),
            ("-p", "NoPlans"),
            ("-c", "4d"),
            ("--out_plans", "a/b"),
        ],
        *[
            ("--out_plans", ""),
            ("--out_plans", "nnUNetPlans"),
            ("-gpu_memory_target", "0"),
            ("-gpu_memory_target", "nan"),
        ],
        *[("--capacity", "huge"), ("--alpha", "nowhere.csv"), ("--alpha", "{}/a_file"), ("--alpha", "{}/empty")],
        *[("--presence", "T1"), ("--presence", "T1=2"), ("--presence", "PET=1"), ("--presence", "T1=x")],
        *[("--set", "seed"), ("--set", "nothing=1"), ("--set", "num_epochs=-1"), ("--set", "num_epochs=[")],
        *[
            ("--set", "alpha=3"),
            ("--set", 'alpha={"PET": 1}'),
            ("--set", 'presence={"T1": "x"}'),
            ("--set", "patch_size=0"),
        ],
    ],
    "plan-subsets": [("-d", "999"), ("-p", "NoPlans"), ("-c", "4d"), ("--subsets", "PET"), ("--subsets", "")],
    "splits": [
        *[("--folds", text) for text in ("1", "0", "-1", "x", "99")],
        *[("--test", text) for text in ("-0.1", "1.5", "nan", "x", "1")],
        *[("--scheme", "paper", "--repeats", "0"), ("--scheme", "best"), ("--scheme", "import"), ("--seed", "-1")],
        *[("--seed", str(2**33)), ("--csv", "nowhere.csv"), ("--csv", "{}/a_loop"), ("--table", "nowhere.csv")],
        *[
            ("--table", "{}/empty"),
            ("--patient-pattern", "("),
            ("--patient-pattern", "x"),
            ("--names", "x"),
            ("-d", "999"),
        ],
    ],
    "fill-gaps": [
        ("-np", "0"),
        ("-np", "x"),
        ("-d", "999"),
        ("-i", "nowhere"),
        ("-i", "{}/a_file"),
        ("-i", "{}/a_loop"),
        ("-m", "{}/empty"),
        ("--undo",),
    ],
    "report": [("{}/a_file",), ("{}/a_loop",), ("nowhere",), ("--format", "pdf")],
    "compare": [("--names", "A", "B"), ("--metric", "beauty"), ("--join", "A"), ("--format", "pdf"), ("nowhere",)],
    "convert brats": [
        *[("-d", text) for text in ("0", "1000", "-1", "x")],
        *[("-np", "0"), ("-np", "-1"), ("-np", "x"), ("--name", "a/b"), ("--name", ""), ("--modalities", "PET")],
        *INPUTS,
    ],
    "convert phantom": [
        *[
            ("--cases", "0"),
            ("--cases", "x"),
            ("--size", "1"),
            ("--size", "-5"),
            ("--seed", "-1"),
            ("--first-index", "0"),
        ],
        *[("--variation", "-1"), ("--variation", "nan"), ("--incomplete", "2"), ("--incomplete", "-1"), *OUTPUTS],
    ],
    "demo": [
        ("--epochs", "0"),
        ("--cases", "0"),
        ("--size", "x"),
        ("--out", "{}/a_file"),
        ("--out", "{}/a_loop"),
        ("--cases", "-3"),
    ],
}
"""Flags to add to right arguments, where the last of a flag counts; ``{}`` stands for the folder of the places."""

REPLACED = {"install-model", "report"}
"""Commands whose arguments are the wrong ones alone."""

CASES = [(command, flags) for command, all_flags in WRONG.items() for flags in all_flags]


@pytest.mark.parametrize(("command", "flags"), CASES, ids=[f"{command} {' '.join(flags)}" for command, flags in CASES])
def test_is_refused(shop, command, flags, capfd):
    flags = [flag.format(shop.folder) if "{}" in flag else flag for flag in flags]
    right = shop.commands[command]
    if command == "train" and flags[0] == "-tr":
        right = (*right, "-tr")[:-1]
    if flags[0] in ("-m",) and command != "predict -m":
        right = tuple(word for word in right if word not in ("-d", "Dataset501_Tiny"))
    if command in REPLACED and not flags[0].startswith("-"):
        right = ()
    code = run(*command.removesuffix(" -m").split(), *right, *flags)
    require_refusal(code, "".join(capfd.readouterr()))


VARIABLES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
VALUES = (
    "",
    "~/data",
    '"{}/empty"',
    "'{}/empty'",
    "{}/empty ",
    " {}/empty",
    "relative/folder",
    "$HOME/nowhere",
    "{}/a_file",
    "{}/a_loop",
)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    ("variable", "command"),
    [
        ("nnUNet_raw", "fill-gaps"),
        ("nnUNet_preprocessed", "splits"),
        ("nnUNet_preprocessed", "plan"),
        ("nnUNet_preprocessed", "train"),
        ("nnUNet_results", "predict"),
        ("nnUNet_results", "complete"),
        ("nnUNet_results", "evaluate"),
        ("nnUNet_results", "export-model"),
        ("nnUNet_results", "install-model"),
    ],
)
def test_variables(shop, variable, command, value, monkeypatch, capfd):
    monkeypatch.setenv(variable, value.format(shop.folder))
    code = run(*command.split(), *shop.commands[command])
    require_refusal(code, "".join(capfd.readouterr()), variable)


@pytest.mark.parametrize("value", VALUES)
def test_doctor_says_what_is_wrong_with_a_variable(shop, value, monkeypatch):
    from nnunet_hetero.integration.checks import FAIL, nnunet_folder

    for variable in VARIABLES:
        monkeypatch.setenv(variable, value.format(shop.folder))
        check = nnunet_folder(variable, needs_writing=True)
        assert check.status == FAIL and check.mend


@pytest.mark.parametrize("variable", ["nnUNet_def_n_proc", "nnUNet_n_proc_DA", "nnUNet_npp"])
def test_numbers_of_processes(shop, variable, monkeypatch, capfd):
    for value in ("many", "-1", ""):
        monkeypatch.setenv(variable, value)
        code = run("predict", *shop.commands["predict"])
        require_refusal(code, "".join(capfd.readouterr()), variable)


@pytest.mark.parametrize("command", [*COMMANDS, "convert brats", "convert csv", "convert bids", "convert phantom"])
def test_help_and_nothing(command, capfd):
    if command not in ("predict", "train"):  # nnU-Net's, which print theirs
        assert run(*command.split(), "-h") == 0
    assert "Traceback" not in "".join(capfd.readouterr())


def test_no_command(capfd):
    assert nnunet_hetero([]) == 2
    assert run("no-such-command") == 2
