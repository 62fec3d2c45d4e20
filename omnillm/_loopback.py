"""Which hosts are this machine: plain http, which anybody on the way can read, goes nowhere else unasked."""

from __future__ import annotations

import ipaddress


def is_loopback_host(host: str) -> bool:
    """Tell whether a host is this machine, by its name or its canonical address.

    Spellings that only some resolvers know (``127.1``, ``0x7f.1``, ``2130706433``, ``localhost.``) are not taken for it.
    """
    name = host.lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
