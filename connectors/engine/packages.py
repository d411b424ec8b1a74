"""Programs that an operator adds: a folder with a manifest, program.toml, and one module, program.py.

Invariants: nothing of a folder is run before its digest is the one that the operator's configuration names; the digest
covers manifest, module and all of the engine that a module may import; what a module may import stands here.

What is held against a module's syntax finds what does not belong, and keeps what a reader has to look at small. It is
no wall: Python has ways around any such list. Whoever admits a digest has read the module, or trusts somebody who has;
a party is confined besides (confinement.py); an agent, which encodes rows and works out costs, is not. No MPyC here.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from connectors.engine import programs
from connectors.engine.linking import OPENS as LINKING_OPENS
from connectors.engine.programs import noiseless, packaged
from connectors.engine.programs.about import About
from connectors.engine.rows import Parameters
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.program import Descriptor
from gateway.rules import descriptors

MANIFEST, MODULE = "program.toml", "program.py"
MAX_BYTES = 1 << 18  # of either
FUNCTIONS = ("words", "encode", "run", "clear", "cost")

# Whole modules, of which a name can be anything; of the others only what is no module itself.
_WHOLE = ("numpy", "numpy.typing", "math", "itertools")
_PARTS = ("__future__", "collections", "collections.abc", "dataclasses", "fractions", "functools", "typing")
_ENGINE = (
    "adders", "arithmetic", "bits", "closeness", "compare", "convert", "cost", "counting", "errors", "field", "lanes",
    "life_tables", "limits", "linking", "reciprocals", "rows", "sharing", "shuffle", "sort", "sums", "tables",
    "wellformed", "programs.cells", "programs.measures", "programs.packaged", "programs.parameters",
    "programs.two_columns",
)  # fmt: skip
IMPORTS = frozenset((*_WHOLE, *_PARTS, "gateway.rules.sharing", *(f"connectors.engine.{name}" for name in _ENGINE)))
# For annotations alone: it has MPyC, which agents do not import.
_FOR_TYPES = ("connectors.engine.runtime", "Engine")
# What looks inside Python or out of it; of NumPy files, other libraries, and randomness, of which a program has none.
# What begins with an underscore is nobody's but its module's.
_NEVER = frozenset(
    [
        "ForwardRef",
        "ag_frame",
        "attrgetter",
        "breakpoint",
        "builtins",
        "compile",
        "cr_frame",
        "delattr",
        "dir",
        "eval",
        "exec",
        "evaluate_forward_ref",
        "exit",
        "f_back",
        "f_builtins",
        "f_globals",
        "f_locals",
        "get_type_hints",
        "getattr",
        "gi_frame",
        "globals",
        "help",
        "input",
        "locals",
        "make_dataclass",
        "methodcaller",
        "modules",
        "open",
        "os",
        "print",
        "quit",
        "setattr",
        "sys",
        "tb_frame",
        "vars",
        "DataSource",
        "core",
        "ctypes",
        "ctypeslib",
        "distutils",
        "dump",
        "dumps",
        "extras",
        "f2py",
        "fromfile",
        "fromregex",
        "genfromtxt",
        "lib",
        "load",
        "loads",
        "loadtxt",
        "memmap",
        "open_memmap",
        "polyutils",
        "pu",
        "random",
        "rec",
        "save",
        "savetxt",
        "savez",
        "savez_compressed",
        "test",
        "testing",
        "tofile",
    ]
)


@dataclass(frozen=True, slots=True)
class Package:
    """A folder's bytes, read once: what is examined is what runs."""

    descriptor: Descriptor
    source: bytes
    folder: Path

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the engine's sources, what descriptors mean, this one and the module, with lengths."""
        state = hashlib.sha256(b"isthmus program package v1")
        means = Path(str(descriptors.__file__)).read_bytes()
        for part in (programs.engine_digest(), means, descriptors.written(self.descriptor).encode(), self.source):
            state.update(f"\n{len(part)}\n".encode())
            state.update(part)
        return state.hexdigest()


def read(folder: Path) -> Package:
    """What is in a folder; nothing of it is run. Raises IsthmusError(CONFIGURATION) naming file, line and why."""
    manifest, source = _bytes(folder / MANIFEST), _bytes(folder / MODULE)
    try:
        plain = tomllib.loads(manifest.decode())
    except ValueError as wrong:  # TOML's and Unicode's
        raise broken(f"{folder / MANIFEST}: {wrong}", MANIFEST) from None
    descriptor = descriptors.from_manifest(plain, what=str(folder / MANIFEST))
    if descriptor.name in programs.BUILT_IN:
        raise broken(f"{folder / MANIFEST}: {descriptor.name} is a program that every release has", "name")
    for line, why in problems(source):
        raise broken(f"{folder / MODULE}, line {line}: {why}", MODULE)
    return Package(descriptor, source, folder)


def loaded(package: Package) -> ModuleType:
    """The module of a package, with what its manifest says of it under the names that every program has. It is run."""
    descriptor = package.descriptor
    module = ModuleType(f"isthmus_program_{descriptor.name}")
    module.__file__ = str(package.folder / MODULE)
    try:
        # What is run is what somebody admitted by its digest, or examines by his own hand.
        exec(compile(package.source, module.__file__, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except Exception as wrong:
        raise broken(f"{package.folder / MODULE} cannot be loaded: {wrong!r}", MODULE) from None
    for name in FUNCTIONS:
        if not callable(getattr(module, name, None)):
            raise broken(f"{package.folder / MODULE} has no function {name}", MODULE)
    given = {
        "NAME": descriptor.name,
        "VERSION": descriptor.version,
        "LEAKAGE": descriptor.leakage,
        "OPENS": {**LINKING_OPENS, **{opened.step: opened.why for opened in descriptor.opens}},
        "ABOUT": _about(descriptor),
        "DESCRIPTOR": descriptor,
        "outputs": _outputs(descriptor),
        "noise_words": noiseless.noise_words,
        "own_noise": noiseless.own_noise,
    }
    module.__dict__.update(given)
    return module


def install(folder: Path, digest: str) -> None:
    """Make the program in `folder` one that this process runs. Raises IsthmusError(CONFIGURATION) unless what is there
    now has the digest that was checked and admitted."""
    package = read(folder)
    if package.digest != digest:
        raise IsthmusError(
            Reason.CONFIGURATION,
            f"{folder} has the digest {package.digest}, and the configuration admits {digest}",
            field="programs",
            advice=f"What changed, folder or release? Run `isthmus programs check {folder}`, then name its digest",
        )
    try:
        programs.add(loaded(package), digest)
    except ValueError as taken:
        raise broken(f"{folder}: {taken}", "programs") from None


def problems(source: bytes) -> Iterator[tuple[int, str]]:
    """(line, why) for what a module of a package may not have."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as wrong:
        yield getattr(wrong, "lineno", 0) or 0, "it is not Python of this version"
        return
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Import():
                for item in node.names:
                    if item.name not in _WHOLE:
                        yield line, f"it imports {item.name} as a whole, which no package may; see docs/new-program.md"
            case ast.ImportFrom():
                yield from ((line, why) for why in _imported(node))
            case ast.Name(id=name) | ast.arg(arg=name):
                if name in _NEVER or name.startswith("__"):
                    yield line, f"it uses {name}"
            case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()):  # a module's are everybody's in this process
                yield line, f"it changes the attribute {name}"
            case ast.Attribute(attr=name):
                yield from ((line, f"it uses {name}") for name in _hidden([name]))
            case ast.MatchClass(kwd_attrs=names):  # reads attributes as well
                yield from ((line, f"it uses {name}") for name in _hidden(names))
            case ast.Global() | ast.Nonlocal():
                yield line, "it keeps state between calls"
            case _:
                pass


def _hidden(attributes: Sequence[str]) -> Iterator[str]:
    """Those of these attributes that no module reads of another's objects."""
    return (name for name in attributes if name in _NEVER or name.startswith("_"))


def _imported(node: ast.ImportFrom) -> Iterator[str]:
    module = node.module or ""
    if node.level:
        yield "it imports from its own folder, of which the digest covers one module"
        return
    for item in node.names:
        whole = f"{module}.{item.name}"
        if (module, item.name) == _FOR_TYPES or whole in IMPORTS:
            continue
        if module not in IMPORTS:
            yield f"it imports {whole}, which no package may; see docs/new-program.md"
        elif item.name == "*" or [*_hidden([item.name])]:
            yield f"it imports {item.name} from {module}"
        elif isinstance(getattr(importlib.import_module(module), item.name, None), ModuleType):
            yield f"it imports the module {item.name} by way of {module}"


def sample(descriptor: Descriptor) -> Parameters:
    """A question of a common size: five codes of each slot, where it takes so many, and settings as they are."""
    made: dict[str, object] = {
        "program": descriptor.name,
        "columns": [
            {"name": slot.name, "codes": [f"c{code}" for code in range(_codes(slot.fewest, slot.most))]}
            for slot in descriptor.inputs
            if slot.use == "codes"
        ],
        "settings": {setting.name: setting.default for setting in descriptor.settings},
        "minimum_cell": 11,
    }
    measured = [{"name": slot.name, "least": 0, "most": 120} for slot in descriptor.inputs if slot.use != "codes"]
    return {**made, "measures": measured} if measured else made


def _codes(fewest: int, most: int) -> int:
    return max(fewest, min(5, most))


def _about(descriptor: Descriptor) -> About:
    """What the descriptor says, in the words of the catalogue."""
    slots = [f"{slot.name}, {slot.says}" for slot in descriptor.inputs]
    takes = [f"{slot.name} of {slot.fewest} to {slot.most} codes" for slot in descriptor.inputs if slot.use == "codes"]
    takes += [f"{item.name} from {item.least} to {item.most} ({item.says})" for item in descriptor.settings]
    rows = f" For each combination of codes of {', '.join(descriptor.rows)}." if descriptor.rows else ""
    sizes = [_codes(slot.fewest, slot.most) for slot in descriptor.inputs if slot.use == "codes"]
    return About(
        title=descriptor.title,
        inputs="A row for each person: a linkage key of 60 bits, and of the person "
        + "; ".join(slots)
        + "; padded to a "
        "public bound.",
        outputs="; ".join(f"{output.name}: {output.says}" for output in descriptor.outputs)
        + f".{rows} Then whether it is told.",
        takes="; ".join(takes),
        formula=descriptor.formula,
        sampled=f"{' by '.join(map(str, sizes))} codes, least total 11",
        sample=sample(descriptor),
    )


def _outputs(descriptor: Descriptor) -> Callable[[Parameters], int]:
    """How many numbers come out follows from what the descriptor says of them."""

    def outputs(parameters: Parameters) -> int:
        asked = packaged.read(parameters, descriptor.name)
        sizes: Mapping[str, int] = dict(zip(coded(descriptor), asked.columns.sizes, strict=True))
        return descriptors.sized(descriptor, sizes)[1]

    return outputs


def coded(descriptor: Descriptor) -> list[str]:
    """The slots of codes, in their order."""
    return [slot.name for slot in descriptor.inputs if slot.use == "codes"]


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise broken(f"{path} cannot be read: {problem.strerror}", path.name) from None
    if len(found) > MAX_BYTES:
        raise broken(f"{path} is larger than {MAX_BYTES} bytes", path.name)
    return found


def broken(public: str, field: str) -> IsthmusError:
    return IsthmusError(Reason.CONFIGURATION, public, field=field, advice="docs/new-program.md says what a package has")
