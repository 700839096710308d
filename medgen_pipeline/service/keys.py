"""The file of API keys: what each may do, and a hash of its secret; the secret is shown once.

A key is `mg_<id>_<secret>`. Its secret has 256 random bits, so one round of SHA-256 keeps it as
safe as a slow hash would: there is no shorter way than to guess it.
"""

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from medgen_pipeline.errors import SettingError

_FORM: Final = re.compile(r"mg_([0-9a-f]{12})_([0-9a-f]{64})")
_LONGEST_NAME: Final = 100


class Key(BaseModel):
    """One key as the file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    name: Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created_at: AwareDatetime
    revoked_at: AwareDatetime | None = None
    may_write: bool = False  # add scenarios, queue generation, cancel jobs
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 600
    # Of what is streamed to whoever has the key; what a job generates the queue bounds.
    patients_per_request: Annotated[int, Field(ge=1)] = 10_000_000
    patients_per_day: Annotated[int, Field(ge=1)] = 100_000_000

    def fits(self, secret: str) -> bool:
        """Whether this is the key's secret; the time it takes tells nothing about it."""
        return hmac.compare_digest(self.sha256, hashed(secret)) and self.revoked_at is None


_KEYS: Final = TypeAdapter(tuple[Key, ...])
NOBODY: Final = Key(
    id="0" * 12, name="nobody", sha256="0" * 64, created_at=datetime(2000, 1, 1, tzinfo=UTC)
)


def hashed(secret: str) -> str:
    """Return what the file keeps of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parts(text: str) -> tuple[str, str]:
    """Return id and secret of a key as a caller sends it; empty words when it is none."""
    found = _FORM.fullmatch(text)
    return (found[1], found[2]) if found else ("", "")


class KeyFile:
    """The keys of a deployment; changes of the file are seen at the next look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def keys(self) -> dict[str, Key]:
        """Return the keys by id; raises SettingError when the file cannot be used."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._seen, self._keys = None, {}
            return self._keys
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._keys = {key.id: key for key in self._read()}
            self._seen = seen
        return self._keys

    def create(self, name: str, **rights: int | bool) -> tuple[Key, str]:
        """Add a key; return it, and the text its owner sends, which is kept nowhere.

        Raises SettingError for a name that a line of a list cannot show.
        """
        if not (1 <= len(name) <= _LONGEST_NAME and name.isprintable()):
            raise SettingError(
                f"the name of a key is {name!r}; must be 1 to {_LONGEST_NAME} printable characters"
            )
        key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
        key = Key.model_validate(
            {
                "id": key_id,
                "name": name,
                "sha256": hashed(secret),
                "created_at": datetime.now(UTC),
                **rights,
            }
        )
        with self._changing() as keys:
            keys.append(key)
        return key, f"mg_{key_id}_{secret}"

    def revoke(self, key_id: str) -> Key:
        """End a key; raises SettingError when there is none of that id."""
        with self._changing() as keys:
            for place, key in enumerate(keys):
                if key.id == key_id:
                    ended = key.revoked_at or datetime.now(UTC)
                    keys[place] = key.model_copy(update={"revoked_at": ended})
                    return keys[place]
        raise SettingError(f"{self.path} has no key {key_id!r}")

    def _read(self) -> tuple[Key, ...]:
        try:
            return _KEYS.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            reason = getattr(error, "strerror", None) or "not a file that `medgen keys` wrote"
            raise SettingError(f"key file {self.path} cannot be used: {reason}") from None

    @contextmanager
    def _changing(self) -> Iterator[list[Key]]:
        """Hand out the keys to change, then put them in the place of the old ones in one step."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise SettingError(f"key file {self.path}: {error.strerror}") from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            keys = list(self._read())
            yield keys
            self._replace(json.dumps(_KEYS.dump_python(tuple(keys), mode="json"), indent=1))
        finally:
            os.close(folder)

    def _replace(self, text: str) -> None:
        """Replace the file by one that nobody but its owner can read."""
        try:
            with tempfile.NamedTemporaryFile(
                "w", dir=self.path.parent, prefix=".keys-", delete=False
            ) as beside:
                beside.write(text + "\n")
            Path(beside.name).replace(self.path)
        except OSError as error:
            raise SettingError(f"key file {self.path}: {error.strerror}") from None
