"""Which address is taken for that of the client."""

import pytest

from sqlalchemy_versioned import ImproperlyConfigured, InvalidArgument, InvalidArgumentType
from sqlalchemy_versioned.plugins.addresses import Proxies, address_of, checked_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        (
            "2001:db8:1111:1111:1111:1111:1111:1111%" + "x" * 20,
            "2001:db8:1111:1111:1111:1111:1111:1111",
        ),
        ("testclient", None),
        ("192.0.2.1.example.org", None),
        ("", None),
        (None, None),
    ],
)
def test_addresses(text, address):
    """An address has one form, which there is room for; what is none is not recorded."""
    assert address_of(text) == address


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ([], "192.0.2.9", "198.51.100.1", "192.0.2.9"),
        (["10.0.0.0/8"], "192.0.2.9", "198.51.100.1", "192.0.2.9"),
        (["10.0.0.0/8"], "10.0.0.1", "", "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "1.1.1.1, 198.51.100.1:8080,10.0.0.2", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "198.51.100.1, unknown, 10.0.0.2", "10.0.0.2"),
        (["10.0.0.0/8"], "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (["::1", "2001:db8::/32"], "::1", "[2001:db9::1]:80, 2001:db8::1", "2001:db9::1"),
        (["127.0.0.1"], "127.0.0.1", "fe80::1%" + "\x00" * 99, "fe80::1"),
        (["127.0.0.1"], None, "198.51.100.1", None),
    ],
)
def test_forwarded(trusted, peer, forwarded, client):
    """The list is read from its end, as far as proxies are trusted and addresses are some."""
    assert Proxies(trusted).client(peer, forwarded) == client


@pytest.mark.parametrize("trusted", ["127.0.0.1", ["localhost"], ["10.0.0.1/8"], [None], [5], 5])
def test_proxies_that_are_none(trusted):
    """Only addresses and networks can be trusted."""
    with pytest.raises(ImproperlyConfigured, match="trusted_proxies"):
        Proxies(trusted)


def test_addresses_of_an_application():
    """What an application wants to be recorded is, if it is a text that there is room for."""
    assert [checked_address(each) for each in (None, "", "somewhere")] == [None, None, "somewhere"]
    with pytest.raises(InvalidArgument, match="51 characters"):
        checked_address("x" * 51)
    with pytest.raises(InvalidArgumentType, match="no text"):
        checked_address(b"::1")
