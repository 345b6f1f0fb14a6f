import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.sources.web.addresses import Guard, is_public

PRIVATE = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.2.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
]  # fmt: skip
PRIVATE6 = [
    "::1/128",
    "::/128",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "2001:db8::/32",
    "2002::/16",
]

private_addresses = st.sampled_from(PRIVATE).flatmap(
    lambda network: st.ip_addresses(v=4, network=IPv4Network(network))
)


@given(private_addresses)
def test_no_private_address_is_public_in_any_form(address: IPv4Address) -> None:
    number = int(address)
    forms = [
        str(address),
        *(
            str(IPv6Address(int(IPv6Address(prefix)) | number))
            for prefix in ("::ffff:0:0", "64:ff9b::", "::")
        ),
        str(IPv6Address(int(IPv6Address("2002::")) | number << 80)),
        str(IPv6Address(int(IPv6Address("64:ff9b:1::")) | number)),
    ]
    assert [form for form in forms if is_public(form)] == []


@given(st.sampled_from(PRIVATE6).flatmap(lambda network: st.ip_addresses(v=6, network=IPv6Network(network))))
def test_no_private_ipv6_address_is_public(address: IPv6Address) -> None:
    assert not is_public(str(address))
    assert not is_public(f"{address}%eth0")


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(), st.booleans())
def test_no_socket_is_made_for_an_address_that_is_not_allowed(
    address: IPv4Address | IPv6Address, allow_private: bool
) -> None:
    guard = Guard(allow_private=allow_private)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    info = (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), 80))
    try:
        guard(info).close()
    except PermissionError:
        assert not allow_private
        assert guard.refused == str(address)
        assert not is_public(str(address))
    else:
        assert allow_private or is_public(str(address))
