"""Scenarios as files: those that ship with the package, and those of a folder of one's own.

A scenario's file is named after its id: `<id>.yaml`, `<id>.yml` or `<id>.json`. A file of the
folder that bears the id of a shipped scenario takes its place, and the list says so.
"""

import functools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medgen_pipeline.errors import (
    Fault,
    MedgenError,
    ScenarioError,
    ScenarioExistsError,
    UnknownScenarioError,
)
from medgen_pipeline.scenario import documents, wording
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.validation import Checked, check

SHIPPED: Final = Path(__file__).parent / "catalogue"

_MOST_BYTES: Final = 1_000_000  # our own choice; a scenario has some thousands
_KEPT: Final = 64  # scenarios; reading one takes 30 ms


@dataclass(frozen=True, slots=True)
class Entry:
    """A scenario file as the catalogue lists it."""

    id: str
    title: str
    path: Path
    problem: str | None = None  # why it cannot be used
    replaces_shipped: bool = False


def check_file(path: Path) -> Checked:
    """Return what a check of a scenario file found; raise if there is nothing to check."""
    return _checked(str(path), _text(path), path.suffix)


@functools.lru_cache(maxsize=_KEPT)
def _checked(name: str, text: str, suffix: str) -> Checked:
    """Return what a check of a file's text found; a sensor asks for the same ones each tick."""
    try:
        data = documents.read(text, suffix)
    except documents.BrokenTextError as error:
        return Checked(name, None, (error.fault,))
    return check(data, name)


def load_file(path: Path) -> Scenario:
    """Return the scenario of a file; raise ScenarioError with every fault it has."""
    return _scenario_of(check_file(path))


def _scenario_of(checked: Checked) -> Scenario:
    if checked.scenario is None:
        raise ScenarioError(checked.name, checked.faults)
    return checked.scenario


def _check_named(path: Path) -> Checked:
    """Return what a check of a catalogue file found, which bears the scenario's id as its name."""
    twins = [file.name for file in _files(path.parent) if file.stem == path.stem]
    if len(twins) > 1:
        raise MedgenError(f"{path.parent} has more than one {path.stem}: {', '.join(twins)}")
    checked = check_file(path)
    if checked.scenario is not None and checked.scenario.id != path.stem:
        allowed = f"must be {path.stem!r} as its file is named, or the file be renamed"
        return Checked(checked.name, None, (Fault("id", repr(checked.scenario.id), allowed),))
    return checked


def _text(path: Path) -> str:
    if path.suffix not in documents.SUFFIXES:
        endings = ", ".join(documents.SUFFIXES)
        raise MedgenError(f"scenario file {path} must end in one of {endings}")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise MedgenError(f"scenario file {path} is larger than {_MOST_BYTES} bytes")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UnknownScenarioError(f"there is no scenario file {path}") from None
    except UnicodeDecodeError as error:
        raise MedgenError(f"scenario file {path} is not UTF-8: {error}") from None
    except OSError as error:
        raise MedgenError(f"scenario file {path} cannot be read: {error.strerror}") from None


class Catalogue:
    """The scenarios that ship with the package and those of a folder, by id."""

    def __init__(self, extra_dir: Path | None = None) -> None:
        self.extra_dir = extra_dir

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all scenarios that can be used, in alphabetical order."""
        return tuple(entry.id for entry in self.entries() if entry.problem is None)

    def entries(self) -> tuple[Entry, ...]:
        """Return every scenario file there is, those that cannot be used with the reason."""
        own = {path: self._entry(path) for path in self._own_files()}
        taken = {path.stem for path in own}
        shipped = [self._entry(path) for path in _files(SHIPPED) if path.stem not in taken]
        return tuple(sorted([*own.values(), *shipped], key=lambda entry: (entry.id, entry.path)))

    def get(self, id_or_path: str | Path) -> Scenario:
        """Return a scenario by its id, or from a file anywhere if the name looks like one."""
        return _scenario_of(self.check(id_or_path))

    def check(self, id_or_path: str | Path) -> Checked:
        """Return what a check found of what `get` takes; raise if there is nothing to check."""
        name = str(id_or_path)
        if Path(name).suffix in documents.SUFFIXES or os.sep in name:
            return check_file(Path(name))
        for path in (*self._own_files(), *_files(SHIPPED)):
            if path.stem == name:
                return _check_named(path)
        guess = wording.nearest(name, {path.stem for path in _files(SHIPPED)} | self._own_ids())
        hint = f"did you mean {guess}?" if guess else "`medgen scenarios list` shows all"
        raise UnknownScenarioError(f"there is no scenario {wording.value(name)}; {hint}")

    def add(self, path: Path, *, replace: bool = False) -> Path:
        """Copy a scenario file into the folder under its id; return the copy.

        The copy is the file byte for byte, comments and all, and appears whole or not at all.
        """
        if self.extra_dir is None:
            raise MedgenError("there is no scenario folder; name one with MEDGEN_SCENARIO_DIR")
        scenario = load_file(path)
        target = self.extra_dir / f"{scenario.id}{path.suffix}"
        try:
            self.extra_dir.mkdir(parents=True, exist_ok=True)
            others = [file for file in self._own_files() if file.stem == scenario.id]
            if others and not replace:
                raise ScenarioExistsError(f"{others[0]} already holds scenario {scenario.id}")
            _write_whole(target, path.read_bytes())
            for other in others:
                if other != target:
                    other.unlink()
        except OSError as error:
            raise MedgenError(f"{target} cannot be written: {error.strerror}") from None
        return target

    def _entry(self, path: Path) -> Entry:
        replaces = path.parent != SHIPPED and any(path.stem == s.stem for s in _files(SHIPPED))
        try:
            title, problem = _scenario_of(_check_named(path)).title, None
        except MedgenError as error:
            title, problem = "", str(error)
        return Entry(path.stem, title, path, problem, replaces)

    def _own_files(self) -> tuple[Path, ...]:
        if self.extra_dir is None:
            return ()
        try:
            return tuple(_files(self.extra_dir))
        except OSError as error:
            text = f"scenario folder {self.extra_dir} cannot be read: {error.strerror}"
            raise MedgenError(text) from None

    def _own_ids(self) -> set[str]:
        return {path.stem for path in self._own_files()}


def _files(folder: Path) -> Iterator[Path]:
    """Yield the scenario files of a folder by name; hidden ones are none."""
    for path in sorted(folder.iterdir()):
        if path.suffix in documents.SUFFIXES and not path.name.startswith("."):
            yield path


def _write_whole(target: Path, content: bytes) -> None:
    """Write a file beside its place and move it there."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as beside:
        try:
            beside.write(content)
            beside.close()
            Path(beside.name).replace(target)
        except OSError:
            Path(beside.name).unlink(missing_ok=True)
            raise


def to_yaml(scenario: Scenario) -> str:
    """Return YAML that loads as the same scenario, every default written out."""
    return documents.write(scenario.model_dump(mode="json", exclude_none=True))
