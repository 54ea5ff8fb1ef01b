"""Which requests go through a proxy: none to this machine, all others as the environment says (HTTP_PROXY, HTTPS_PROXY,
ALL_PROXY, NO_PROXY).

    httpx.Client(trust_env=not is_local(url))
    urllib.request.ProxyHandler(proxies_for(url))
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from knapsack_lib.errors import UserError

__all__ = ["is_local", "one_line_for_proxies", "proxies_for"]


def is_local(url: str) -> bool:
    """Whether the address is this machine's own, by its name or number. No name is looked up."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def proxies_for(url: str) -> dict[str, str]:
    """Scheme -> proxy for this address; empty where it is reached without one. urllib by itself passes over
    ALL_PROXY."""
    if is_local(url) or proxy_bypass(urlsplit(url).netloc):
        return {}
    found = getproxies()
    general = found.get("all")
    return ({"http": general, "https": general} if general else {}) | found


@contextmanager
def one_line_for_proxies() -> Iterator[None]:
    """Around the making of a client: a proxy that it cannot use is a UserError."""
    try:
        yield
    except (ImportError, ValueError) as error:
        named = sorted(name for name in getproxies() if name != "no")
        if not named or getattr(error, "name", None):  # a package that is missing has a name
            raise
        raise UserError(
            f"the proxy in {' and '.join(f'{name.upper()}_PROXY' for name in named)} cannot be used "
            f"({type(error).__name__}); name one that begins with http://, or unset it"
        ) from None
