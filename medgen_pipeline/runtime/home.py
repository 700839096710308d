"""The folder of a deployment, DAGSTER_HOME: what `medgen up` writes into it, and who holds it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from medgen_pipeline.errors import SettingError
from medgen_pipeline.runtime.instance_yaml import HEADER, instance_yaml
from medgen_pipeline.settings import Settings, variable_of

DEFAULT: Final = Path(".dagster")  # below the current folder, when DAGSTER_HOME is not set
LOCK: Final = "medgen-up.lock"
SOCKET: Final = "code-server.sock"
WORKSPACE: Final = "workspace.yaml"
INSTANCE: Final = "dagster.yaml"
LOCATION: Final = "medgen_pipeline"
LONGEST_SOCKET: Final = 107  # bytes of a path, which the kernel keeps in 108


def home_of(settings: Settings) -> Path:
    """Return the folder, which may not exist yet."""
    return (settings.dagster_home or DEFAULT).absolute()


def socket_of(home: Path) -> Path:
    """Return where the code server listens; raises SettingError when the path is too long."""
    path = home / SOCKET
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        raise SettingError(
            f"DAGSTER_HOME is {str(home)!r}; must be a path of at most "
            f"{LONGEST_SOCKET - len(SOCKET) - 1} bytes, for a socket is made in it"
        )
    return path


@contextlib.contextmanager
def held(home: Path) -> Iterator[None]:
    """Keep others out of a home meanwhile; raises SettingError if one is in, or it is read-only."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise SettingError(f"DAGSTER_HOME {home} cannot be written: {error.strerror}") from error
    try:
        _take(lock, home)
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(lock)


def holder(home: Path) -> str | None:
    """Return the process that holds a home, None when nobody does."""
    try:
        lock = os.open(home / LOCK, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written(lock)
    finally:
        os.close(lock)
    return None


def in_use_by(process: str, home: Path) -> str:
    """Return that a home is taken, in words."""
    return (
        f"DAGSTER_HOME {home} is in use by `medgen up`, process {process}; "
        "stop that one or set another DAGSTER_HOME"
    )


def is_foreign(home: Path) -> bool:
    """Whether a home holds a dagster.yaml that somebody else wrote."""
    try:
        found = (home / INSTANCE).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not found.startswith(HEADER.splitlines()[0])


def lacks_its_database(home: Path, settings: Settings) -> str | None:
    """Return that a home keeps its runs in Postgres and nobody says where, if so."""
    variable = variable_of("database_url")
    file = home / INSTANCE
    if settings.database_url is None and file.exists() and variable in file.read_text("utf-8"):
        return f"{variable} is not set, and {file} keeps runs where it leads; set it"
    return None


def write_instance(home: Path, settings: Settings) -> None:
    """Write dagster.yaml for these settings, unless somebody else wrote one."""
    if not is_foreign(home):
        _replace(home / INSTANCE, instance_yaml(settings))


def write_workspace(path: Path, socket: Path) -> None:
    """Write where web server and daemon find the code server."""
    server = {"grpc_server": {"socket": str(socket), "location_name": LOCATION}}
    _replace(path, yaml.safe_dump({"load_from": [server]}))


def not_writable(home: Path) -> str | None:
    """Return why a home cannot be used or made, None when it can."""
    folder = next(each for each in (home, *home.parents) if each.exists())
    if not folder.is_dir():
        return f"DAGSTER_HOME {home} cannot be made: {folder} is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"DAGSTER_HOME {home} cannot be written: permission denied at {folder}"
    return None


def _replace(path: Path, text: str) -> None:
    """Replace a file in one step: Dagster may be reading it, and another command replacing it."""
    staged = path.with_suffix(f".{os.getpid()}.new")
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)


def _take(lock: int, home: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SettingError(in_use_by(_written(lock), home)) from error


def _written(lock: int) -> str:
    return os.pread(lock, 32, 0).decode().strip() or "unknown"
