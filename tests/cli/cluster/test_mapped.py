"""What the commands of ``nnunet_hetero map`` make of their flags; with a cluster, see ``tests/cluster``."""

from __future__ import annotations

import contextlib
import shutil

import pytest
from helpers.project.pages import ROOT, code_blocks, commands_in

from nnunet_hetero.cli.cluster import mapped
from nnunet_hetero.cli.cluster.mapped import train, train_parser
from nnunet_hetero.cli.main import main
from nnunet_hetero.cluster import map_train


def test_folds_and_plans_are_lists():
    args = train_parser().parse_args(["501", "3d_fullres", "0", "1", "-p", "A", "B", "--npz", "-device", "cpu"])
    assert (args.folds, args.p, vars(args)["--npz"], vars(args)["-device"]) == (["0", "1"], ["A", "B"], True, "cpu")


def test_trainings_are_folds_times_plans(nnunet_folders, monkeypatch, capsys):
    given = {}

    def note(client, trainings, workplace):
        given.update(trainings)
        return {"fold 1, nnUNetPlans": "it ended with code 1: no"}

    monkeypatch.setattr(map_train, "map_trainings", note)
    monkeypatch.setattr(mapped, "require_possible", lambda *_: None)
    assert train(None, ["501", "3d_fullres", "0", "1", "-tr", "SubsetTrainer", "-device", "cpu", "--npz"]) == 1
    assert list(given) == ["fold 0, nnUNetPlans", "fold 1, nnUNetPlans"]
    training = given["fold 1, nnUNetPlans"]
    assert " ".join(training.arguments) == (
        "501 3d_fullres 1 -tr SubsetTrainer -p nnUNetPlans --npz --auto-continue -device cpu"
    )
    assert training.folder.endswith("Dataset501_Tiny/SubsetTrainer__nnUNetPlans__3d_fullres/fold_1")
    assert "error: fold 1, nnUNetPlans: it ended with code 1: no" in capsys.readouterr().out


def test_trainings_of_the_page(nnunet_folders, tmp_path, monkeypatch):
    """Each command of the page is understood, with the cluster that it names."""
    page = ROOT / "docs/how-to/predict-thousands-of-cases.md"
    commands = [words for words in commands_in("\n".join(code_blocks(page, "bash"))) if words[1:3] == ["map", "train"]]
    preprocessed = tmp_path / "preprocessed"
    shutil.copytree(nnunet_folders.preprocessed, preprocessed)
    monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed))
    for name in ("T1", "T2"):
        folder = preprocessed / nnunet_folders.dataset
        shutil.copy(folder / "nnUNetPlans.json", folder / f"nnUNetPlans_{name}.json")
    given: list[list[str]] = []
    monkeypatch.setattr(mapped, "require_possible", lambda *_: None)

    def note(client, trainings, workplace):
        given.append([client, *trainings])
        return {}

    monkeypatch.setattr(map_train, "map_trainings", note)
    monkeypatch.setattr(
        "nnunet_hetero.cluster.connection.connected", lambda request: contextlib.nullcontext(request.where)
    )
    assert [main(words[1:]) for words in commands] == [0, 0]
    assert given == [
        ["slurm.yaml", *(f"fold {number}, nnUNetPlans" for number in range(5))],
        ["slurm.yaml", "fold 0, nnUNetPlans_T1", "fold 0, nnUNetPlans_T2"],
    ]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["fly"], "map fly: there is no such command"),
        (["predict", "--cluster", "nowhere"], "choose 'local', the address"),
        (["predict", "--cluster", "tcp://192.0.2.1:1"], "without TLS"),
    ],
)
def test_what_is_refused(argv, said, capsys):
    assert main(["map", *argv]) == 1
    assert said in capsys.readouterr().err


def test_a_shared_folder_that_may_not_be_written_to(nnunet_folders, monkeypatch, capsys):
    def refuse(file, *_, **__):
        raise OSError(30, "Read-only file system", str(file))

    monkeypatch.setattr("nnunet_hetero.cluster.connection.connected", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(mapped, "require_possible", lambda *_: None)
    monkeypatch.setattr("pathlib.Path.touch", refuse)
    assert main(["map", "train", "501", "3d_fullres", "0"]) == 1
    said = capsys.readouterr().err
    assert "Read-only file system" in said and str(nnunet_folders.results) in said


def test_without_dask_it_is_told(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["map", "predict"]) == 1
    assert "pip install 'nnunet_hetero[cluster]'" in capsys.readouterr().err


def test_help(capsys):
    assert main(["map", "-h"]) == 0
    assert "--trust_network" in capsys.readouterr().out
