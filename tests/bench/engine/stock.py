"""Stock MPyC 0.11, as it comes: three processes on loopback. Imports nothing of ours.

    python stock.py OPERATION N REPEATS -M3     prints the seconds of each run as JSON (MPyC starts the other two)

Its own vectorised types where it has them. Sharing the inputs is not counted: what is measured is the operation on
shares, from a common start to the last party's end.
"""

import json
import sys
import time

import numpy as np
from mpyc.runtime import mpc


def numbers(seed, n, most):
    return np.random.default_rng(seed).integers(0, most, n)


def shared(kind, values):
    return mpc.input(kind.array(values), senders=0)


async def operation(name, n):
    """What is to be measured, inputs shared."""
    if name == "multiply":
        field = mpc.SecFld(modulus=2**61 - 1)
        x, y = (shared(field, field.field.array(numbers(seed, n, 2**60).astype(object))) for seed in (1, 2))
        return lambda: x * y
    secint = mpc.SecInt(32)
    half = 2**31
    if name == "histogram":
        codes = shared(secint, numbers(1, n, 16))
        return lambda: [mpc.np_sum(codes == code) for code in range(16)]
    if name == "sort":
        keys = shared(secint, numbers(1, n, half))
        return lambda: mpc.np_sort(keys)
    x, y = (shared(secint, numbers(seed, n, half)) for seed in (1, 2))
    return (lambda: x < y) if name == "less" else (lambda: x == y)


def bytes_sent():
    return sum(party.protocol.nbytes_sent for party in mpc.parties if party.pid != mpc.pid)


async def main(name, n, repeats):
    began = time.perf_counter()
    await mpc.start()
    taken, sent = [], 0
    if name == "start":
        await mpc.output(mpc.SecInt(32)(1))
        taken = [time.perf_counter() - began]
    else:
        run = await operation(name, n)
        for _ in range(repeats):
            await mpc.transfer(1)
            sent = bytes_sent()
            began = time.perf_counter()
            await mpc.gather(run())
            sent = bytes_sent() - sent
            await mpc.transfer(1)
            taken.append(time.perf_counter() - began)
    if mpc.pid == 0:
        print(json.dumps([taken, sent]), flush=True)
    await mpc.shutdown()


if __name__ == "__main__":
    mpc.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
