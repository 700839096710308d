"""The file of keys: what it keeps, who can read it, what it refuses."""

import io
import stat
from pathlib import Path

import pytest
from rich.console import Console

from medgen_pipeline.cli import main
from medgen_pipeline.cli.keys import table_of
from medgen_pipeline.errors import SettingError
from medgen_pipeline.service.keys import KeyFile, parts


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "deep" / "keys.json")


def test_a_secret_is_kept_nowhere(file: KeyFile) -> None:
    """The file holds a hash that the secret fits and another does not; only its owner reads it."""
    key, text = file.create("ann")
    key_id, secret = parts(text)
    assert key_id == key.id
    assert secret not in file.path.read_text()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    found = file.keys()[key.id]
    assert found.fits(secret)
    assert not found.fits(secret[::-1])


def test_a_change_is_seen_by_others(file: KeyFile) -> None:
    """A server that has read the file sees a new key, and the end of one."""
    server = KeyFile(file.path)
    assert server.keys() == {}
    key, text = file.create("ann")
    assert server.keys()[key.id].name == "ann"
    file.revoke(key.id)
    assert not server.keys()[key.id].fits(parts(text)[1])


def test_keys_are_told_apart(file: KeyFile) -> None:
    first, second = file.create("ann"), file.create("ann")
    assert first[0].id != second[0].id
    assert set(file.keys()) == {first[0].id, second[0].id}


@pytest.mark.parametrize("text", ["", "mg_", "mg_abc_def", "x" * 10_000, "mg_é_" + "0" * 64])
def test_what_is_no_key(text: str) -> None:
    assert parts(text) == ("", "")


@pytest.mark.parametrize("content", ["", "[", "{}", '[{"id": "x"}]'])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(SettingError, match=r"keys\.json cannot be used"):
        KeyFile(path).keys()


def test_a_key_that_is_not_there(file: KeyFile) -> None:
    with pytest.raises(SettingError, match="has no key 'abc'"):
        file.revoke("abc")


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[31m", "x" * 101])
def test_a_name_that_no_line_can_show(name: str, file: KeyFile) -> None:
    with pytest.raises(SettingError, match=r"must be 1 to 100 printable characters"):
        file.create(name)
    assert not file.path.exists()


def test_an_id_is_whole_wherever_keys_are_listed(
    file: KeyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    """Piped, a key is one line; at any width nothing of an id is left out."""
    key, _ = file.create("n" * 100)
    assert main(["keys", "--file", str(file.path), "list"]) == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line.split()[:2] == [key.id, key.name]
    for width in (40, 80):
        console = Console(width=width, file=io.StringIO())
        with console.capture() as shown:
            console.print(table_of([key]))
        assert key.id in shown.get()


def test_help_needs_no_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MEDGEN_API_KEYS", raising=False)
    assert main(["keys", "create", "--help"]) == 0
    assert "Usage: medgen keys create" in capsys.readouterr().out
    assert main(["keys", "list"]) == 2
    assert "there is no file of keys; name one with" in capsys.readouterr().err


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Create prints the key once; list shows everything but it; revoke ends it."""
    path = tmp_path / "keys.json"
    monkeypatch.setenv("MEDGEN_API_KEYS", str(path))
    assert main(["keys", "create", "ann", "--write", "--patients-per-day", "5000"]) == 0
    text = capsys.readouterr().out.strip()
    key_id, secret = parts(text)
    key = KeyFile(path).keys()[key_id]
    assert (key.may_write, key.patients_per_day) == (True, 5_000)
    assert main(["keys", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    assert key_id in listed
    assert secret not in listed
    assert key.sha256 not in listed
    assert main(["keys", "revoke", key_id]) == 0
    assert main(["keys", "list"]) == 0
    assert "revoked" in capsys.readouterr().out
    assert main(["keys", "revoke", "nobody"]) == 2


def test_no_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MEDGEN_API_KEYS", raising=False)
    assert main(["keys", "list"]) == 2
    assert "MEDGEN_API_KEYS" in capsys.readouterr().err
