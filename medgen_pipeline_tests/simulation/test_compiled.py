"""Machine code is kept by what decides it, found again wherever it lies, and never made twice."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medgen_pipeline.generation.warm import compile_kernels
from medgen_pipeline.simulation import compiled

DOUBLE = "def double(number):\n    return 2 * number\n"


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put the simulation's sources where they can be changed, and the user's cache beside them."""
    copy = tmp_path / "simulation"
    shutil.copytree(Path(compiled.__file__).parent, copy, ignore=shutil.ignore_patterns("__*"))
    monkeypatch.setattr(f"{compiled.__name__}._SOURCES", copy)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    yield copy
    forget()


def forget() -> None:
    """Let version and store be found anew, as in another process."""
    compiled.version.cache_clear()
    compiled.store.cache_clear()


def entry_point(folder: Path) -> Any:  # noqa: ANN401  of any function
    """Return an entry point whose source lies in a folder, as another process would make it."""
    folder.mkdir(exist_ok=True)
    path = folder / "doubles.py"
    path.write_text(DOUBLE)
    spec = importlib.util.spec_from_file_location("doubles", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return compiled.entry_point(module.double)


@pytest.mark.usefixtures("sources")
def test_code_is_compiled_once_and_loaded_after_that(tmp_path: Path) -> None:
    first, second = entry_point(tmp_path), entry_point(tmp_path)
    assert first(21) == second(21) == 42
    assert first.was_compiled()
    assert not second.was_compiled()


@pytest.mark.usefixtures("sources")
def test_code_is_found_when_the_package_has_moved(tmp_path: Path) -> None:
    here, there = entry_point(tmp_path / "here"), entry_point(tmp_path / "there")
    assert here(21) == there(21) == 42
    assert not there.was_compiled()


def test_any_changed_source_gives_another_folder(sources: Path) -> None:
    before = compiled.store()
    forget()
    assert compiled.store() == before
    with (sources / "scores.py").open("a") as source:
        source.write("#")
    forget()
    assert compiled.store() != before
    assert compiled.store().parent == before.parent


def test_another_processor_gives_another_folder(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = compiled.store()
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "another")
    forget()
    assert compiled.store() != before
    assert compiled.store().parent == sources / "__compiled__"


def test_a_package_that_cannot_be_written_uses_the_cache_of_the_user(
    sources: Path, tmp_path: Path
) -> None:
    """A file in the way stands for the missing right, which root would have."""
    (sources / "__compiled__").write_text("")
    assert compiled.store() == tmp_path / "cache" / "medgen_pipeline" / compiled.version()


def test_a_package_that_cannot_be_written_is_used_when_it_has_the_code(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled.compile_all(lambda: entry_point(tmp_path)(21))
    before = sorted(compiled.store().iterdir())
    forget()
    monkeypatch.setattr(f"{compiled.__name__}._Cache.save_overload", pytest.fail)
    again = entry_point(tmp_path)
    assert again(21) == 42
    assert not again.was_compiled()
    assert compiled.store().parent == sources / "__compiled__"
    assert sorted(compiled.store().iterdir()) == before


@pytest.mark.usefixtures("sources")
def test_nothing_is_compiled_when_all_is_there() -> None:
    assert compiled.compile_all(lambda: None) is not None
    assert compiled.compile_all(lambda: pytest.fail("compiled again")) is None


@pytest.mark.usefixtures("sources")
def test_a_compilation_that_broke_off_is_begun_again() -> None:
    with pytest.raises(KeyboardInterrupt):
        compiled.compile_all(interrupted)
    assert compiled.compile_all(lambda: None) is not None


def interrupted() -> None:
    raise KeyboardInterrupt


def test_compiling_removes_other_versions_that_are_a_day_old(sources: Path) -> None:
    folder = sources / "__compiled__"
    old, recent, foreign = (folder / name for name in ("0" * 16, "1" * 16, "notes"))
    for each in (old, recent, foreign):
        each.mkdir(parents=True)
        (each / "code.nbc").write_text("")
    two_days_ago = time.time() - 2 * 86_400
    for each in (old, foreign):
        os.utime(each, (two_days_ago, two_days_ago))
    compiled.compile_all(lambda: None)
    assert sorted(folder.iterdir()) == sorted([recent, foreign, compiled.store()])


def test_a_new_process_compiles_nothing() -> None:
    """It runs every entry point that the set-up compiled; none of them was compiled there."""
    compile_kernels()
    code = (
        "import gc\n"
        "from medgen_pipeline.generation import warm\n"
        "from medgen_pipeline.simulation.compiled import EntryPoint\n"
        "assert warm.compile_kernels() is None\n"
        "warm.load_kernels()\n"
        "used = [e for e in gc.get_objects() if isinstance(e, EntryPoint)]\n"
        "used = [e for e in used if 'dispatcher' in vars(e)]\n"
        "print(len(used), [e.__name__ for e in used if e.was_compiled()])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    number, names = done.stdout.split(maxsplit=1)
    assert int(number) >= 8
    assert names.strip() == "[]"
