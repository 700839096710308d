"""The errors a user can cause, each with a message that says what to do.

Everything here derives from MedgenError; the command line prints its message, without a traceback,
and exits with 2. A bug raises something else and keeps its traceback.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class MedgenError(Exception):
    """Something the user gave cannot be used; the message names it and what is allowed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a scenario: where it is, what was got, what is allowed."""

    path: str
    got: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.path} is {self.got}; {self.allowed}"


class ScenarioError(MedgenError):
    """A scenario was refused; `faults` holds every reason, not only the first."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        self.name = name
        self.faults = tuple(faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        count = len(self.faults)
        super().__init__(f"scenario {name} has {count} fault{'s' if count != 1 else ''}:\n{lines}")


class UnknownScenarioError(MedgenError):
    """No scenario has that id, and no file that name."""


class ScenarioExistsError(MedgenError):
    """The scenario folder holds a scenario of that id, which was not to be replaced."""


class DatasetError(MedgenError):
    """The dataset cannot be read or written: a manifest, table, column, partition or folder."""


class SettingError(MedgenError):
    """An environment variable or option holds a value that cannot be used."""


class DatabaseError(MedgenError):
    """The database does not answer, or refuses what is asked of it."""
