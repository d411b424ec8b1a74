"""Memory that messages took serves the next ones."""

from __future__ import annotations

import subprocess
import sys

HALF_A_MIB = 512 * 1024
# Frees two at once, as a gateway does: what is on top of the heap would go back to the kernel each time.
CARRIES = f"""
import resource
from gateway.edges.memory import keep_what_is_freed
keep_what_is_freed()
def carry(times):
    for _ in range(times):
        held = [b"x" * {HALF_A_MIB} for _ in range(6)]
        del held
carry(3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
carry(50)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_messages_of_half_a_mib_fault_no_pages_in_again() -> None:
    told = subprocess.run([sys.executable, "-c", CARRIES], check=True, capture_output=True, text=True)
    assert int(told.stdout) < HALF_A_MIB // 4096
