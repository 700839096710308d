"""Files of a dataset on object storage, through obstore.

Credentials, region and endpoint come from where the AWS tools look for them: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL, a web identity token,
container or instance credentials, as obstore reads them; and before those of an instance, a profile
in `~/.aws`. Requests that fail for a passing reason are
retried with growing, random pauses.

What a killed upload had sent is not listed and not readable, but it is kept and charged by the
provider; a life-cycle rule for incomplete multipart uploads removes it.
"""

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from medgen_pipeline.dataset.aws_profile import profile_config
from medgen_pipeline.dataset.store import Blob, ConflictError, Entry, Sink, Store
from medgen_pipeline.errors import DatasetError

if TYPE_CHECKING:
    from obstore.store import ObjectStore, RetryConfig

# Of a multipart upload: S3 takes 5 MiB to 5 GiB, and 10,000 parts. Six files are open at once, and
# each keeps the part it fills and the one that is sent: 60 MB when the server is slow.
PART_BYTES: Final = 5 * 2**20
PARTS_AT_ONCE: Final = 1
RETRY: Final["RetryConfig"] = {"max_retries": 10, "retry_timeout": timedelta(seconds=60)}
REQUESTS_AT_ONCE: Final = 16  # for many small objects, each of which is a wait of 10 to 50 ms
MARKER: Final = "writing"  # in the staging folder of a writer at work

# What a server says, and what it means to the user. First match wins.
MEANINGS: Final = (
    (r"NoSuchBucket", "there is no such bucket"),
    (r"169\.254\.169\.254|NoCredential", "no credentials found; set AWS_ACCESS_KEY_ID"),
    (r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken", "the credentials are refused"),
    (r"RequestTimeTooSkewed", "the clock of this machine is wrong by minutes"),
    (
        r"AccessDenied|403 Forbidden|401 Unauthorized",
        "access is denied, or there is no such bucket",
    ),
    (r"QuotaExceeded|InsufficientStorage|507 ", "the bucket is full"),
    (r"error sending request|Connect|timed out|dns error", "the server does not answer"),
)


def open_s3(url: str) -> "BucketStore":
    """Return the store at `s3://bucket/prefix`; nothing is sent yet."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    store = S3Store(
        bucket,
        prefix=prefix.strip("/") or None,
        config=profile_config(os.environ, Path.home()),
        client_options={"allow_http": True},  # for an endpoint that says http, as on loopback
        retry_config=RETRY,
    )
    return BucketStore(store, url.rstrip("/"))


class BucketStore(Store):
    """Objects below one prefix; `url` names it in messages."""

    requests_at_once = REQUESTS_AT_ONCE

    def __init__(self, store: "ObjectStore", url: str) -> None:
        self.store = store
        self.url = url

    @contextlib.contextmanager
    def claim(self, folder: str) -> Iterator[None]:
        """Mark a staging folder as held; also the first request that needs the right to write."""
        with self.explained("write", folder):
            obstore.put(self.store, f"{folder}/{MARKER}", b"")
        try:
            yield
        finally:
            with contextlib.suppress(DatasetError):  # the janitor's, then
                self.delete([f"{folder}/{MARKER}"])

    def is_claimed(self, folder: str) -> None:
        """Return None: a marker does not tell whether its writer lives."""

    def remove_staging(self, folder: str, *, even_if_claimed: bool = False) -> None:  # noqa: ARG002
        """Remove what is in a staging folder."""
        self.delete([entry.path for entry in self.entries(folder)])

    def exclusive(self, folder: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """Return a context that does nothing: `replace_if` has a precondition."""
        return nullcontext()

    def read(self, path: str) -> Blob:
        """Return a small object; its version is its entity tag."""
        with self.explained("read", path):
            found = obstore.get(self.store, path)
            return Blob(bytes(found.bytes()), str(found.meta["e_tag"]))

    def open_input(self, path: str) -> io.RawIOBase:
        """Open an object for random access."""
        return _Input(self, path, self.entry(path).size)

    def open_sink(self, path: str) -> Sink:
        """Begin a multipart upload."""
        return _UploadSink(self, path)

    def replace_if(self, path: str, data: bytes, expected: str | None, *, staging: str) -> None:  # noqa: ARG002
        """Replace an object by one conditional PUT."""
        try:
            with self.explained("write", path):
                obstore.put(
                    self.store,
                    path,
                    data,
                    mode="create" if expected is None else {"e_tag": expected},
                )
        except ConflictError:
            if self._holds(path, data):  # our own PUT, whose answer was lost and which was retried
                return
            raise

    def _holds(self, path: str, data: bytes) -> bool:
        try:
            return self.read(path).data == data
        except FileNotFoundError:
            return False

    def entry(self, path: str) -> Entry:
        """Return what a listing says of one object."""
        with self.explained("read", path):
            found = obstore.head(self.store, path)
        return Entry(found["path"], found["size"], found["last_modified"])

    def delete(self, paths: Iterable[str]) -> None:
        """Remove objects."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError), self.explained("delete", path):
                obstore.delete(self.store, path)

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Yield every object below a folder."""
        with self.explained("list", folder):
            for found in obstore.list(self.store, folder or None):
                for each in found:
                    yield Entry(each["path"], each["size"], each["last_modified"])

    def folders(self, folder: str) -> list[str]:
        """Return the folders that hold an object; some servers also list empty ones."""
        depth = folder.count("/") + 2
        parts = (entry.path.split("/") for entry in self.entries(folder))
        return sorted({"/".join(each[:depth]) for each in parts if len(each) > depth})

    @contextlib.contextmanager
    def explained(self, doing: str, path: str) -> Iterator[None]:
        """Turn what obstore raises into a DatasetError that says what failed, and why."""
        what = f"{self.url}/{path}"
        try:
            yield
        except (AlreadyExistsError, PreconditionError) as error:
            raise ConflictError(f"{what} was replaced by another writer meanwhile") from error
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise DatasetError(f"cannot {doing} {what}: {meaning(error)}") from error
            raise
        except (BaseError, OSError) as error:
            raise DatasetError(f"cannot {doing} {what}: {meaning(error)}") from error


def meaning(error: Exception) -> str:
    """Return in a few words what a server's or client's answer means."""
    text = str(error)
    for pattern, words in MEANINGS:
        if re.search(pattern, text):
            return words
    return text.splitlines()[0] if text else type(error).__name__


class _UploadSink:
    """An object being uploaded, with its digest."""

    def __init__(self, bucket: BucketStore, path: str) -> None:
        self.size = 0
        self.bucket = bucket
        self.path = path
        self._digest = hashlib.sha256()
        self._writer = obstore.open_writer(
            bucket.store, path, buffer_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
        )

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.size += len(data)
        with self.bucket.explained("write", self.path):
            return self._writer.write(data)

    def close(self) -> None:
        with self.bucket.explained("write", self.path):
            self._writer.close()

    def abort(self) -> None:
        stop = DatasetError("aborted")
        with contextlib.suppress(BaseError, OSError):  # a life-cycle rule's, then
            self._writer.__exit__(type(stop), stop, None)

    def sha256(self) -> str:
        return self._digest.hexdigest()


class _Input(io.RawIOBase):
    """An object as a file to read from anywhere."""

    def __init__(self, bucket: BucketStore, path: str, size: int) -> None:
        self.bucket = bucket
        self.path = path
        self.length = size
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.length}[whence]
        self.position = base + offset
        return self.position

    def read(self, size: int = -1, /) -> bytes:
        left = max(self.length - self.position, 0)
        count = left if size < 0 else min(size, left)
        if count == 0:
            return b""
        with self.bucket.explained("read", self.path):
            data = bytes(
                obstore.get_range(self.bucket.store, self.path, start=self.position, length=count)
            )
        self.position += len(data)
        return data
