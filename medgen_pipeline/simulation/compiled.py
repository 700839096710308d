"""How the simulation's functions are compiled, and where the machine code is kept.

`jit` marks a function that is compiled into whatever calls it. `entry_point` marks one that Python
calls: it is compiled once per version of the simulation's sources, numba and processor, and its
machine code is kept in a folder named by their hash, so a changed kernel can never meet stale code
and a run never compiles. numba's own cache looks only at the file of the function itself, would
miss a change in a function it calls, takes no notice of a folder it may only read, and is lost when
the package is moved.
"""

import functools
import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Generic, ParamSpec, TypeVar, cast

import numba
from llvmlite import binding  # type: ignore[import-untyped]
from numba import _dynfunc
from numba.core import caching, codegen, compiler

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class _DraftLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]
    """Code that is neither optimised nor made machine code before it is part of its callers."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout  # noqa: SLF001

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class _Compiler(compiler.Compiler):  # type: ignore[misc]
    """Drafts what only compiled code will call, in a process that does nothing but compile.

    numba optimises a function with all it calls, and makes machine code of it, again at each level
    of the calls. Once, in the function that Python calls, is as fast to run and half to compile.
    """

    is_drafting = False

    def _compile_core(self) -> Any:
        if not self.is_drafting:
            return super()._compile_core()
        state = self.state
        state.library = _DraftLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        state.flags.no_cpython_wrapper = True
        result = super()._compile_core()
        described = result.fndesc
        # What numba knows the function by; there is no machine code at its address.
        entry = _dynfunc.make_function(
            described.lookup_module(), described.qualname, "", 0, result.environment, ()
        )
        state.targetctx.insert_user_function(entry, described, [result.library])
        return result._replace(entry_point=entry)


# Inner functions allocate nothing: without reference counts, without a wrapper for C that nobody
# calls, and without a check of every division, they compile in half the time.
_INNER: Final[dict[str, Any]] = {
    "nogil": True,
    "_nrt": False,
    "no_cfunc_wrapper": True,
    "error_model": "numpy",
    "pipeline_class": _Compiler,
}
_SOURCES: Final = Path(__file__).parent
_COMPLETE: Final = "complete"  # the file that says a folder has every entry point
_OLD_S: Final = 86_400.0  # from here on another version's machine code is thrown away: ours
_log: Final = logging.getLogger(__name__)


def jit(function: F) -> F:
    """Mark a function to be compiled into its callers; Python, and so a test, can call it too."""
    return cast("F", numba.njit(**_INNER)(function))


def inlined(function: F) -> F:
    """Mark a line or two that become part of whatever calls them, instead of a function.

    numba compiles a function anew for every constant it is called with.
    """
    return cast("F", numba.njit(**_INNER, inline="always")(function))


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
        dispatcher = numba.njit(nogil=True)(self.function)
        dispatcher._cache = _Cache(self.function)  # noqa: SLF001  as numba's `cache=True` does
        return cast("Callable[P, R]", dispatcher)

    def was_compiled(self) -> bool:
        """Whether this process had to compile it, instead of loading it from the store."""
        return bool(sum(self.dispatcher.stats.cache_misses.values()))  # type: ignore[attr-defined]


def entry_point(function: Callable[P, R]) -> EntryPoint[P, R]:
    """Mark a function that Python calls; its machine code is kept between processes."""
    return EntryPoint(function)


@functools.cache
def version() -> str:
    """Return a hash of all that decides the machine code."""
    digest = hashlib.sha256(numba.__version__.encode())
    digest.update(binding.get_host_cpu_name().encode())
    digest.update(binding.get_host_cpu_features().flatten().encode())
    for source in sorted(_SOURCES.glob("*.py")):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def store() -> Path:
    """Return the folder of this version's machine code: one that has it, else one to write to."""
    folders = [parent / version() for parent in _parents()]
    for folder in folders:
        if (folder / _COMPLETE).exists():
            return folder
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    raise AssertionError("the temporary folder is always writable")


def _parents() -> Iterator[Path]:
    yield _SOURCES / "__compiled__"
    yield Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "medgen_pipeline"
    yield Path(tempfile.gettempdir()) / f"medgen_pipeline-{os.getuid()}"


def compile_all(warm: Callable[[], None]) -> float | None:
    """Run `warm`, which calls every entry point, unless the store holds them; return seconds."""
    stamp = store() / _COMPLETE
    if stamp.exists():
        return None
    _log.info("compiling the simulation, once for this version; it takes about half a minute")
    started = time.perf_counter()
    warm()
    stamp.touch()
    _prune(stamp.parent)
    return time.perf_counter() - started


def draft() -> None:
    """Compile the faster from here on; what is not an entry point can then not be called."""
    _Compiler.is_drafting = True


def _prune(used: Path) -> None:
    """Remove the machine code of other versions beside the one in use, when a day old."""
    for folder in used.parent.iterdir():
        is_version = re.fullmatch("[0-9a-f]{16}", folder.name) and folder != used
        if is_version and time.time() - folder.stat().st_mtime > _OLD_S:
            shutil.rmtree(folder, ignore_errors=True)


class _Locator(caching._CacheLocator):  # type: ignore[misc]  # noqa: SLF001
    """Leads numba to the store, wherever the package lies and whether or not it can be written."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        self._py_file = py_file
        self._line = py_func.__code__.co_firstlineno

    def ensure_cache_path(self) -> None:
        """Leave the folder as it is: `store` has made sure of it."""

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(store())

    def get_source_stamp(self) -> str:
        """Return what the sources are known by."""
        return version()

    def get_disambiguator(self) -> str:
        """Return what tells functions of one name apart."""
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "_Locator":
        """Return the locator of a function."""
        return cls(py_func, py_file)


class _Kernels(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _Cache(caching.FunctionCache):  # type: ignore[misc]
    _impl_class = _Kernels
