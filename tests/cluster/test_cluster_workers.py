"""A cluster in the place of background processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk
from helpers.cluster.cluster_jobs import double
from helpers.cohorts.moved_case import FILES, phantom_images, write_model_of_phantoms

from nnunet_hetero.cli.cluster import mapped
from nnunet_hetero.cli.main import main
from nnunet_hetero.cluster.cluster_workers import ClusterWorkers
from nnunet_hetero.io.processes import are_replaced, new_workers, replaced_workers


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file but those that say when what a data set was made from was written."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.parent.name != "made_from"]
    return {file.relative_to(folder): file.read_bytes() for file in files}


def test_outcomes_come_in_the_order_of_the_jobs(client):
    with replaced_workers(lambda: ClusterWorkers(client, "double")), new_workers(4) as workers:
        assert are_replaced()
        for number in (3, 13, 1):
            workers.submit(f"key {number}", double, number)
        assert len(workers) == 3 and not workers.oldest_is_done()
        found = [workers.pop() for _ in range(3)]
        with pytest.raises(RuntimeError, match="after the first outcome"):
            workers.submit("late", double, 1)
    assert [(key, outcome.result) for key, outcome in found] == [("key 3", 6), ("key 13", None), ("key 1", 2)]
    assert found[1][1].error == "13 is no number for us" and not are_replaced()


def test_conversion_is_that_of_one_process(client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", "phantom", "-o", "raw", "--cases", "3", "--size", "24"]) == 0
    found = {}
    for name, convert in (("here", main), ("there", None)):
        monkeypatch.setenv("nnUNet_raw", str(tmp_path / name))
        (tmp_path / name).mkdir()
        arguments = ["brats", "-i", "raw", "-d", "501"]
        assert (convert(["convert", *arguments]) if convert else mapped.convert(client, arguments)) == 0
        found[name] = contents(tmp_path / name)
    assert len(found["here"]) > 12 and found["there"] == found["here"]


def test_an_intake_is_that_of_one_process(client, tiny_model, tmp_path, monkeypatch):
    """Two cases, and one that cannot be read until it has been copied again."""
    monkeypatch.chdir(tmp_path)
    write_model_of_phantoms(tiny_model.folder, tmp_path / "model")
    for case in ("a", "b", "c"):
        (tmp_path / "in" / case).mkdir(parents=True)
        for name in ("T1", "FLAIR"):
            sitk.WriteImage(phantom_images()[name], str(tmp_path / "in" / case / f"{FILES[name]}.nii.gz"))
    whole = (tmp_path / "in/b/t1.nii.gz").read_bytes()
    (tmp_path / "in/b/t1.nii.gz").write_bytes(b"damaged")
    assert main(["intake", "-i", str(tmp_path / "in"), "-o", "here", "-m", "model", "-np", "0"]) == 1
    arguments = ["-i", "in", "-o", "there", "-m", "model"]
    assert mapped.intake(client, arguments) == 1
    found = contents(tmp_path / "there")
    assert found == contents(tmp_path / "here") and Path("failed.json") in found and Path("qc/c.png") in found

    (tmp_path / "in/b/t1.nii.gz").write_bytes(whole)
    assert mapped.intake(client, arguments) == 0
    again = contents(tmp_path / "there")
    assert Path("failed.json") not in again and Path("images/b_0000.nii.gz") in again
    assert again[Path("cases/a.json")] == found[Path("cases/a.json")]
