"""Where a server can listen, and whom a host lets in."""

import errno
import ipaddress
import socket

from medgen_pipeline.errors import SettingError


def fault_of(host: str, port: int, setting: str) -> str | None:
    """Return why nothing can listen at a port, which `setting` set, and None when it can."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:  # as servers do: one of IPv4 is in no one's way
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind(address)
    except (OSError, UnicodeError) as error:  # the latter: too long for a name
        return _told(error, host, port, setting)
    return None


def _told(error: OSError | UnicodeError, host: str, port: int, setting: str) -> str:
    number, reason = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
    if number == errno.EADDRINUSE:
        return f"{setting} is {port}; that port of {host} is taken"
    if number == errno.EACCES:
        return f"{setting} is {port}; that port of {host} needs rights: {reason}"
    return f"--host is {host!r}; must be an address of this machine: {reason}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host, under each of its addresses."""
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:
        raise SettingError(f"--host is {host!r}, which is no address of this machine") from error
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)
