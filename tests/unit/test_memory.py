"""Memory that messages took serves the next ones; what a start makes is not looked through for garbage."""

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
# A gateway's parts, loaded as its command does.
STARTS = """
import gc
from gateway.edges.memory import collect_seldom, set_aside
came = gc.get_threshold()
collect_seldom()
before = [one["collections"] for one in gc.get_stats()]
import gateway.app
young, _, full = (one["collections"] - was for one, was in zip(gc.get_stats(), before))
set_aside()
print(young, full, gc.get_freeze_count(), gc.get_threshold() == came)
"""

# A command, up to the last that runs before the interpreter takes itself apart.
ENDS = """
import atexit, gc, sys
atexit.register(lambda: print(gc.get_freeze_count()))
sys.argv = ["isthmus", "--help"]
from gateway.__main__ import main
main()
"""


def test_messages_of_half_a_mib_fault_no_pages_in_again() -> None:
    told = subprocess.run([sys.executable, "-c", CARRIES], check=True, capture_output=True, text=True)
    assert int(told.stdout) < HALF_A_MIB // 4096


def test_a_start_is_not_looked_through_for_garbage_and_what_follows_is() -> None:
    told = subprocess.run([sys.executable, "-c", STARTS], check=True, capture_output=True, text=True)
    young, full, set_aside, as_before = told.stdout.split()
    assert int(young) < 40 and full == "0"  # as Python comes: 250, and all of it twice
    assert int(set_aside) > 50_000 and as_before == "True"


def test_what_a_command_leaves_is_not_looked_through_for_garbage() -> None:
    told = subprocess.run([sys.executable, "-c", ENDS], check=True, capture_output=True, text=True)
    assert int(told.stdout.splitlines()[-1]) > 10_000
