"""A store as DuckDB sees it, where DuckDB cannot read the files by itself.

DuckDB's own S3 support is an extension that it fetches from the network; this needs none, and goes
through the same credentials and retries as everything else.
"""

from datetime import datetime
from typing import Any, Final

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from medgen_pipeline.dataset.store import Store

PROTOCOL: Final = "medgen"


class StoreFiles(AbstractFileSystem):  # type: ignore[misc]  # has no types
    """The files of a store, to be read only."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:  # noqa: ANN401
        if mode != "rb":
            raise PermissionError(f"{path} can only be read")
        return self.store.open_input(self._strip_protocol(path))

    def info(self, path: str, **_: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return the size of a file."""
        inside = self._strip_protocol(path)
        return {"name": inside, "size": self.store.entry(inside).size, "type": "file"}

    def modified(self, path: str) -> datetime:
        """Return when a file was written."""
        return self.store.entry(self._strip_protocol(path)).modified

    def glob(self, path: str, **_: Any) -> list[str]:  # noqa: ANN401
        """Return the path: manifests name every file, there are no patterns."""
        return [self._strip_protocol(path)]
