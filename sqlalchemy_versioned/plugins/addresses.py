"""Whose address is recorded for a request: that of the client, as far as it can be trusted."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from ..build.transaction import ADDRESS_LENGTH
from ..exc import ImproperlyConfigured, InvalidArgument, InvalidArgumentType

__all__ = ["Proxies", "address_of", "checked_address"]


def address_of(text: str | None) -> str | None:
    """Return an address as it is recorded: in its shortest form, or ``None`` if it is none.

    >>> address_of("2001:DB8:0:0:0:0:0:1"), address_of("testclient")
    ('2001:db8::1', None)
    """
    found = _parse(text or "")
    if found is None:
        return None
    shown = str(found)
    # The zone of a link-local address can be of any length.
    return shown if len(shown) <= ADDRESS_LENGTH else shown.partition("%")[0]


def checked_address(said: Any) -> str | None:
    """Return what an application wants to be recorded as an address, as it is.

    :raises InvalidArgumentType: if it is no text.
    :raises InvalidArgument: if it is too long.
    """
    if said is not None and not isinstance(said, str):
        raise InvalidArgumentType(
            f"an address was asked for, and found {said!r}, which is no text; return a str or None"
        )
    if said is not None and len(said) > ADDRESS_LENGTH:
        raise InvalidArgument(
            f"an address was asked for, and found one of {len(said)} characters, "
            f"{said[:ADDRESS_LENGTH]!r}…; there is room for {ADDRESS_LENGTH}"
        )
    return said or None


class Proxies:
    """The proxies that are trusted to say whom they speak for.

    :param trusted: their addresses and networks, such as ``["127.0.0.1", "10.0.0.0/8"]``.
    :raises ImproperlyConfigured: if one of them is neither.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        if isinstance(trusted, (str, bytes)):
            raise ImproperlyConfigured(
                f"trusted_proxies is {trusted!r}; give a list of addresses, such as [{trusted!r}]"
            )
        try:
            self._networks = [_network(each) for each in trusted]
        except TypeError as error:
            raise ImproperlyConfigured(
                f"trusted_proxies is {trusted!r}; give a list of addresses, such as ['127.0.0.1']"
            ) from error

    def client(self, peer: str | None, forwarded: str) -> str | None:
        """Return the address of the client.

        Each proxy appends the address that it was asked from, so the list is read from its end,
        and no further than there is trust: what a client has made up stands before that.

        :param peer: the address at the other end of the connection.
        :param forwarded: the list of ``X-Forwarded-For``.

        >>> Proxies().client("203.0.113.9", "192.0.2.1")
        '203.0.113.9'
        >>> Proxies(["10.0.0.0/8"]).client("10.0.0.1", "made-up, 192.0.2.1, 10.0.0.2")
        '192.0.2.1'
        """
        nearest = address_of(peer)
        hops = forwarded.split(",")
        while hops and nearest is not None and self._is_trusted(nearest):
            found = address_of(_bare(hops.pop()))
            if found is None:
                break
            nearest = found
        return nearest

    def _is_trusted(self, address: str) -> bool:
        found = _parse(address)
        return any(found in network for network in self._networks)


def _network(said: Any) -> IPv4Network | IPv6Network:
    try:
        # Of numbers and bytes it would make addresses that nobody has meant.
        return ip_network(str(said))
    except ValueError as error:
        raise ImproperlyConfigured(
            f"trusted_proxies has {said!r}, which is no address or network ({error}); "
            "give such as '127.0.0.1' or '10.0.0.0/8'"
        ) from error


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    # A socket that takes both kinds shows the one as the other.
    return getattr(found, "ipv4_mapped", None) or found


def _bare(hop: str) -> str:
    """Return an address without its port, and without a zone, which means something there only.

    >>> _bare("192.0.2.1:80"), _bare("[2001:db8::1]:80"), _bare("fe80::1%eth0")
    ('192.0.2.1', '2001:db8::1', 'fe80::1')
    """
    hop = hop.strip()
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    return hop.partition("%")[0]
