"""What the figures share."""

from __future__ import annotations

from matplotlib import rc_context, rcParams, rcParamsDefault

from nnunet_hetero.evaluation.report.figures.common import own_style


def test_letters_have_their_size_whatever_the_process_has_set():
    """As after nnU-Net's figure of a training, which leaves letters of 30 points behind."""

    @own_style()
    def size():
        return rcParams["font.size"]

    with rc_context({"font.size": 30}):
        assert size() == size() == rcParamsDefault["font.size"]
        assert rcParams["font.size"] == 30
