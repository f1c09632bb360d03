"""Two processes and one folder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.turns import WORK_NAME, alone_in, is_of_turns, locked

COUNT = """
import sys
from pathlib import Path
from nnunet_hetero.io.turns import locked
file = Path(sys.argv[1], "count")
for _ in range(200):
    with locked(file.parent):
        file.write_text(str(int(file.read_text()) + 1))
"""


def test_no_change_is_lost(tmp_path):
    (tmp_path / "count").write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNT, tmp_path]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "600"
    assert [entry.name for entry in tmp_path.iterdir()] == ["count"]


def test_what_a_killed_process_leaves_is_known_by_its_name(tmp_path):
    with alone_in(tmp_path), locked(tmp_path):
        names = [entry.name for entry in tmp_path.iterdir()]
    assert len(names) == 2 and all(map(is_of_turns, names)) and not is_of_turns("dataset.json")


class TestAlone:
    def test_second_is_refused_in_one_sentence(self, tmp_path):
        with alone_in(tmp_path):
            with pytest.raises(SettingsError, match=f"Another process is at work in {tmp_path}"), alone_in(tmp_path):
                pass
            with locked(tmp_path):
                pass
        with alone_in(tmp_path):
            pass
        assert not list(tmp_path.iterdir())

    def test_or_waits(self, tmp_path):
        order = []

        def second():
            with alone_in(tmp_path, wait=True):
                order.append("second")

        thread = threading.Thread(target=second)
        with alone_in(tmp_path):
            thread.start()
            thread.join(0.2)
            order.append("first")
        thread.join()
        assert order == ["first", "second"]

    def test_ends_with_a_killed_process(self, tmp_path):
        code = f"import os\nfrom nnunet_hetero.io.turns import alone_in\nwith alone_in({str(tmp_path)!r}): os._exit(9)"
        assert subprocess.run([sys.executable, "-c", code]).returncode == 9
        with alone_in(tmp_path):
            pass

    def test_of_a_killed_process_nothing_stays(self, tmp_path):
        code = f"import os\nfrom nnunet_hetero.io.turns import alone_in\nwith alone_in({str(tmp_path)!r}): os._exit(9)"
        subprocess.run([sys.executable, "-c", code], check=False)
        assert len(list(tmp_path.iterdir())) == 1
        with alone_in(tmp_path):
            pass
        assert not list(tmp_path.iterdir())

    def test_a_full_disk_is_told_with_the_file(self, tmp_path, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("nnunet_hetero.io.turns.open", full, raising=False)
        with pytest.raises(OSError, match="No space left") as error, alone_in(tmp_path):
            pass
        assert error.value.filename.startswith(str(tmp_path / WORK_NAME))
        assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="only whole folders are guarded there")
class TestCasesOfAFolder:
    def test_others_may_be_at_work_on_other_cases(self, tmp_path):
        with alone_in(tmp_path, ["a", "b"]), alone_in(tmp_path, ["c"]):
            pass
        assert not list(tmp_path.iterdir())

    def test_on_the_same_they_may_not(self, tmp_path):
        on = rf"at work in {tmp_path} \(process {os.getpid()} on .+, on b and 1 more of these cases\)\. Wait"
        with alone_in(tmp_path, ["a", "b", "c"]):
            with pytest.raises(SettingsError, match=on), alone_in(tmp_path, ["c", "b", "d"]):
                pass
            with pytest.raises(SettingsError, match="at work"), alone_in(tmp_path):
                pass
        with alone_in(tmp_path), pytest.raises(SettingsError, match="at work"), alone_in(tmp_path, ["a"]):
            pass

    def test_a_note_that_cannot_be_read_may_be_of_anything(self, tmp_path):
        with alone_in(tmp_path, ["a"]):
            (note,) = tmp_path.glob(f"{WORK_NAME}.*")
            note.write_bytes(b"")
            with pytest.raises(SettingsError, match="at work"), alone_in(tmp_path, ["b"]):
                pass
