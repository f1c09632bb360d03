"""The certificate of a run: valid for nodes whose clocks differ from ours."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone

import pytest
from distributed import Client, LocalCluster

from nnunet_hetero.cluster.certificate import new_certificate


def test_a_clock_that_is_behind_or_ahead():
    x509 = pytest.importorskip("cryptography.x509")
    found = x509.load_pem_x509_certificate(new_certificate().tls_ca_file.encode())
    now = datetime.now(timezone.utc)
    assert found.not_valid_before_utc < now - timedelta(hours=23)
    assert found.not_valid_after_utc > now + timedelta(days=300)


def test_all_roles_speak_by_it_and_strangers_do_not():
    own = new_certificate()
    keys = {"n_workers": 1, "processes": False, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(security=own, protocol="tls://", host="127.0.0.1", **keys) as cluster:
        with Client(cluster.scheduler_address, security=own) as client:
            assert client.submit(int, "7").result(60) == 7
        with pytest.raises((OSError, ssl.SSLError)):
            Client(cluster.scheduler_address, security=new_certificate(), timeout=2)
