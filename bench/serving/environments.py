"""One environment for each peer below the bench root: they do not share their dependencies."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.serving.rounds import tell


def make(root: Path | None, requirements: Mapping[str, tuple[str, ...]], room: str) -> int:
    """`requirements`: environment → what to install there. What is there already stays. Bytecode is compiled, so that no peer's first start pays for it."""
    if root is None:
        tell(f"setup needs --root DIRECTORY: some {room} go there")
        return 2
    failed = [name for name, wanted in requirements.items() if not _made(root / "venvs" / name, wanted)]
    for name in failed:
        tell(f"{name}: not installed, it will be skipped")
    return 1 if failed else 0


def _made(directory: Path, wanted: tuple[str, ...]) -> bool:
    python = directory / "bin" / "python"
    if not python.exists() and subprocess.run([sys.executable, "-m", "venv", str(directory)], check=False).returncode != 0:
        return False
    installer = ["uv", "pip", "install", "--compile-bytecode", "--python", str(python)]
    if shutil.which("uv") is None:
        installer = [str(python), "-m", "pip", "install"]
    tell(f"{directory.name}: {', '.join(wanted)}")
    return subprocess.run([*installer, "--quiet", *wanted], check=False).returncode == 0
