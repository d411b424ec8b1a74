"""Two gateways that know each other, for tests of the doctor."""

from __future__ import annotations

import pytest

from gateway.edges import transfers
from gateway.edges.keys import new_signing_key
from tests.faults.clinic import HOME, PEER, Site


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Site:
    # A tenth of a second of bulk tells a fast line from a slow one.
    monkeypatch.setattr(transfers, "FLOW_LASTS", 0.1)
    return Site(HOME, new_signing_key())


@pytest.fixture
def peer(home: Site) -> Site:
    return Site(PEER, home.anchor)
