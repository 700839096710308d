"""How the simulation's functions are compiled, and where the machine code is kept.

`jit` marks a function that is compiled into whatever calls it. `entry_point` marks one that Python
calls: it is compiled once per version of the simulation's sources, numba and processor, and its
machine code is kept in a folder named by their hash, so a changed kernel can never meet stale code
and a run never compiles. numba's own cache looks only at the file of the function itself and would
miss a change in a function it calls.
"""

import functools
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Generic, ParamSpec, TypeVar, cast

import numba
from numba.core import config

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

# Inner functions allocate nothing: without reference counts, and without a wrapper for C that
# nobody calls, they compile in half the time.
_INNER: Final[dict[str, Any]] = {
    "nogil": True,
    "_nrt": False,
    "no_cfunc_wrapper": True,
}
_SOURCES: Final = Path(__file__).parent
_log: Final = logging.getLogger(__name__)


def jit(function: F) -> F:
    """Mark a function to be compiled into its callers; Python, and so a test, can call it too."""
    return cast("F", numba.njit(**_INNER)(function))


def inner(function: F) -> F:
    """Mark a function that only compiled code calls; what takes a whole world is dear to wrap."""
    return cast("F", numba.njit(**_INNER, no_cpython_wrapper=True)(function))


class EntryPoint(Generic[P, R]):
    """A function that Python calls and numba compiles, at the first call or from the store."""

    def __init__(self, function: Callable[P, R]) -> None:
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # noqa: D102  the function's own
        return self.dispatcher(*args, **kwargs)

    @functools.cached_property
    def dispatcher(self) -> Callable[P, R]:
        """The compiled function."""
        config.CACHE_DIR = str(store())
        return cast("Callable[P, R]", numba.njit(nogil=True, cache=True)(self.function))

    def was_compiled(self) -> bool:
        """Whether this process had to compile it, instead of loading it from the store."""
        return bool(sum(self.dispatcher.stats.cache_misses.values()))  # type: ignore[attr-defined]


def entry_point(function: Callable[P, R]) -> EntryPoint[P, R]:
    """Mark a function that Python calls; its machine code is kept between processes."""
    return EntryPoint(function)


@functools.cache
def version() -> str:
    """Return a hash of all that decides the machine code, except the processor (numba's part)."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(_SOURCES.glob("*.py")):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def store() -> Path:
    """Return the folder of this version's machine code: one that has it, else one to write to."""
    folders = [parent / version() for parent in _parents()]
    for folder in folders:
        if folder.is_dir():
            return folder
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise AssertionError("the temporary folder is always writable")


def _parents() -> Iterator[Path]:
    yield _SOURCES / "__compiled__"
    yield Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "medgen_pipeline"
    yield Path(tempfile.gettempdir()) / f"medgen_pipeline-{os.getuid()}"


def compile_all(warm: Callable[[], None]) -> float | None:
    """Run `warm`, which calls every entry point, unless the store holds them; return seconds."""
    stamp = store() / "complete"
    if stamp.exists():
        return None
    _log.info("compiling the simulation, once for this version; it takes about half a minute")
    started = time.perf_counter()
    warm()
    stamp.touch()
    return time.perf_counter() - started
