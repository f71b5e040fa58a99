"""Which addresses are this machine's own, as its routing says."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address

from tellwire.security.addresses import Address

_ANY_PORT = 9


def is_own_address(address: Address) -> bool:
    """Return whether an address is one of this machine's interfaces, asked anew each time: they come and go.

    Nothing is sent: connecting a datagram socket only chooses the address from which it would send, which for an
    address of this machine is that address.
    """
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _ANY_PORT))
            return bool(probe.getsockname()[0] == str(address))
    except OSError:  # there is no way to it, so it is not here
        return False
