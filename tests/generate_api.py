"""Generates gateway/api from proto/: `python -m tests.generate_api OUTPUT`, where OUTPUT ends in gateway/api.

The file path of a proto is its Python import path; the vendored validation rules come out beside the rest.
"""

from __future__ import annotations

import shutil
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Generated from proto/ by `make proto`; a test compares.\n"


def generate(target: Path) -> None:
    """Write the generated modules under `target` (a folder that ends in gateway/api)."""
    if target.parts[-2:] != ("gateway", "api"):
        raise SystemExit("the output folder has to end in gateway/api")
    root = target.parent.parent
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    ours = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto" / "gateway").rglob("*.proto"))
    wanted = [*ours, "buf/validate/validate.proto"]
    include = str(files("grpc_tools") / "_proto")
    places = ["protoc", f"-I{ROOT / 'proto'}", f"-I{include}", f"--python_out={root}", f"--pyi_out={root}"]
    if protoc.main([*places, *wanted]) or protoc.main([*places[:3], f"--grpc_python_out={root}", *ours]):
        raise SystemExit("protoc refused the files")
    # `buf` is no package of ours to install: its module moves under ours.
    shutil.move(root / "buf", target / "buf")
    for module in [*target.rglob("*.py"), *target.rglob("*.pyi")]:
        text = module.read_text()
        for old in ("from buf.validate", "import buf.validate"):
            text = text.replace(old, old.replace("buf.validate", "gateway.api.buf.validate"))
        module.write_text(HEADER + text)
    for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").touch()


if __name__ == "__main__":
    generate(Path(sys.argv[1]).resolve())
