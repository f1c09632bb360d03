"""A scheduler's signals: heard by this process, and what it forks ends at them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest

from nnunet_hetero.io.stopping.handlers import heard_by, stop_numbers
from nnunet_hetero.io.stopping.requests import requests_to_stop
from nnunet_hetero.training.interruption.launched import signals_passed_on
from nnunet_hetero.training.interruption.stop_signals import StopSignals

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows")

every_listener = pytest.mark.parametrize(
    "listening",
    [requests_to_stop, lambda: StopSignals().heard(), signals_passed_on],
    ids=["command", "trainer", "ranks"],
)


@every_listener
@pytest.mark.parametrize("number", stop_numbers())
def test_a_fork_ends_by_it_however_early_it_comes(listening, number):
    """Pools are ended so, and wait for it."""
    with listening():
        for _ in range(50):
            child = os.fork()
            if not child:
                try:
                    time.sleep(60)
                finally:  # it must not go on with the tests
                    os._exit(0)
            os.kill(child, number)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == -number


@every_listener
def test_a_pool_that_is_ended_as_soon_as_it_has_begun(listening):
    """nnU-Net lists the files of a data set so, with twelve processes for the few of them that have something to do."""
    context = multiprocessing.get_context("fork")
    with listening():
        for _ in range(5):
            with context.Pool(12) as pool:
                assert pool.map(abs, (-1, -2)) == [1, 2]


def test_handlers_of_others_are_inherited_and_put_back():
    heard = []
    numbers = stop_numbers()
    first = signal.signal(numbers[0], lambda *_: heard.append("by another"))
    try:
        with heard_by(lambda *_: heard.append("by us"), numbers[1:]):
            child = os.fork()
            if not child:
                os.kill(os.getpid(), numbers[0])
                os._exit(len(heard))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
            for number in numbers:
                os.kill(os.getpid(), number)
                time.sleep(0.01)
        assert heard == ["by another", "by us"]
        assert signal.getsignal(numbers[1]) == signal.SIG_DFL
    finally:
        signal.signal(numbers[0], first)
