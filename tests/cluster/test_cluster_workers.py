"""A cluster in the place of background processes."""

from __future__ import annotations

import pytest
from helpers.cluster_jobs import double

from nnunet_hetero.cli.cluster import mapped
from nnunet_hetero.cli.main import main
from nnunet_hetero.cluster.cluster_workers import ClusterWorkers
from nnunet_hetero.io.processes import are_replaced, new_workers, replaced_workers


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
        files = [file for file in (tmp_path / name).rglob("*") if file.is_file() and file.parent.name != "made_from"]
        found[name] = {file.relative_to(tmp_path / name): file.read_bytes() for file in files}
    assert len(found["here"]) > 12 and found["there"] == found["here"]
