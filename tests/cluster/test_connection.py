"""Which clusters are reached, and which are refused."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import subprocess
import sys
import time

import pytest
from distributed import Client, LocalCluster
from distributed.security import Security
from distributed.utils import LoopRunner

from nnunet_hetero.cluster.connection import ClusterRequest, connected
from nnunet_hetero.cluster.fan_out import FanOut
from nnunet_hetero.errors import SettingsError


@pytest.fixture(autouse=True)
def patient_loops(monkeypatch):
    """What a busy machine needs with Dask, and a test that makes many clients.

    The thread of a new loop gets ten seconds to begin, and then a client fails. And a client that failed waits for a
    lock when it is freed; where that happens while another one begins, which has the lock, both wait forever.
    """
    start = LoopRunner.start

    def patiently(runner: LoopRunner) -> None:
        for _ in range(30):
            with contextlib.suppress(AssertionError):
                return start(runner)
            runner._loop_thread = None
        start(runner)

    monkeypatch.setattr(LoopRunner, "start", patiently)
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def refusal(request: ClusterRequest) -> str:
    with pytest.raises(SettingsError) as caught, connected(request):
        pass
    return str(caught.value)


def test_what_is_no_cluster():
    assert "choose 'local', the address" in refusal(ClusterRequest("somewhere"))
    assert "begins with tls:// or tcp://" in refusal(ClusterRequest("http://127.0.0.1:8786"))
    assert "this is no address (Invalid IPv6" in refusal(ClusterRequest("tls://[::1:8786"))
    assert "is not there" in refusal(ClusterRequest("no.yaml"))


def test_a_network_without_tls_is_not_trusted():
    assert "whoever can reach the network can run code" in refusal(ClusterRequest("tcp://192.0.2.1:8786"))


@pytest.mark.parametrize("host", ["nowhere", "a..b", "x" * 70], ids=["unknown", "empty", "long"])
def test_a_host_that_there_is_not(monkeypatch, host):
    find = socket.getaddrinfo

    def getaddrinfo(name, *arguments, **keywords):
        if name == "nowhere":
            raise socket.gaierror(-2, "Name or service not known")
        return find(name, *arguments, **keywords)

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    monkeypatch.setattr("nnunet_hetero.cluster.connection.SECONDS_TO_ANSWER", 1)
    assert "without TLS" in refusal(ClusterRequest(f"tcp://{host}:8786"))
    assert "no scheduler answers there" in refusal(ClusterRequest(f"tls://{host}:8786"))


def test_a_scheduler_that_does_not_answer(monkeypatch):
    monkeypatch.setattr("nnunet_hetero.cluster.connection.SECONDS_TO_ANSWER", 1)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        assert "no scheduler answers there" in refusal(ClusterRequest(f"tcp://127.0.0.1:{taken.getsockname()[1]}"))


def test_ours_speaks_tls_on_this_machine_alone(client, monkeypatch):
    address = client.scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    assert all(worker.startswith("tls://127.0.0.1:") for worker in client.scheduler_info()["workers"])
    assert client.dashboard_link.startswith("http://127.0.0.1:")
    stranger = Security.temporary()  # a certificate, but not ours
    with pytest.raises(OSError):
        Client(address, security=stranger, timeout=2)
    with pytest.raises(OSError):
        Client(address.replace("tls", "tcp"), timeout=2)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows")
def test_workers_never_hear_an_interrupt(client):
    assert all(client.run(lambda: signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())).values())


def test_a_scheduler_elsewhere_by_tls(tmp_path, monkeypatch):
    """With files as an administrator makes them; without them it is out of reach."""
    monkeypatch.setattr("nnunet_hetero.cluster.connection.SECONDS_TO_ANSWER", 60)
    temporary = Security.temporary()
    files = tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem"
    texts = temporary.tls_ca_file, temporary.tls_client_cert, temporary.tls_client_key
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    keys = {"n_workers": 0, "dashboard_address": None}
    with LocalCluster(security=temporary, protocol="tls://", host="127.0.0.1", **keys) as cluster:
        address = cluster.scheduler_address
        with connected(ClusterRequest(address, tls=tuple(map(str, files)))) as client:
            assert client.scheduler_info()["workers"] == {}
        monkeypatch.setattr("nnunet_hetero.cluster.connection.SECONDS_TO_ANSWER", 3)
        assert "--tls CA CERTIFICATE KEY" in refusal(ClusterRequest(address))
    assert "is not there" in refusal(ClusterRequest("tls://127.0.0.1:1", tls=("no.pem", "no.pem", "no.pem")))


def test_a_scheduler_that_goes_away(monkeypatch):
    """In the middle of a job; what was done before is not lost, and the command ends soon."""
    monkeypatch.setattr("nnunet_hetero.cluster.connection.SECONDS_TO_ANSWER", 60)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    started = ["scheduler", "--host", "127.0.0.1", "--port", address.split(":")[1], "--no-dashboard"]
    with subprocess.Popen([*dask, *started], stderr=subprocess.DEVNULL) as scheduler:
        try:
            worker = ["worker", f"tcp://{address}", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
            with subprocess.Popen([*dask, *worker, "--death-timeout", "60"], stderr=subprocess.DEVNULL) as at_work:
                try:
                    with (
                        pytest.raises(SettingsError, match=r"scheduler of the cluster has gone.*run the same command"),
                        connected(ClusterRequest(f"tcp://{address}")) as client,
                    ):
                        outcomes = FanOut(client, "sleep").run(time.sleep, {"short": (0,), "long": (600,)})
                        assert next(outcomes)[0] == "short"
                        scheduler.kill()
                        next(outcomes)
                finally:
                    at_work.kill()
        finally:
            scheduler.kill()


def test_workers_that_are_too_busy_to_take_their_leave(monkeypatch):
    class Busy(contextlib.AbstractContextManager):
        dashboard_link = ""

        def __exit__(self, *_):
            raise TimeoutError

    monkeypatch.setattr("nnunet_hetero.cluster.connection._client_of_address", lambda _: Busy())
    request = ClusterRequest("tcp://127.0.0.1:1")
    with connected(request):
        pass
    with pytest.raises(TimeoutError), connected(request):
        raise TimeoutError("of the work itself")
