"""SPU's three parties on loopback, ABY3 over a ring of 64 bits. Runs in an environment of its own: no import of ours.

    python spu_party.py JOBS     jobs: [[operation, n, repeats], ...] as JSON; prints one line of JSON per job

Each party is a process; links are brpc over TCP on 127.0.0.1. Compiling is not counted, nor is sharing the inputs:
what is measured is `Runtime.run` on shares, from a common start to the last party's end.
"""

import json
import os
import pickle
import socket
import subprocess
import sys
import time

import jax.numpy as jnp
import numpy as np
from spu import api, libspu
from spu.utils import frontend

PARTIES = 3


def operations():
    def sort(x):
        return jnp.sort(x)

    def histogram(x):
        return jnp.stack([jnp.sum(x == code) for code in range(16)])

    def numbers(n):
        return np.random.default_rng(1).integers(-(2**31), 2**31, n, dtype=np.int64).astype(np.int32)

    def pairs(n):
        return numbers(n), numbers(n)[::-1].copy()

    def wide(n):
        return tuple(np.random.default_rng(seed).integers(0, 2**61, n, dtype=np.int64) for seed in (1, 2))

    return {
        "multiply": (lambda x, y: x * y, wide),
        "less": (lambda x, y: x < y, pairs),
        "equal": (lambda x, y: x == y, pairs),
        "sort": (sort, lambda n: (numbers(n),)),
        "histogram": (histogram, lambda n: ((numbers(n) % 16).astype(np.int32),)),
    }


def config():
    return libspu.RuntimeConfig(protocol=libspu.ProtocolKind.ABY3, field=libspu.FieldType.FM64)


def prepared(name, n):
    """The compiled program, and each party's shares of the inputs."""
    function, inputs = operations()[name]
    values = inputs(n)
    names = [f"in{i}" for i in range(len(values))]
    secret = [libspu.Visibility.VIS_SECRET] * len(values)
    executable, _ = frontend.compile(
        frontend.Kind.JAX, function, values, {}, names, secret, lambda out: [f"out{i}" for i in range(len(out))]
    )
    io = api.Io(PARTIES, config())
    shares = [io.make_shares(value, libspu.Visibility.VIS_SECRET) for value in values]
    each = [[(one[rank].meta, list(one[rank].share_chunks)) for one in shares] for rank in range(PARTIES)]
    return (executable.name, executable.input_names, executable.output_names, executable.code), each


def party(rank):
    """Jobs from stdin as they come; seconds of each run go to stdout, where SPU's own log would go too."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ports = pickle.load(sys.stdin.buffer)
    description = libspu.link.Desc()
    for other, port in enumerate(ports):
        description.add_party(f"p{other}", f"127.0.0.1:{port}")
    link = libspu.link.create_brpc(description, rank)
    while (job := pickle.load(sys.stdin.buffer)) is not None:
        (name, ins, outs, code), inputs, repeats = job
        executable = libspu.Executable(name=name, input_names=ins, output_names=outs, code=code)
        taken = []
        for _ in range(repeats):
            runtime = api.Runtime(link, config())
            for key, (meta, chunks) in zip(ins, inputs, strict=True):
                share = libspu.Share()
                share.meta, share.share_chunks = meta, chunks
                runtime.set_var(key, share)
            link.barrier()
            began = time.perf_counter()
            runtime.run(executable)
            link.barrier()
            taken.append(time.perf_counter() - began)
        print(json.dumps(taken), file=told, flush=True)
    link.stop_link()


def main(jobs):
    began = time.perf_counter()
    held = [socket.socket() for _ in range(PARTIES)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    parties = [
        subprocess.Popen(
            [sys.executable, __file__, "--party", str(rank)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for rank in range(PARTIES)
    ]

    def tell(messages):
        for one, message in zip(parties, messages, strict=True):
            pickle.dump(message, one.stdin)
            one.stdin.flush()

    tell([ports] * PARTIES)
    for number, (name, n, repeats) in enumerate([["less", 1, 1], *jobs]):
        if number == 1:
            print(json.dumps(["start", 1, [time.perf_counter() - began]]), flush=True)
        program, each = prepared(name, n)
        tell([(program, inputs, repeats) for inputs in each])
        lines = [one.stdout.readline() for one in parties]
        if number:
            print(json.dumps([name, n, json.loads(lines[0])]), flush=True)
    tell([None] * PARTIES)
    for one in parties:
        one.wait()


if __name__ == "__main__":
    if sys.argv[1] == "--party":
        party(int(sys.argv[2]))
    else:
        main(json.loads(sys.argv[1]))
