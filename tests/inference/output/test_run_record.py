"""``run.json`` and ``failed.json``: what made each file, and what failed."""

from __future__ import annotations

import hashlib
import json
import platform

import pytest
import torch

from nnunet_hetero.cases.prepare import Failure
from nnunet_hetero.inference.output.run_record import PeakMemory, describe_run, record_cases, record_failures
from nnunet_hetero.io.digests import sha256_of

CPU = torch.device("cpu")


@pytest.fixture
def checkpoint(tmp_path):
    file = tmp_path / "fold_3" / "checkpoint_final.pth"
    file.parent.mkdir()
    file.write_bytes(b"weights" * 1_000_000)  # more than is read at once
    return file


def content_of(folder, name="run.json") -> dict:
    return json.loads((folder / name).read_text())


class TestRun:
    def test_says_model_bytes_flags_versions_and_device(self, checkpoint):
        run = describe_run({"trainer": "Ours"}, [checkpoint], {"axes": (0, 1)}, CPU)
        digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        assert run["model"] == {
            "trainer": "Ours",
            "checkpoints": [{"file": "fold_3/checkpoint_final.pth", "sha256": digest}],
        }
        assert run["flags"] == {"axes": [0, 1]}  # as it comes back from the file
        assert run["versions"]["torch"] == torch.__version__ and run["device"] == f"cpu ({platform.machine()})"

    def test_other_weights_are_another_run(self, checkpoint):
        before = sha256_of(checkpoint)
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"!")
        assert sha256_of(checkpoint) != before

    def test_equal_runs_are_one_entry_and_cases_point_at_theirs(self, checkpoint, tmp_path):
        first, second = (describe_run({}, [checkpoint], {"samples": number}, CPU) for number in (1, 2))
        for case, run in (("c", first), ("a", second), ("b", describe_run({}, [checkpoint], {"samples": 1}, CPU))):
            record_cases(tmp_path, [(case, run, {"seconds": {"predicting": 1.5}})])
        content = content_of(tmp_path)
        assert content["runs"] == [first, second]
        assert {case: entry["run"] for case, entry in content["cases"].items()} == {"a": 1, "b": 0, "c": 0}
        assert list(content["cases"]) == ["a", "b", "c"] and content["cases"]["a"]["seconds"] == {"predicting": 1.5}

    def test_a_case_done_again_has_one_entry(self, tmp_path):
        record_cases(tmp_path, [("a", {"flags": 1}, {"peak_memory_bytes": 5})])
        record_cases(tmp_path, [("a", {"flags": 2}, {})])
        assert content_of(tmp_path)["cases"] == {"a": {"run": 1}}


class TestFailures:
    def test_a_case_is_in_the_list_until_it_succeeds(self, tmp_path):
        record_failures(tmp_path, {"b": Failure("reading", "no image")})
        record_failures(tmp_path, {"a": Failure("exporting", "disk full")})
        assert content_of(tmp_path, "failed.json") == {
            "a": {"reason": "disk full", "step": "exporting"},
            "b": {"reason": "no image", "step": "reading"},
        }
        record_failures(tmp_path, {"b": None})
        assert list(content_of(tmp_path, "failed.json")) == ["a"]
        record_failures(tmp_path, {"a": None})
        assert not (tmp_path / "failed.json").exists()

    def test_success_alone_writes_no_list(self, tmp_path):
        record_failures(tmp_path, {"a": None})
        assert not (tmp_path / "failed.json").exists()


@pytest.mark.skipif(platform.system() == "Windows", reason="the system does not tell")
def test_memory_of_this_process_is_in_bytes():
    memory = PeakMemory(CPU)
    memory.start()
    block = torch.ones(40_000_000)  # 160 MB, touched
    assert 160e6 < memory.read() < 1e12
    del block
