"""Which network addresses a website may be at.

The check is made where a socket is about to be connected to that very address: neither a redirect nor a name that leads
elsewhere the second time gets around it. A proxy would, so none is used.
"""

import errno
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER = (
    IPv6Network("::/96"),  # IPv4 addresses in a form that nobody uses any more
    IPv6Network("64:ff9b:1::/48"),  # translated within one's own network
    IPv6Network("2001::/32"),  # Teredo and 6to4, which hide another address
    IPv6Network("2002::/16"),
    IPv6Network("fec0::/10"),  # what private networks used before fc00::/7
)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet, and not to this machine, a private network or nobody.

    Raises ValueError when it is none.
    """
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            return is_public(str(ip.ipv4_mapped))
        if ip in _NAT64:
            return is_public(str(IPv4Address(int(ip) & 0xFFFFFFFF)))
        if any(ip in network for network in _NEVER):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class Guard:
    """Makes the sockets of one website's connections, and none for an address that is not allowed."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self.refused: str | None = None
        """The last address that was not allowed."""

    def __call__(self, info: tuple[Any, ...]) -> socket.socket:
        """`info` is an entry of `socket.getaddrinfo`; raises PermissionError."""
        family, kind, protocol, _, (host, *_) = info
        if not self._allow_private and not is_public(host):
            self.refused = str(host)
            raise PermissionError(errno.EACCES, "a private address", host)
        return socket.socket(family, kind, protocol)
