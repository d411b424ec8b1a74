"""What `make test` leaves to `make long`: the same tests, with more parties or for longer."""

from __future__ import annotations

import os

LONG = os.environ.get("ISTHMUS_LONG") == "1"
