"""A scheduler's signal, which ends a command as Ctrl-C does, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from nnunet_hetero.io.stopping import requests
from nnunet_hetero.io.stopping.handlers import stop_numbers
from nnunet_hetero.io.stopping.requests import StopRequest, requests_to_stop


def test_requests_are_heard_where_nobody_hears_them(monkeypatch):
    monkeypatch.setattr(requests, "SECONDS_TO_END", 1e6)  # it would end the tests
    before = [signal.getsignal(number) for number in stop_numbers()]
    for number in stop_numbers():
        with pytest.raises(StopRequest) as request, requests_to_stop():
            os.kill(os.getpid(), number)
            time.sleep(5)
        assert request.value.number == number
    assert [signal.getsignal(number) for number in stop_numbers()] == before
    heard = []
    first = signal.signal(signal.SIGTERM, lambda *_: heard.append("by another"))
    try:
        with requests_to_stop():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGTERM, first)
    assert heard == ["by another"]


TWICE = """
import os, signal, sys, time
from nnunet_hetero.io.stopping import requests
requests.SECONDS_TO_END, requests.SAME_REQUEST_SECONDS = float(sys.argv[1]), float(sys.argv[2])
with requests.requests_to_stop():
    for _ in range(2):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(600)
        except KeyboardInterrupt:  # nobody listens
            time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there, SIGTERM is not heard")
@pytest.mark.parametrize(("to_end", "same"), [(600, 0), (0.5, 600)], ids=["second signal", "time is up"])
def test_a_request_that_is_not_obeyed(to_end, same):
    words = [sys.executable, "-c", TWICE, str(to_end), str(same)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 143 and done.stderr.strip().startswith("Stopped by SIGTERM."), done.stderr
