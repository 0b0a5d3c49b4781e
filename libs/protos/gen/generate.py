"""Generates ``ensemble.v1`` from ``protos/`` with buf, and compares it with what is committed.

Run by ``make gen`` (write) and ``make check`` (``--check``: lint, format, breaking, diff).
Needs Node (buf comes from npm) and Go (validate.proto comes from its Go module).

The generated code must not import ``buf.validate``: the Python package of protovalidate ships
no such module (docs/adr/0002). So the import is cut out of the descriptors before code is
generated; the rules stay in the options as extension bytes, where protovalidate finds them.
"""

import argparse
import filecmp
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
THIRD_PARTY = ROOT / "build" / "third_party"
COMMITTED = ROOT / "libs" / "protos" / "src"
BASELINE = ROOT / "protos" / "baseline.binpb"

VALIDATE_MODULE = "github.com/bufbuild/protovalidate@v1.2.0"
VALIDATE_IMPORT = "buf/validate/validate.proto"
VALIDATE_SHA256 = "817951eab518442950f1982be24b2c3154b214b40e42f49b915cbf5181e6ee80"
GOOGLE_PROTOS = (
    "google/api/annotations.proto",
    "google/api/http.proto",
    "google/rpc/status.proto",
    "google/type/money.proto",
)


def _run(*command: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, check=True, text=True, **kwargs)  # type: ignore[call-overload, no-any-return]


def _buf() -> str:
    binary = HERE / "node_modules" / ".bin" / "buf"
    if not binary.exists():
        # Not `npm ci`: it wants every platform in the lock, also those an index does not carry.
        subprocess.run(["npm", "install", "--no-save", "--silent"], cwd=HERE, check=True)
    return str(binary)


def assemble_third_party() -> None:
    """Put the imported protos of others under ``build/third_party``."""
    for name in GOOGLE_PROTOS:
        source = Path(sysconfig.get_path("purelib")) / name
        target = THIRD_PARTY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    target = THIRD_PARTY / VALIDATE_IMPORT
    if not target.exists():
        with tempfile.TemporaryDirectory() as empty:
            answer = subprocess.run(
                ["go", "mod", "download", "-json", VALIDATE_MODULE],
                cwd=empty, check=True, text=True, stdout=subprocess.PIPE,
            )  # fmt: skip
        source = Path(json.loads(answer.stdout)["Dir"], "proto", "protovalidate", VALIDATE_IMPORT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    if hashlib.sha256(target.read_bytes()).hexdigest() != VALIDATE_SHA256:
        raise SystemExit(f"{target} is not the file that was pinned; delete it and try again")


def generate(out: Path) -> None:
    """Write the Python code of every file in ``protos/`` below ``out``."""
    with tempfile.TemporaryDirectory() as scratch:
        whole, cut = Path(scratch, "whole.binpb"), Path(scratch, "cut.binpb")
        _run(_buf(), "build", "--as-file-descriptor-set", "-o", str(whole))
        files = descriptor_pb2.FileDescriptorSet.FromString(whole.read_bytes())
        kept = descriptor_pb2.FileDescriptorSet()
        for file in files.file:
            if file.name == VALIDATE_IMPORT:
                continue
            wanted = [name for name in file.dependency if name != VALIDATE_IMPORT]
            del file.dependency[:]
            file.dependency.extend(wanted)
            kept.file.append(file)
        cut.write_bytes(kept.SerializeToString())
        paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
        _run(
            _buf(), "generate", str(cut), "--output", str(out),
            *(f"--path={p.relative_to(ROOT / 'protos')}" for p in _sources()),
            env={**os.environ, "PATH": os.pathsep.join(paths)},
        )  # fmt: skip
    for stub in out.rglob("*_pb2_grpc.pyi"):
        # mypy-protobuf writes one for every file, also for those without a service.
        if not stub.with_suffix(".py").exists():
            stub.unlink()


def _sources() -> list[Path]:
    return sorted((ROOT / "protos" / "ensemble").rglob("*.proto"))


def check() -> int:
    """Lint, check the format and compatibility, and compare with what is committed."""
    _run(_buf(), "lint")
    _run(_buf(), "format", "--diff", "--exit-code", "protos")
    _run(_buf(), "breaking", "protos", "--against", str(BASELINE))
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = Path(scratch, "ensemble", "v1")
        committed = COMMITTED / "ensemble" / "v1"
        names = sorted({p.name for d in (fresh, committed) for p in d.glob("*_pb2*")})
        _, differ, missing = filecmp.cmpfiles(fresh, committed, names, shallow=False)
    if differ or missing:
        print("generated code is stale; run 'make gen':", *differ, *missing, file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="fail if anything is stale")
    parser.add_argument("--baseline", action="store_true", help="write protos/baseline.binpb")
    options = parser.parse_args()
    assemble_third_party()
    if options.baseline:
        _run(_buf(), "build", "protos", "-o", str(BASELINE))
        return 0
    if options.check:
        return check()
    generate(COMMITTED)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
