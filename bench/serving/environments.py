"""One environment for each peer below the bench root: they do not share their dependencies."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.serving.peers import REQUIREMENTS
from bench.serving.rounds import tell


def make(root: Path | None) -> int:
    """What is there already stays. Bytecode is compiled, so that no peer's first start pays for it."""
    if root is None:
        tell("setup needs --root DIRECTORY: some 3 GB go there")
        return 2
    failed = [name for name, wanted in REQUIREMENTS.items() if not _made(root / "venvs" / name, wanted)]
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
