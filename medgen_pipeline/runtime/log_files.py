"""Log files of long-lived processes: appended to by them, cut off and numbered by the supervisor.

The processes hold the file open, so it is copied and then emptied; what is written between the two
is lost, and nothing else.
"""

import os
import shutil
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 10 * 1024 * 1024  # our own choice: weeks of an idle deployment
KEPT: Final = 5


def open_log(folder: Path, name: str) -> int:
    """Return a file to append to."""
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(path_of(folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def path_of(folder: Path, name: str) -> Path:
    """Return the log of a process."""
    return folder / f"{name.replace(' ', '-')}.log"


def rotate(path: Path, *, most_bytes: int = MOST_BYTES, kept: int = KEPT) -> None:
    """Empty a log that is too long; what it held is kept under number 1, what was 1 under 2."""
    if not path.exists() or path.stat().st_size <= most_bytes:
        return
    for number in range(kept - 1, 0, -1):
        older = path.with_suffix(f".log.{number}")
        if older.exists():
            older.replace(path.with_suffix(f".log.{number + 1}"))
    shutil.copyfile(path, path.with_suffix(".log.1"))
    os.truncate(path, 0)


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log."""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 8192))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
