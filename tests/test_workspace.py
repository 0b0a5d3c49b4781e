"""What holds for the workspace as a whole."""

import re
import tomllib
from pathlib import Path

import pytest

import ensemble.v1

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
UNITS = [p.parent for p in sorted(ROOT.glob("*/*/pyproject.toml"))]


def test_nobody_claims_the_namespace() -> None:
    assert UNITS
    strays = [u for u in UNITS if (u / "src" / "ensemble" / "__init__.py").exists()]
    assert strays == []


def test_the_floors_of_the_generated_code_are_declared() -> None:
    """Generated files refuse an older protobuf or grpcio; the package must ask for as much."""
    generated = ROOT / "libs" / "protos" / "src" / "ensemble" / "v1"
    protobuf = set(
        re.findall(r"# Protobuf Python Version: (\S+)", _all(generated.glob("*_pb2.py")))
    )
    grpcio = set(
        re.findall(r"GRPC_GENERATED_VERSION = '(\S+)'", _all(generated.glob("*_pb2_grpc.py")))
    )
    assert len(protobuf) == 1
    assert len(grpcio) == 1
    declared = tomllib.loads((ROOT / "libs" / "protos" / "pyproject.toml").read_text())
    dependencies = declared["project"]["dependencies"]
    assert f"grpcio>={grpcio.pop()}" in dependencies
    assert any(d.startswith(f"protobuf>={protobuf.pop()}") for d in dependencies)


def _all(paths: object) -> str:
    return "\n".join(p.read_text() for p in paths)  # type: ignore[attr-defined]


def test_the_contract_brings_no_global_module() -> None:
    root = Path(ensemble.v1.__path__[0])
    for path in root.glob("*_pb2.py"):
        assert "buf.validate" not in path.read_text().replace("buf/validate", "")


def test_the_rules_of_the_contract_are_enforced() -> None:
    import protovalidate

    from ensemble.v1 import gateway_service_pb2

    wrong = gateway_service_pb2.GetSessionRequest(session_id="x" * 65)
    (violation,) = protovalidate.collect_violations(wrong)
    assert violation.proto.rule_id == "string.max_len"
