"""Flat TOML, as the sandbox's configurations need it."""

from __future__ import annotations

import json
from collections.abc import Mapping


def toml(values: Mapping[str, object]) -> str:
    """JSON's strings, numbers, booleans and arrays are TOML's too."""
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
