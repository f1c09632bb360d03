"""A data set's files, broken: every command that reads them says which file and what to do, without a traceback."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest
from helpers.accidents.spoilt import BROKEN, BROKEN_TABLE, edited, put, require_refusal, run, spoilt, without
from helpers.tiny_model import CONFIGURATION, write_case, write_json

QUICK = ("-device", "cpu", "--disable_tta", "--disable_progress_bar")


@pytest.fixture(scope="module")
def shop(tiny_model, tmp_path_factory):
    """A data set of its own with everything that our commands leave in one, and the commands that read it."""
    folder = tmp_path_factory.mktemp("wrong_dataset")
    for name in ("raw", "preprocessed"):
        shutil.copytree(getattr(tiny_model, name), folder / name)
    raw, preprocessed = (folder / name / tiny_model.dataset for name in ("raw", "preprocessed"))
    (preprocessed / "nnUNetPlans_3d_fullres").mkdir()
    held_out = {"test_is_moved": False, "test": [["case_05"]]}
    write_json(preprocessed / "hetero_splits.json", held_out)
    write_json(preprocessed / "splits_final.json", [{"train": ["case_01"], "val": ["case_00"]}])
    write_json(raw / "moved_test_cases.json", {"finished": True, "cases": []})
    write_json(raw / "fill_gaps.json", {"files": {"case_09": {"T1": "imagesTr/case_09_0000.nii.gz"}}})
    (raw / "cases.csv").write_text("case,patient,subset\ncase_00,a,train\ncase_01,b,train\n")
    model = ("-d", tiny_model.dataset, "-c", CONFIGURATION, "-f", "0", *QUICK, "--metrics", "dice", "--subsets", "T1")
    commands = {
        "evaluate": ("evaluate", *model, "-o", folder / "out"),
        "evaluate test": ("evaluate", *model, "--split", "test", "-o", folder / "out"),
        "fill-gaps": ("fill-gaps", "-d", tiny_model.dataset, "--dry-run"),
        "fill-gaps undo": ("fill-gaps", "-d", tiny_model.dataset, "--undo"),
        "splits": ("splits", "-d", tiny_model.dataset, "--folds", "2", "--dry-run"),
        "splits undo": ("splits", "-d", tiny_model.dataset, "--undo"),
        "plan": ("plan", "-d", tiny_model.dataset, "--set", "seed=1", "--out_plans", "Other"),
        "plan-subsets": ("plan-subsets", "-d", tiny_model.dataset),
        "train": ("train", tiny_model.dataset, CONFIGURATION, "0", "-device", "cpu"),
    }
    return SimpleNamespace(raw=raw, preprocessed=preprocessed, commands=commands, folder=folder)


@pytest.fixture(autouse=True)
def _environment(nnunet_folders, shop, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(shop.folder / "raw"))
    monkeypatch.setenv("nnUNet_preprocessed", str(shop.folder / "preprocessed"))


JOURNAL = {
    **BROKEN,
    "finished a text": put("yes", "finished"),
    "cases a text": put("a", "cases"),
    "no cases": without("cases"),
}
RECORD = {**BROKEN, "no test": without("test"), "test of text": put(["a"], "test"), "no fold": put([], "test")}
SPLITS = {**BROKEN, "a fold a list": put([], 0), "no val": without(0, "val"), "cases a text": put("case_00", 0, "val")}
GAPS = {
    **BROKEN,
    "files a list": put([], "files"),
    "unknown entry": put(1, "more"),
    "a file a number": put({"T1": 3}, "files", "case_09"),
}
RAW_JSON = {
    **BROKEN,
    "no channel_names": without("channel_names"),
    "no file_ending": without("file_ending"),
    "channel_names a list": put(["T1"], "channel_names"),
    "a channel a number": put(1, "channel_names", "0"),
    "dataset a list": put([], "dataset"),
    "an entry without images": put({"case_00": {"label": "labelsTr/case_00.nii.gz"}}, "dataset"),
    "an entry without label": put({"case_00": {"images": ["imagesTr/case_00_0000.nii.gz"]}}, "dataset"),
    "images a text": put({"case_00": {"images": "imagesTr", "label": "x"}}, "dataset"),
    "images empty": put({"case_00": {"images": [], "label": "x"}}, "dataset"),
}
PREPROCESSED_JSON = {kind: RAW_JSON[kind] for kind in ("empty", "binary", "other type", "a folder", "no channel_names")}
PLANS = {
    **BROKEN,
    "no configurations": without("configurations"),
    "a list of configurations": put([], "configurations"),
    "no architecture": without("configurations", CONFIGURATION, "architecture"),
    "a loop": put(CONFIGURATION, "configurations", CONFIGURATION, "inherits_from"),
    "settings a list": put([], "configurations", CONFIGURATION, "hetero_modal"),
}
FEW = ("empty", "no JSON", "binary", "a folder", "other type", "not UTF-8")

# What is spoilt, how, and the commands that read it. What need not be there may be gone.
ALL = [
    *(("raw", "moved_test_cases.json", kind, JOURNAL[kind], "splits") for kind in JOURNAL if kind != "gone"),
    *(("raw", "moved_test_cases.json", kind, JOURNAL[kind], "splits undo") for kind in FEW),
    *(("raw", "fill_gaps.json", kind, GAPS[kind], "fill-gaps undo") for kind in GAPS if kind != "gone"),
    *(("raw", "fill_gaps.json", kind, GAPS[kind], "fill-gaps") for kind in FEW),
    *(("raw", "dataset.json", kind, RAW_JSON[kind], "fill-gaps") for kind in RAW_JSON),
    *(("raw", "dataset.json", kind, RAW_JSON[kind], "splits") for kind in FEW),
    *(("raw", "dataset.json", kind, RAW_JSON[kind], "evaluate") for kind in (*FEW, "an entry without images")),
    *(("preprocessed", "hetero_splits.json", kind, RECORD[kind], "evaluate test") for kind in RECORD),
    *(("preprocessed", "splits_final.json", kind, SPLITS[kind], "evaluate") for kind in SPLITS),
    *(("preprocessed", "splits_final.json", kind, SPLITS[kind], "evaluate test") for kind in FEW),
    *(("preprocessed", "splits_final.json", kind, SPLITS[kind], "train") for kind in FEW),
    *(("preprocessed", "dataset.json", kind, PREPROCESSED_JSON[kind], "plan") for kind in PREPROCESSED_JSON),
    *(("preprocessed", "dataset.json", kind, PREPROCESSED_JSON[kind], "plan-subsets") for kind in PREPROCESSED_JSON),
    *(("preprocessed", "dataset.json", kind, PREPROCESSED_JSON[kind], "train") for kind in PREPROCESSED_JSON),
    *(("preprocessed", "nnUNetPlans.json", kind, PLANS[kind], "plan") for kind in PLANS),
    *(("preprocessed", "nnUNetPlans.json", kind, PLANS[kind], "train") for kind in (*FEW, "a loop", "no architecture")),
    *(
        ("raw", "cases.csv", kind, BROKEN_TABLE[kind], "splits")
        for kind in ("binary", "a folder", "a loop", "other columns")
    ),
]


@pytest.mark.parametrize(
    ("root", "name", "spoil", "command"),
    [(root, name, spoil, command) for root, name, _, spoil, command in ALL],
    ids=[f"{command}: {root} {name}, {kind}" for root, name, kind, _, command in ALL],
)
def test_is_refused(shop, root, name, spoil, command, capfd):
    with spoilt(getattr(shop, root) / name, spoil):
        code = run(*shop.commands[command])
    # Where no plans can be read, those that are asked for are not there.
    require_refusal(code, "".join(capfd.readouterr()), name.removesuffix(".json"))


def test_the_data_set_itself_is_fine(shop, capfd):
    write_json(shop.preprocessed / "splits_final.json", [{"train": ["case_01"], "val": ["case_00"]}])
    for command in ("fill-gaps", "splits", "plan-subsets", "evaluate"):
        assert run(*shop.commands[command]) == 0, capfd.readouterr()
    assert json.loads((shop.folder / "out" / "summary.json").read_text())["cases"] == 1


def test_caches_are_made_anew(tiny_model, tmp_path, capfd):
    """The intensities of the training images: whatever happened to the file, they are measured again."""
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    from nnunet_hetero.cases.intensities import CACHE_NAME, RawImages, cohort_moments
    from nnunet_hetero.modalities import Modalities

    write_case(tmp_path / "imagesTr", "a", labels=tmp_path / "labelsTr")
    shutil.copy(tiny_model.raw / tiny_model.dataset / "dataset.json", tmp_path)
    raw = RawImages(tmp_path, Modalities(("T1", "T1c", "T2", "FLAIR")), [True] * 4, SimpleITKIO())
    cache = tmp_path / CACHE_NAME
    expected = cohort_moments(raw, ["a"], cache, progress=False)
    wrong = {"stamps": put(3, "a", "stamp"), "numbers": put("bright", "a", "statistics", "T1", "mean")}
    wrong["a list"] = edited(lambda _: [])
    for kind, spoil in {**{kind: BROKEN[kind] for kind in (*FEW, "gone")}, **wrong}.items():
        with spoilt(cache, spoil):
            assert cohort_moments(raw, ["a"], cache, progress=False) == expected, kind
            printed = capfd.readouterr().out
            assert ("is kept as" in printed and str(cache) in printed) or kind == "gone", kind
