"""The job of a party process, as its agent gives it.

Invariants: nothing is computed for a job that does not hold together: m in {3, 5, 7}, t = (m - 1) / 2, one
seat per pid, the private key is that of this party's seat, the program is here in exactly this version and
digest, and its parameters and bounds are taken.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType

from connectors.engine import programs
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import Abort, InputRejected, SessionAborted
from connectors.engine.pipe import MAX_FRAME
from connectors.engine.pooled import input_size
from connectors.engine.rows import MAX_ROWS
from connectors.engine.wire import ELEMENT_BYTES
from gateway.rules.sealing import public_of

_FIELDS = {
    "session", "transcript", "pid", "m", "t", "program", "parameters", "providers", "seats", "private_key",
    "recipients", "deadline_seconds", "demo_view", "keeper",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Provider:
    entity: str
    bound: int
    session_key: bytes


@dataclass(frozen=True, slots=True)
class Keeper:
    """The party's own agent, which keeps its output shares: its public key, and as whose answer to what they are kept
    (digests)."""

    key: bytes
    contract: str
    question: str


@dataclass(frozen=True, slots=True)
class Job:
    session: str
    transcript: bytes
    pid: int
    shape: Shape
    program: ModuleType
    parameters: Mapping[str, object]
    providers: tuple[Provider, ...]
    seats: Mapping[int, bytes]
    private_key: bytes = field(repr=False)
    recipients: Mapping[str, bytes]
    deadline_seconds: float
    demo_view: bool
    keeper: Keeper | None
    cost: Cost
    # Of each provider's input: words [C, n].
    sizes: tuple[tuple[int, int], ...]
    noise: int
    outputs: int


def read(body: bytes) -> Job:
    """Raises SessionAborted with BAD_JOB or PROGRAM_MISMATCH."""
    try:
        raw = json.loads(body)
        if set(raw) != _FIELDS:
            raise _bad(f"the job's fields are not the expected ones: {sorted(set(raw) ^ _FIELDS)}")
        program = _program(raw["program"])
        shape = Shape(_whole(raw["m"], "m"), _whole(raw["t"], "t"))
        if shape.m not in (3, 5, 7) or shape.t != (shape.m - 1) // 2:
            raise _bad(f"{shape.m} parties with threshold {shape.t}; 3, 5 or 7 with (m - 1) / 2 are possible")
        seats = {_whole(seat["pid"], "seats.pid"): _key(seat["session_key"]) for seat in raw["seats"]}
        pid, private_key = _whole(raw["pid"], "pid"), _key(raw["private_key"])
        if sorted(seats) != list(range(shape.m)) or len(raw["seats"]) != shape.m:
            raise _bad("the seats are not one per pid")
        if seats.get(pid) != public_of(private_key):
            raise _bad("the private key is not that of this party's seat")
        providers = tuple(
            Provider(_text(p["entity"]), _whole(p["rows"], "providers.rows"), _key(p["session_key"]))
            for p in raw["providers"]
        )
        bounds = [provider.bound for provider in providers]
        if not 1 <= len(providers) <= 255 or min(bounds) < 1 or sum(bounds) > MAX_ROWS:
            raise _bad(f"{len(providers)} providers, {sum(bounds)} rows; up to 255 with {MAX_ROWS} are possible")
        recipients = {_text(r["name"]): _key(r["key"]) for r in raw["recipients"]}
        if not recipients or len(recipients) != len(raw["recipients"]):
            raise _bad("there is no recipient, or one is named twice")
        deadline = raw["deadline_seconds"]
        if not isinstance(deadline, int | float) or not 0 < deadline <= 86400:
            raise _bad("the deadline is not a number of seconds up to a day")
        transcript = bytes.fromhex(raw["transcript"])
        if len(transcript) != 32 or not isinstance(raw["demo_view"], bool):
            raise _bad("the transcript is not 32 bytes, or demo_view neither true nor false")
        keeper = None if raw["keeper"] is None else _keeper(raw["keeper"])
        parameters = raw["parameters"]
        cost = program.cost(parameters, bounds, shape)
        sizes = tuple(input_size(program, parameters, bound) for bound in bounds)
        noise, outputs = program.noise_words(parameters), program.outputs(parameters)
        if ELEMENT_BYTES * cost.largest > MAX_FRAME - 64:
            raise _bad(f"a message would hold {cost.largest} elements, too many for one frame")
    except InputRejected as exc:
        raise _bad(f"parameters.{exc.field}: {exc.detail}") from exc
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise _bad(f"the job cannot be read: {exc!r}") from exc
    return Job(
        session=_text(raw["session"]),
        transcript=transcript,
        pid=pid,
        shape=shape,
        program=program,
        parameters=parameters,
        providers=providers,
        seats=seats,
        private_key=private_key,
        recipients=recipients,
        deadline_seconds=float(deadline),
        demo_view=raw["demo_view"],
        keeper=keeper,
        cost=cost,
        sizes=sizes,
        noise=noise,
        outputs=outputs,
    )


def _keeper(named: Mapping[str, str]) -> Keeper:
    return Keeper(_key(named["key"]), _text(named["contract"]), _text(named["question"]))


def _program(named: Mapping[str, object]) -> ModuleType:
    module = programs.PROGRAMS.get(str(named["name"]))
    if module is None or named["version"] != module.VERSION or programs.digest(module.NAME) != named["digest"]:
        raise SessionAborted(
            Abort.PROGRAM_MISMATCH,
            f"this party has no program {named['name']} {named['version']} with the contract's digest",
            phase="job",
        )
    if getattr(module, "OPENS", None) is None:
        raise _bad(f"the program {module.NAME} does not declare in which steps it opens values")
    return module


def _bad(detail: str) -> SessionAborted:
    return SessionAborted(Abort.BAD_JOB, detail, phase="job")


def _whole(value: object, name: str) -> int:
    if type(value) is not int:
        raise _bad(f"{name} is not a whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _bad("a name in the job is not a text")
    return value


def _key(value: str) -> bytes:
    try:
        key = base64.b64decode(value, validate=True)
    except binascii.Error as exc:
        raise _bad("a key in the job is not base64") from exc
    if len(key) != 32:
        raise _bad("a key in the job is not 32 bytes long")
    return key
