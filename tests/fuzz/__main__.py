"""`make fuzz`: a million tokens and a million frames of the party channel, on every core, from a seed that is printed.

Ends with 1 at the first finding.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz import channel, run
from tests.fuzz.run import Finding, Tally

SHARD = 20_000  # inputs between two lines of progress


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    findings = [_fuzz(name, work, asked) for name, work in (("tokens", run.run), ("party channel", channel.run))]
    return int(any(findings))


def _fuzz(name: str, work: Callable[[int, int], Tally], asked: argparse.Namespace) -> bool:
    """Whether there was a finding."""
    shards = [min(SHARD, asked.inputs - done) for done in range(0, asked.inputs, SHARD)]
    print(f"{name}: {asked.inputs:,} inputs, seeds {asked.seed} to {asked.seed + len(shards) - 1}")
    began, total = time.monotonic(), Tally()
    with ProcessPoolExecutor(asked.workers, max_tasks_per_child=None) as pool:
        try:
            for tally in pool.map(work, range(asked.seed, asked.seed + len(shards)), shards):
                total += tally
                speed = total.inputs / (time.monotonic() - began)
                print(f"  {total.inputs:>9,} inputs, {speed:,.0f} a second", flush=True)
        except Finding as finding:
            pool.shutdown(cancel_futures=True)
            print(f"FOUND: {finding}")
            return True
    took = time.monotonic() - began
    print(f"{total.inputs:,} inputs in {took:.0f} s, {total.inputs / took:,.0f} a second, no finding")
    print(f"slowest input {total.slowest * 1000:.0f} ms, memory grew by at most {total.grown:.0f} MiB a worker")
    print("refused:", ", ".join(f"{name} {count:,}" for name, count in total.refused.most_common()))
    print("accepted, rightly signed or harmless:", f"{total.accepted.total():,}")
    return False


if __name__ == "__main__":
    sys.exit(main())
