import hashlib
import threading
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from medgen_pipeline.dataset.bucket import BucketStore, meaning
from medgen_pipeline.dataset.store import ConflictError, FolderStore, Store, open_store
from medgen_pipeline.errors import DatasetError


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path)
    return BucketStore(MemoryStore(), "memory://")


def put(store: Store, path: str, data: bytes) -> None:
    """Write a file in one go."""
    sink = store.open_sink(path)
    sink.write(data)
    sink.close()


def test_what_is_written_is_there(store: Store) -> None:
    """With its size and digest, to be read whole or from anywhere."""
    sink = store.open_sink("a/b.bin")
    sink.write(b"one ")
    sink.write(b"two")
    sink.close()
    assert (sink.size, sink.sha256()) == (7, hashlib.sha256(b"one two").hexdigest())
    assert store.read("a/b.bin").data == b"one two"
    assert [(entry.path, entry.size) for entry in store.entries()] == [("a/b.bin", 7)]
    assert store.entry("a/b.bin") == next(store.entries("a"))
    with store.open_input("a/b.bin") as opened:
        opened.seek(-3, 2)
        assert opened.read() == b"two"
        opened.seek(0)
        assert (opened.read(3), opened.tell(), opened.read(99)) == (b"one", 3, b" two")


def test_what_is_not_there(store: Store) -> None:
    """Is an ordinary answer for one file, and nothing in a listing."""
    for ask in (store.read, store.open_input, store.entry):
        with pytest.raises(FileNotFoundError):
            ask("a/b.bin")
    assert list(store.entries("a")) == []
    assert store.folders("a") == []
    store.delete(["a/b.bin"])


def test_a_file_appears_whole_or_not_at_all_once_aborted(store: Store) -> None:
    sink = store.open_sink("a/b.bin")
    sink.write(b"x" * 20_000_000)  # several parts of an upload
    sink.abort()
    assert list(store.entries()) == []


def test_folders_and_files_are_listed(store: Store) -> None:
    for path in ("b/2", "a/9/1", "a/1/1", "c"):
        put(store, path, b"")
    assert sorted(entry.path for entry in store.entries()) == ["a/1/1", "a/9/1", "b/2", "c"]
    assert store.folders("a") == ["a/1", "a/9"]


def test_replacing_needs_the_version_that_is_there(store: Store) -> None:
    """None stands for a file that must not be there yet."""
    with store.claim("_staging/r.1"):
        store.replace_if("m.json", b"1", None, staging="_staging/r.1")
        first = store.read("m.json").version
        with pytest.raises(ConflictError, match=r"m\.json was replaced by another writer"):
            store.replace_if("m.json", b"2", None, staging="_staging/r.1")
        store.replace_if("m.json", b"2", first, staging="_staging/r.1")
        with pytest.raises(ConflictError):
            store.replace_if("m.json", b"3", first, staging="_staging/r.1")
    assert store.read("m.json").data == b"2"


def test_of_many_that_replace_at_once_one_wins(store: Store) -> None:
    """Each holds the same version; the others are told."""
    with store.claim("_staging/r.1"):
        store.replace_if("m/m.json", b"old", None, staging="_staging/r.1")
        version = store.read("m/m.json").version
        told: list[int] = []
        barrier = threading.Barrier(4)

        def replace(number: int) -> None:
            barrier.wait()
            with store.claim(f"_staging/r.{number}"), store.exclusive("m"):
                try:
                    data, staging = str(number).encode(), f"_staging/r.{number}"
                    store.replace_if("m/m.json", data, version, staging=staging)
                except ConflictError:
                    told.append(number)

        threads = [threading.Thread(target=replace, args=(number,)) for number in range(2, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(told) == 3
    assert store.read("m/m.json").data == str(({2, 3, 4, 5} - {*told}).pop()).encode()


def test_a_claim_ends_with_all_that_is_in_it(store: Store) -> None:
    with store.claim("_staging/r.1"):
        assert store.folders("_staging") == ["_staging/r.1"]
        assert store.is_claimed("_staging/r.1") in {True, None}
    assert store.folders("_staging") == []
    assert not store.is_claimed("_staging/r.1")


def test_a_folder_store_keeps_others_out(tmp_path: Path) -> None:
    """A lock on a folder is held by one at a time, also within a process."""
    store, order = FolderStore(tmp_path), list[str]()
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with store.exclusive("m"):
            order.append("second")

    with store.exclusive("m"):
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_stores_by_url(tmp_path: Path) -> None:
    """A path is a folder; nothing is made or sent before it is used."""
    assert isinstance(open_store(tmp_path / "new"), FolderStore)
    assert list(tmp_path.iterdir()) == []
    bucket = open_store("s3://bucket/some/prefix/")
    assert bucket.url == "s3://bucket/some/prefix"
    with pytest.raises(DatasetError, match="data URL is 'ftp://x'; must be"):
        open_store("ftp://x")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("404 <Code>NoSuchBucket</Code>", "there is no such bucket"),
        ("403 <Code>InvalidAccessKeyId</Code>", "the credentials are refused"),
        ("403 Forbidden <Code>AccessDenied</Code>", "access is denied, or there is no such bucket"),
        ("403 <Code>RequestTimeTooSkewed</Code>", "the clock of this machine is wrong by minutes"),
        ("PUT http://169.254.169.254/latest", "no credentials found; set AWS_ACCESS_KEY_ID"),
        ("HTTP error: error sending request\nmore", "the server does not answer"),
        ("something new\nwith details", "something new"),
    ],
)
def test_what_a_server_says_is_put_in_words(said: str, meant: str) -> None:
    assert meaning(OSError(said)) == meant
