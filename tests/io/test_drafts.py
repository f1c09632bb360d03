"""Drafts: each of one process, and cleared when that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from nnunet_hetero.io import drafts
from nnunet_hetero.io.drafts import DAY, Owner, clear_drafts, is_draft, new_draft

SCRIPT = """
import sys
from nnunet_hetero.io.drafts import new_draft
new_draft(sys.argv[1]).mkdir()
new_draft(sys.argv[1]).write_text("half")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path):
    """A process that has two drafts of ``a.csv`` in `tmp_path`, and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tmp_path / "a.csv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def rename(folder, **changes) -> None:
    """Give all drafts in a folder to another owner."""
    own = Owner.this_process()
    for draft in list(folder.iterdir()):
        name = draft.name
        for field, value in changes.items():
            name = name.replace(str(getattr(own, field)), str(value))
        draft.rename(folder / name)


class TestNames:
    def test_no_two_are_alike_and_all_are_hidden(self, tmp_path):
        names = {new_draft(tmp_path / "a.nii.gz").name for _ in range(10)}
        assert len(names) == 10
        assert all(name.startswith(".a.nii.gz.") and not name.endswith(".gz") and is_draft(name) for name in names)

    @pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, ".hidden", "a b.draft"])
    def test_any_name_has_one(self, name, tmp_path):
        draft = new_draft(tmp_path / name)
        draft.touch()
        assert is_draft(draft.name)

    @pytest.mark.parametrize("name", [".notes.draft", "a.draft", ".a.csv", ".a.12345678-1-draft"])
    def test_others_are_left_alone(self, name, tmp_path):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
        clear_drafts(tmp_path)
        assert (tmp_path / name).exists()


class TestClearing:
    def test_a_living_process_keeps_its_drafts_a_killed_one_does_not(self, tmp_path, other_process):
        clear_drafts(tmp_path)
        assert len(list(tmp_path.iterdir())) == 2
        other_process.kill()
        other_process.wait()
        clear_drafts(tmp_path)
        assert not list(tmp_path.iterdir())

    def test_a_zombie_is_gone(self, tmp_path, other_process):
        """Its parent has not asked for the exit code yet, as in a job that restarts its steps."""
        other_process.kill()
        for _ in range(100):
            clear_drafts(tmp_path)
            if not list(tmp_path.iterdir()):
                return
            time.sleep(0.05)
        pytest.fail("The drafts of a killed process stay.")

    @pytest.mark.parametrize("host", ["n\udcff\udcfe", "nöde 1", "-x", ""])
    def test_any_host_has_drafts(self, tmp_path, monkeypatch, host):
        monkeypatch.setattr(drafts.platform, "node", lambda: host)
        drafts._machine.cache_clear()
        try:
            assert is_draft(new_draft(tmp_path / "a").name) and Owner.this_process().is_gone() is False
        finally:
            drafts._machine.cache_clear()

    def test_own_drafts_stay_while_this_process_lives(self, tmp_path):
        new_draft(tmp_path / "a").mkdir()
        clear_drafts(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1

    @pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="other systems do not tell when a process started")
    def test_a_number_that_another_process_has_now_is_known(self, tmp_path):
        new_draft(tmp_path / "a").mkdir()
        rename(tmp_path, started=Owner.this_process().started - 1)
        clear_drafts(tmp_path)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(("age", "there"), [(0, True), (DAY + 60, False)])
    def test_of_another_machine_only_when_old(self, age, there, tmp_path):
        new_draft(tmp_path / "a").mkdir()
        rename(tmp_path, machine="0" * 8)
        (draft,) = tmp_path.iterdir()
        os.utime(draft, (time.time() - age,) * 2)
        clear_drafts(tmp_path)
        assert draft.exists() == there

    @pytest.mark.parametrize("name", [".a.unfinished-abc123_x", ".installing-abc123_x", ".a.nii.gz.1234.tmp"])
    def test_of_earlier_versions_only_when_old(self, name, tmp_path):
        (tmp_path / name).mkdir()
        clear_drafts(tmp_path)
        assert (tmp_path / name).exists()
        os.utime(tmp_path / name, (0, 0))
        clear_drafts(tmp_path)
        assert not (tmp_path / name).exists()

    def test_first_draft_in_a_folder_clears_it(self, tmp_path, other_process, monkeypatch):
        monkeypatch.setattr(drafts, "_cleared", set())
        other_process.kill()
        other_process.wait()
        assert not new_draft(tmp_path / "b").exists()
        assert not list(tmp_path.iterdir())

    def test_link_is_removed_not_followed(self, tmp_path):
        target = tmp_path / "kept"
        target.mkdir()
        (target / "file").touch()
        link = tmp_path / "folder" / ".a.installing-"
        link.parent.mkdir()
        link = link.with_name(".installing-abc123_x")
        link.symlink_to(target)
        os.utime(link, (0, 0), follow_symlinks=False)
        clear_drafts(link.parent)
        assert not link.is_symlink() and (target / "file").exists()
