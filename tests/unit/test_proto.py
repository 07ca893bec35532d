"""The generated code of the control plane is what its .proto files give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROTO = ROOT / "proto"
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
SOURCES = sorted(path.relative_to(PROTO) for path in PROTO.rglob("*.proto"))


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_generated_code_is_up_to_date(source: Path, tmp_path: Path) -> None:
    plugin = Path(sys.executable).with_name("protoc-gen-mypy_grpc")
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}"),
        f"--plugin=protoc-gen-mypy_grpc={plugin}",
        *(f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python", "mypy_grpc")),
        str(PROTO / source),
    ]
    subprocess.run(command, check=True, capture_output=True)
    for suffix in GENERATED:
        name = source.with_name(source.stem + suffix)
        assert (ROOT / name).read_text() == (tmp_path / name).read_text(), f"{name} is stale"


def test_there_is_no_generated_code_without_a_source() -> None:
    stems = {str(source.with_suffix("")) for source in SOURCES}
    for path in (ROOT / "gon" / "pb").rglob("*_pb2*.py*"):
        if path.suffix in (".py", ".pyi"):
            assert str(path.relative_to(ROOT)).partition("_pb2")[0] in stems
