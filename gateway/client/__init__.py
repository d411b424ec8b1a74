"""The Python SDK: ask a federation through the home gateway's client API.

    from gateway.client import Client, Profile, load_query

    with Client(Profile.load("profile.toml")) as client:
        asked = load_query("form_year.yaml").query
        computation = client.create(asked)
        for computation in client.watch(computation.name):
            print(computation.state)
        print(client.result(computation))

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.client.aio import AsyncClient
    from gateway.client.profile import Profile
    from gateway.client.queries import load_query
    from gateway.client.sync import Client

__all__ = ["AsyncClient", "Client", "Profile", "load_query"]

_WHERE = {"AsyncClient": "aio", "Client": "sync", "Profile": "profile", "load_query": "queries"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
