"""``nnunet_hetero submit``: what is printed, and what is refused."""

from __future__ import annotations

import pytest

from nnunet_hetero.cli.main import main

TRAIN = ["train", "501", "3d_fullres", "0", "1"]


def test_print_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lsf.yaml").write_text("scheduler: lsf\nqueue: gpu\nwalltime: 02:00:00\n")
    assert main(["submit", "--resources", "lsf.yaml", "--queue", "other", "--print", *TRAIN]) == 0
    printed = capsys.readouterr().out
    assert '#BSUB -J "nnunet_hetero_train[1-2]"' in printed and "#BSUB -q other" in printed
    assert "#BSUB -W 02:00" in printed and "train 501 3d_fullres 1 --auto-continue ;;" in printed
    assert [file.name for file in tmp_path.iterdir()] == ["lsf.yaml"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "the scheduler is not named; known are slurm, lsf, pbs"),
        (["--scheduler", "sge"], "the scheduler is sge; known are slurm, lsf, pbs"),
        (["--scheduler", "pbs", "--walltime", "never"], "the walltime is 'never'"),
        (["--scheduler", "pbs", "--resources", "no.yaml"], "is not there"),
        (["--scheduler", "slurm", "--setup", "a\nb"], "has several lines"),
        (["--scheduler", "slurm"], "There is no 'sbatch' here"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, capsys, flags, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["submit", *flags, *TRAIN]) == 1
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_what_the_batch_system_does_not_take(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qsub").write_text("#!/bin/sh\necho 'unknown queue' >&2\nexit 1\n")
    (tmp_path / "qsub").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("nnunet_hetero.cli.cluster.beforehand.require_possible", lambda *_: None)
    assert main(["submit", "--scheduler", "pbs", *TRAIN]) == 1
    assert "'qsub' does not take" in (said := capsys.readouterr().err) and "unknown queue" in said


def test_a_script_that_pbs_may_still_need_is_not_replaced(tmp_path, monkeypatch, capsys):
    """Its jobs name it when they queue themselves again; other batch systems keep a copy."""
    monkeypatch.chdir(tmp_path)
    for name in ("qsub", "sbatch"):
        (tmp_path / name).write_text("#!/bin/sh\necho 7\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("nnunet_hetero.cli.cluster.beforehand.require_possible", lambda *_: None)
    pbs = ["submit", "--scheduler", "pbs"]
    assert main([*pbs, *TRAIN]) == 0
    assert main([*pbs, *TRAIN]) == 0  # the same
    before = (tmp_path / "nnunet_hetero_train.sh").read_text()
    assert main([*pbs, *TRAIN, "2"]) == 1
    assert "is there already, with other jobs in it" in capsys.readouterr().err
    assert (tmp_path / "nnunet_hetero_train.sh").read_text() == before
    assert main([*pbs, "--script", "other.sh", *TRAIN, "2"]) == 0
    (tmp_path / "own.sh").write_text("#!/bin/bash\nnnunet_hetero submit ...\n")
    assert main(["submit", "--scheduler", "slurm", "--script", "own.sh", *TRAIN]) == 1
    assert "is not a script of 'nnunet_hetero submit'" in capsys.readouterr().err
    assert (tmp_path / "own.sh").read_text().endswith("submit ...\n")
    assert main(["submit", "--scheduler", "slurm", *TRAIN, "2"]) == 0
