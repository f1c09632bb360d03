"""Single flags of nnU-Net's commands are read as nnU-Net reads them."""

from __future__ import annotations

import argparse

import pytest
from nnunetv2.inference import predict_from_raw_data
from nnunetv2.run import run_training

from nnunet_hetero.integration.nnunet_flags import PREDICT_FLAGS, TRAIN_FLAGS, flag_value

PREDICT = [
    *("-i", "in", "-o", "out", "-d", "501", "-c", "3d_fullres", "-f", "0", "1", "-p", "Plans", "-chk", "best.pth"),
    *("-prev_stage_predictions", "before", "-part_id", "0", "-num_parts", "2", "-npp", "1", "-nps", "1"),
    *("-device", "cpu", "--continue_prediction", "-step_size", "0.5"),
]
TRAIN = ["501", "3d_fullres", "0", "-p", "Plans", "-num_gpus", "1", "-device", "cpu", "--c"]


@pytest.mark.parametrize(
    ("argv", "flag", "flags", "value"),
    [
        (PREDICT, "-d", PREDICT_FLAGS, "501"),
        (PREDICT, "-c", PREDICT_FLAGS, "3d_fullres"),
        (PREDICT, "-p", PREDICT_FLAGS, "Plans"),
        (PREDICT, "-chk", PREDICT_FLAGS, "best.pth"),
        (PREDICT, "-m", PREDICT_FLAGS, None),
        (PREDICT, "-tr", PREDICT_FLAGS, None),
        (["-t", "Mine"], "-tr", PREDICT_FLAGS, "Mine"),
        (["-tr=Mine"], "-tr", PREDICT_FLAGS, "Mine"),
        (["-tr"], "-tr", PREDICT_FLAGS, None),
        (TRAIN, "-pretrained_weights", TRAIN_FLAGS, None),
        ([*TRAIN, "-pretrained_weights", "w.pth"], "-pretrained_weights", TRAIN_FLAGS, "w.pth"),
        # nnU-Net's parser refuses it, too: -p with the value "re", or an abbreviation.
        ([*TRAIN, "-pre", "w.pth"], "-pretrained_weights", TRAIN_FLAGS, None),
    ],
)
def test_value(argv, flag, flags, value):
    assert flag_value(argv, flag, flags) == value


@pytest.mark.parametrize(
    ("entry", "known"),
    [
        (run_training.run_training_entry, TRAIN_FLAGS),
        (predict_from_raw_data.predict_entry_point, PREDICT_FLAGS),
        (predict_from_raw_data.predict_entry_point_modelfolder, PREDICT_FLAGS),
    ],
)
def test_all_of_nnunets_flags_are_known(entry, known, monkeypatch):
    found = []

    class Stop(Exception):
        """Ends nnU-Net's command where it reads its arguments."""

    def note(parser, *arguments, **keywords):
        found.extend(
            option
            for action in parser._actions
            for option in action.option_strings
            if action.nargs != 0 and not option.startswith("--")
        )
        raise Stop

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", note)
    with pytest.raises(Stop):
        getattr(entry, "__wrapped__", entry)()
    assert set(found) <= set(known) and len(found) > 3
