"""Whether a worker is fit: versions, files, output folder."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from nnunet_hetero.cluster.case_jobs import probe_in
from nnunet_hetero.cluster.workplace import Workplace, files_and_sizes, require_fit, require_fit_workers, versions
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.processes import FatalError


@pytest.fixture
def place(tmp_path):
    (tmp_path / "plans.json").write_text("{}")
    (tmp_path / "in").mkdir()
    with probe_in(tmp_path / "out") as probe:
        yield Workplace(versions(), files_and_sizes([tmp_path / "plans.json"]), (str(tmp_path / "in"),), probe)


def test_all_is_there(place, tmp_path):
    assert place.problem() is None
    require_fit(place)
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_nothing_stays_in_the_output_folder(tmp_path):
    with probe_in(tmp_path / "out") as probe:
        assert os.path.isfile(probe)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "plans.json").unlink(), "does not see the file .*plans.json"),
        (lambda folder: (folder / "plans.json").write_text("{ }"), "plans.json is another file"),
        (lambda folder: (folder / "in").rmdir(), "does not see the folder"),
        (lambda folder: next((folder / "out").iterdir()).unlink(), "does not see the output folder"),
    ],
)
def test_what_is_missing(place, tmp_path, spoil, said):
    spoil(tmp_path)
    with pytest.raises(FatalError, match=f"The worker on .* cannot be used: .*{said}"):
        require_fit(place)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_that_may_not_be_written_to(place, tmp_path):
    (tmp_path / "out").chmod(0o500)
    assert "cannot write to the output folder" in place.problem()
    (tmp_path / "out").chmod(0o700)


def test_a_disk_that_takes_nothing(place, monkeypatch):
    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    assert "cannot write to the output folder" in place.problem() and "Read-only" in place.problem()


def test_a_device_that_is_not_there(place, tmp_path):
    assert replace(place, device="cpu").problem() is None
    assert "-device mps: torch can use no Apple GPU here" in replace(place, device="mps").problem()


def test_workers_are_looked_at(client, place, tmp_path):
    require_fit_workers(client, place)
    other = Workplace((("nnunet_hetero", "0.0.1"),), (), ())
    with pytest.raises(SettingsError, match=r"worker at tls://127.* and 0\.0\.1 where the work is given out"):
        require_fit_workers(client, other)
    with pytest.raises(SettingsError, match="does not see the folder"):
        require_fit_workers(client, Workplace(versions(), (), (str(tmp_path / "nowhere"),)))
