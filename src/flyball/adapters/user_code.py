"""The user's own modules: loaded from the project's directory for as long as they are used, and gone afterwards."""

import importlib
import importlib.machinery
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from flyball.errors import TrainingError

LONGEST_WORDS = 2000
"""Characters; an exception may carry a whole data frame."""

Load = Callable[[str], Callable[..., Any]]
"""`module:function` → the function. Raises TrainingError in words."""


@contextmanager
def user_code(project_dir: Path) -> Iterator[Load]:
    """Within: the project's modules can be imported, also by each other and lazily. After: `sys.path` and `sys.modules` are as before.

    Two projects in one process may each have a `pipeline.py`. A function that is pickled within is pickled by value (see `own_modules`).
    """
    root = str(project_dir.resolve())
    hidden = _hide_namesakes(Path(root))
    sys.path.insert(0, root)
    importlib.invalidate_caches()
    try:
        yield lambda entrypoint: _load(Path(root), entrypoint)
    finally:
        sys.path.remove(root)
        for name in [name for name, module in sys.modules.items() if _below(module, Path(root))]:
            del sys.modules[name]
        sys.modules.update(hidden)


def own_modules(project_dir: Path) -> tuple[ModuleType, ...]:
    """Modules that are loaded from the project at this moment."""
    root = project_dir.resolve()
    return tuple(module for module in list(sys.modules.values()) if _below(module, root))


def kind_and_place(error: BaseException, root: Path) -> str:
    """`ValueError at pipeline.py:12`: where in the project it came from. Its words stay out: they may hold a password, or people's data."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{kind} at {Path(error.filename).name}:{error.lineno}"
    frames = [(Path(code.co_filename), line) for code, line in _frames(error)]
    own = [(path, line) for path, line in frames if _is_own(path, root.resolve())]
    return f"{kind} at {own[-1][0].relative_to(root.resolve())}:{own[-1][1]}" if own else kind


def words_of(error: BaseException) -> str:
    """What it says itself, for `detail` of our own errors."""
    return f"{type(error).__name__}: {error}"[:LONGEST_WORDS]


def _frames(error: BaseException) -> Iterator[tuple[CodeType, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code, trace.tb_lineno
        trace = trace.tb_next


def _hide_namesakes(root: Path) -> dict[str, ModuleType]:
    """Take modules out of the way that bear the name of one of the project's and are of another project."""
    names = {path.stem for path in root.glob("*.py")} | {path.name for path in root.iterdir() if (path / "__init__.py").is_file()}
    taken = sorted(names & set(sys.stdlib_module_names))
    if taken:
        raise TrainingError(f"the project's module {taken[0]!r} has the name of one of Python's own",
                            next_step=f"rename {taken[0]}.py and mend the entry points in flyball.yaml")  # fmt: skip
    hidden = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in names and name != "__main__" and not _below(module, root):
            hidden[name] = sys.modules.pop(name)
    return hidden


def _load(root: Path, entrypoint: str) -> Callable[..., Any]:
    module_name, _, function_name = entrypoint.partition(":")
    relative = Path(*module_name.split("."))
    if not ((root / relative).with_suffix(".py").is_file() or (root / relative / "__init__.py").is_file()):
        near = get_close_matches(module_name, [path.stem for path in root.glob("*.py")], n=1)
        raise TrainingError(f"the entry point {entrypoint!r} names a module that is not in the project ({relative}.py)",
                            next_step=f"did you mean {near[0]}:{function_name}?" if near else f"make {relative}.py, or mend flyball.yaml")  # fmt: skip
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise TrainingError(
            f"the module {module_name!r} could not be imported: {kind_and_place(error, root)}", detail=words_of(error)
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        near = get_close_matches(function_name, [name for name, value in vars(module).items() if callable(value)], n=1)
        raise TrainingError(
            f"{module_name}.py has no function {function_name!r}", next_step=f"did you mean {near[0]!r}?" if near else ""
        )
    return function  # type: ignore[no-any-return]


def _below(module: Any, root: Path) -> bool:
    file = getattr(module, "__file__", None)
    # Of thousands of loaded modules hardly one lies there: a path is taken apart only of those.
    if not isinstance(file, str) or not file.startswith(str(root)):
        return False
    return _is_own(Path(file), root)


def _is_own(path: Path, root: Path) -> bool:
    return path.is_relative_to(root) and not {".venv", "venv", "site-packages"}.intersection(path.relative_to(root).parts)
