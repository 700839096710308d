"""Files of a dataset: the one layer between this package and a disk or a bucket.

`Store` says what the dataset needs; `FolderStore` gives it on a local folder through the standard
library, `BucketStore` (in `bucket.py`) on object storage through obstore. Paths are relative to the
root and use slashes. What goes wrong is a DatasetError that names the path and the reason; a file
that is not there is a FileNotFoundError from `read` and `open_input`.
"""

import abc
import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from medgen_pipeline.errors import DatasetError

BYTES_AT_ONCE: Final = 1 << 20  # Parquet hands over pages and headers, some of a few bytes
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ConflictError(DatasetError):
    """Someone else replaced a file first; what they wrote stands."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A small file and a token of its version."""

    data: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a listing."""

    path: str
    size: int
    modified: datetime


class Sink(Protocol):
    """A file being written; it exists, whole, once closed."""

    size: int  # bytes written so far

    def write(self, data: bytes) -> int:
        """Append."""

    def close(self) -> None:
        """Make the file exist and last."""

    def abort(self) -> None:
        """Forget what was written; not after close."""

    def sha256(self) -> str:
        """Return the digest of all that was written."""


class Store(abc.ABC):
    """The files below one root."""

    url: str
    requests_at_once: int = 1  # that are faster than one after another

    @abc.abstractmethod
    def claim(self, folder: str) -> AbstractContextManager[None]:
        """Hold a staging folder; on leaving it is gone, with all that is in it."""

    @abc.abstractmethod
    def is_claimed(self, folder: str) -> bool | None:
        """Whether a process holds the staging folder; None where that cannot be known."""

    @abc.abstractmethod
    def remove_staging(self, folder: str, *, even_if_claimed: bool = False) -> None:
        """Remove a staging folder unless a process is known to hold it.

        A process about to be killed removes what it holds itself.
        """

    @abc.abstractmethod
    def exclusive(self, folder: str) -> AbstractContextManager[None]:
        """Keep other commits out of a folder meanwhile; nothing where `replace_if` does that."""

    @abc.abstractmethod
    def read(self, path: str) -> Blob:
        """Return a small file; FileNotFoundError when there is none."""

    @abc.abstractmethod
    def entry(self, path: str) -> Entry:
        """Return what a listing says of one file; FileNotFoundError when there is none."""

    @abc.abstractmethod
    def open_input(self, path: str) -> Any:  # noqa: ANN401  whatever pyarrow reads from
        """Open a file for random access; FileNotFoundError when there is none."""

    @abc.abstractmethod
    def open_sink(self, path: str) -> Sink:
        """Begin a new file."""

    @abc.abstractmethod
    def replace_if(self, path: str, data: bytes, expected: str | None, *, staging: str) -> None:
        """Replace a small file in one step if its version is as expected, else ConflictError.

        `expected` None means that there must be no such file yet.
        """

    @abc.abstractmethod
    def delete(self, paths: Iterable[str]) -> None:
        """Remove files; those that are gone already are no error."""

    @abc.abstractmethod
    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Yield every file below a folder, in any order; none if it does not exist."""

    @abc.abstractmethod
    def folders(self, folder: str) -> list[str]:
        """Return the folders in a folder, in order; none if it does not exist."""


def open_store(url: str | os.PathLike[str]) -> Store:
    """Return the store at a local folder or at `s3://bucket/prefix`; nothing is touched yet."""
    text = os.fspath(url)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return FolderStore(Path(text))
    if scheme == "s3" and rest.strip("/"):
        from medgen_pipeline.dataset.bucket import open_s3  # noqa: PLC0415  7 MB, threads

        return open_s3(text)
    raise DatasetError(f"data URL is {text!r}; must be a local folder or s3://bucket/prefix")


class FolderStore(Store):
    """A local folder. Locks are those of the kernel (flock), so they end with their process."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = str(self.root)

    @contextlib.contextmanager
    def claim(self, folder: str) -> Iterator[None]:
        """Hold a staging folder by a lock on it."""
        path = self.root / folder
        with contextlib.ExitStack() as stack:
            while not self._lock_on_new(path, stack):
                pass
            try:
                yield
            finally:
                shutil.rmtree(path, ignore_errors=True)

    def _lock_on_new(self, path: Path, stack: contextlib.ExitStack) -> bool:
        """Make a folder and lock it; False if the janitor removed it between the two."""
        with self._errors("create", path):
            path.mkdir(parents=True, exist_ok=True)
        try:
            handle = stack.enter_context(_locked(path))
            return os.path.samestat(os.fstat(handle), path.stat())
        except FileNotFoundError:
            return False

    def is_claimed(self, folder: str) -> bool:
        """Whether a living process of this machine holds the folder."""
        try:
            with _locked(self.root / folder, wait=False):
                return False
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False

    def remove_staging(self, folder: str, *, even_if_claimed: bool = False) -> None:
        """Remove a staging folder that nobody holds, or any."""
        path = self.root / folder
        if even_if_claimed:
            shutil.rmtree(path, ignore_errors=True)
            return
        with (
            contextlib.suppress(BlockingIOError, FileNotFoundError),
            self._errors("delete", path),
            _locked(path, wait=False),
        ):
            shutil.rmtree(path)

    @contextlib.contextmanager
    def exclusive(self, folder: str) -> Iterator[None]:
        """Hold a lock on the folder."""
        path = self.root / folder
        with self._errors("create", path):
            path.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            yield

    def read(self, path: str) -> Blob:
        """Return a small file; its version is its digest."""
        with self._errors("read", self.root / path):
            data = (self.root / path).read_bytes()
        return Blob(data, hashlib.sha256(data).hexdigest())

    def entry(self, path: str) -> Entry:
        """Return what a listing says of one file."""
        with self._errors("read", self.root / path):
            status = (self.root / path).stat()
        return Entry(path, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def open_input(self, path: str) -> BinaryIO:
        """Open a file for random access."""
        with self._errors("read", self.root / path):
            return (self.root / path).open("rb")

    def open_sink(self, path: str) -> Sink:
        """Begin a file, in a folder that is made if need be."""
        return _FileSink(self.root, self.root / path)

    def rename(self, source: str, target: str) -> None:
        """Move a file over the one that may be there, in one step that lasts."""
        path = self.root / target
        with self._errors("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            (self.root / source).replace(path)
            _sync_folder(path.parent)

    def replace_if(self, path: str, data: bytes, expected: str | None, *, staging: str) -> None:
        """Replace a small file; only within `exclusive` on its folder is this one step."""
        try:
            version = self.read(path).version
        except FileNotFoundError:
            version = None
        if version != expected:
            raise ConflictError(f"{self.url}/{path} was replaced by another writer meanwhile")
        staged = f"{staging}/{Path(path).name}"
        sink = self.open_sink(staged)
        try:
            sink.write(data)
            sink.close()
        except BaseException:
            sink.abort()
            raise
        self.rename(staged, path)

    def delete(self, paths: Iterable[str]) -> None:
        """Remove files; their folders stay."""
        for path in paths:
            with self._errors("delete", self.root / path):
                (self.root / path).unlink(missing_ok=True)

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Yield every file below a folder."""
        for where, _, names in os.walk(self.root / folder, onerror=self._refuse_unless_missing):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                    yield self.entry(Path(where, name).relative_to(self.root).as_posix())

    def _refuse_unless_missing(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise DatasetError(f"cannot list {error.filename}: {error.strerror}") from error

    def folders(self, folder: str) -> list[str]:
        """Return the folders in a folder."""
        path = self.root / folder
        if not path.is_dir():
            return []
        return sorted(f"{folder}/{each.name}" for each in path.iterdir() if each.is_dir())

    def _errors(self, doing: str, path: Path) -> AbstractContextManager[None]:
        return _errors(doing, path, self.root)


class _FileSink:
    """A local file being written, with its digest, in pieces that are worth a system call."""

    def __init__(self, root: Path, path: Path) -> None:
        self.size = 0
        self.root = root
        self.path = path
        self._digest = hashlib.sha256()
        self._pending = bytearray()
        with _errors("write", path, root):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)

    def write(self, data: bytes) -> int:
        count = len(data)
        self.size += count
        self._pending += data
        if len(self._pending) >= BYTES_AT_ONCE:
            self._flush()
        return count

    def _flush(self) -> None:
        self._digest.update(self._pending)
        rest = memoryview(self._pending)
        with _errors("write", self.path, self.root):
            while rest:
                rest = rest[self._file.write(rest) :]
        self._pending = bytearray()

    def close(self) -> None:
        self._flush()
        with _errors("write", self.path, self.root):
            os.fsync(self._file.fileno())
            self._file.close()

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)

    def sha256(self) -> str:
        return self._digest.hexdigest()


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _errors(doing: str, path: Path, root: Path) -> Iterator[None]:
    """Turn an OSError into a DatasetError that says what could not be done, and why."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BlockingIOError) or (
            isinstance(error, FileNotFoundError) and doing in {"read", "delete"}
        ):
            raise
        full = f"; {root} is full" if error.errno in FULL else ""
        raise DatasetError(f"cannot {doing} {path}: {error.strerror or error}{full}") from error
