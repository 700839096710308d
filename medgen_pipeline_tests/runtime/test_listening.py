"""What a host and a port are good for is asked of the system, and told with its reason."""

import socket

import pytest

from medgen_pipeline.errors import SettingError
from medgen_pipeline.runtime.listening import fault_of, is_loopback


def test_a_port_is_free_until_someone_listens_there() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.listen()
        said = f"--port is {port}; that port of 127.0.0.1 is taken"
        assert fault_of("127.0.0.1", port, "--port") == said
    assert fault_of("127.0.0.1", port, "--port") is None


@pytest.mark.parametrize("host", ["no.such.invalid", "192.0.2.1", "x" * 70])
def test_a_host_that_is_not_this_machine_is_named_with_the_reason(host: str) -> None:
    """A name nobody has, another machine's address, what is too long for a name."""
    said = fault_of(host, 0, "--port") or ""
    start = f"--host is {host!r}; must be an address of this machine: "
    assert said.startswith(start)
    assert len(said) > len(start)


def test_a_host_without_an_address_is_not_called_loopback() -> None:
    with pytest.raises(SettingError, match=r"--host is 'no\.such\.invalid'"):
        is_loopback("no.such.invalid")
