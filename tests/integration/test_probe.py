"""The process that imports what an installation needs, and may die of it."""

from __future__ import annotations

import subprocess
import sys

from nnunet_hetero.integration import probe


def test_a_crash_leaves_what_was_known(monkeypatch):
    script = f"print('{probe.MARK}' + '{{\"stage\": \"torch\"}}', flush=True); import os; os.abort()"
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **how: run([sys.executable, "-c", script], **how))
    outcomes = probe.run_probe()
    assert "error" not in outcomes["torch"]
    assert all("ended with code" in outcomes[stage]["error"] for stage in ("libraries", "trainers", "device"))


def test_every_stage_of_a_sound_installation():
    outcomes = probe.run_probe()
    assert list(outcomes) == list(probe.STAGES)
    assert not [outcome for outcome in outcomes.values() if "error" in outcome]
    assert set(outcomes["trainers"]["found"]) >= {"HeteroModalVAETrainer"}
    assert outcomes["device"]["kind"] in ("cuda", "mps", "cpu")
