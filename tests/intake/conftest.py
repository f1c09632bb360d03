"""A DICOM study, and a case whose images lie on different grids, that several tests read."""

from __future__ import annotations

import pytest
from helpers.cohorts.dicom_study import write_study
from helpers.cohorts.moved_case import moved_case, target, write_moved_cases

from nnunet_hetero.intake.cohort.run import proposed_series, take_in
from nnunet_hetero.intake.one_case import prepare_images
from nnunet_hetero.intake.options import IntakeOptions


@pytest.fixture
def cases_of(monkeypatch):
    """Function that lets the cases be noted which a module's function, called with a job for each, really does."""

    def cases_of(module, function: str) -> list[str]:
        names: list[str] = []
        real = getattr(module, function)

        def noting(job):
            names.append(job.case)
            return real(job)

        monkeypatch.setattr(module, function, noting)
        return names

    return cases_of


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """An input folder with one case, ``Fall 1``: T1c, T2 and FLAIR, a localizer, a map. Copy it to change it."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder / "Fall 1")
    return folder


@pytest.fixture(scope="session")
def moved_input(tmp_path_factory):
    """An input folder with ``Fall ä``, whose FLAIR was taken after the patient had moved. Copy it to change it."""
    folder = tmp_path_factory.mktemp("moved")
    write_moved_cases(folder, ("Fall ä",))
    return folder


@pytest.fixture(scope="session")
def prepared():
    """The same case, prepared in memory."""
    return prepare_images("Fall ä", moved_case(), target(), IntakeOptions())


@pytest.fixture(scope="session")
def taken_in(moved_input, tmp_path_factory):
    """The output folder of an intake of `moved_input`. Copy it to change it."""
    out = tmp_path_factory.mktemp("taken")
    series = proposed_series(moved_input, out, target(), None)
    assert take_in(series, moved_input, out, target(), IntakeOptions()).done == ["Fall ä"]
    return out
