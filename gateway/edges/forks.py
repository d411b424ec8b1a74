"""Children are started while gRPC runs, and they exec at once: gRPC's own fork handlers are not for them.

Left on, those handlers run between fork and exec, find other threads inside gRPC, and may end the child.
"""

from __future__ import annotations

import os


def leave_forks_alone() -> None:
    """To be called before gRPC is imported, which is when it looks; children inherit it."""
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
