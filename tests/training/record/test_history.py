"""What training keeps per epoch, on disk and over an interruption."""

from __future__ import annotations

import json
import math

import numpy as np
from nnunetv2.training.logging.nnunet_logger import MetaLogger

from nnunet_hetero.training.record.history import FIGURE_NAME, TABLE_NAME, History

PNG = b"\x89PNG"


def two_epochs() -> History:
    history = History()
    for epoch in range(2):
        history.log("loss/kl", 3.0 - epoch, epoch)
        history.log("loss/total", np.float32(1.5), np.int64(epoch))
        history.log("pseudo_dice/1", math.nan if epoch == 0 else 0.25, epoch)
    return history


class TestFiles:
    def test_table_has_null_for_nan(self, tmp_path):
        history = two_epochs()
        history.log("loss/kl", math.inf, 2)
        history.write(tmp_path)
        text = (tmp_path / TABLE_NAME).read_text()
        assert json.loads(text) == {
            "loss/kl": {"0": 3.0, "1": 2.0, "2": None},
            "loss/total": {"0": 1.5, "1": 1.5},
            "pseudo_dice/1": {"0": None, "1": 0.25},
        }
        assert "NaN" not in text

    def test_figure(self, tmp_path):
        two_epochs().write(tmp_path)
        assert (tmp_path / FIGURE_NAME).read_bytes()[:4] == PNG
        assert {file.name for file in tmp_path.iterdir()} == {FIGURE_NAME, TABLE_NAME}

    def test_before_the_first_epoch(self, tmp_path):
        History().write(tmp_path)
        assert json.loads((tmp_path / TABLE_NAME).read_text()) == {}
        assert (tmp_path / FIGURE_NAME).is_file()

    def test_written_again(self, tmp_path):
        history = two_epochs()
        history.write(tmp_path)
        history.log("loss/kl", 9.0, 2)
        history.write(tmp_path)
        assert json.loads((tmp_path / TABLE_NAME).read_text())["loss/kl"]["2"] == 9.0


class TestResume:
    def test_continues(self):
        resumed = History()
        resumed.load_state_dict(two_epochs().state_dict())
        resumed.log("loss/kl", 1.0, 2)
        resumed.log("loss/new", 1.0, 2)
        assert resumed.values["loss/kl"] == {0: 3.0, 1: 2.0, 2: 1.0}
        assert resumed.values["loss/new"] == {2: 1.0}

    def test_an_epoch_done_again_replaces_the_first(self):
        history = two_epochs()
        history.log("loss/kl", 7.0, 1)
        assert history.values["loss/kl"] == {0: 3.0, 1: 7.0}

    def test_state_is_a_copy_of_plain_numbers(self):
        history = two_epochs()
        state = history.state_dict()
        history.log("loss/kl", 1.0, 2)
        assert state["loss/kl"] == {0: 3.0, 1: 2.0}
        assert all(type(value) is float for series in state.values() for value in series.values())
        assert all(type(step) is int for series in state.values() for step in series)


class TestBesideNnunetsLogger:
    def test_receives_what_nnunet_logs(self, tmp_path):
        logger, history = MetaLogger(str(tmp_path), False), History()
        logger.loggers.append(history)
        logger.update_config({"plans": {}})
        logger.log("train_losses", np.float32(0.5), 0)
        logger.log("dice_per_class_or_region", [0.25, np.float64(0.75)], 0)
        logger.log_summary("final_val/foreground_dice", 0.5)
        assert history.values["train_losses"] == {0: 0.5}
        assert history.values["dice_per_class_or_region/class_2"] == {0: 0.75}
