"""Fetches addresses for users without being led astray: only hosts the operator allows, only public
addresses, checked after the name is resolved and again on each redirect.

The connection goes to the address that was checked, so a name that resolves to something else a
moment later changes nothing. Knows no job.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx2

from app.errors import FetchRefused

MAX_REDIRECTS = 5
TOTAL_S = 60.0
MAX_URL_BYTES = 2000  # it becomes an external id
PORTS = {"http": 80, "https": 443}
# All that is given out of IPv6 lies here: site-local addresses, which Python takes for global, and
# the older forms that carry an IPv4 address do not.
_GIVEN_OUT = ipaddress.ip_network("2000::/3")
# Within it, or in IPv4, and all the same nobody's: 6to4, which carries IPv4 addresses, and its
# relays; examples.
_NOBODYS = [ipaddress.ip_network(net) for net in ("2002::/16", "192.88.99.0/24", "3fff::/20")]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
IsPublic = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Fetched:
    name: str
    media_type: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """One hop: where it goes and what the server is told."""

    url: str
    scheme: str
    host: str
    port: int


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of the host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def is_public(address: str) -> bool:
    """Whether an address is on the public internet: not private, loopback or link-local."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip not in _GIVEN_OUT:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in net for net in _NOBODYS)


class Fetcher:
    """`allowed` are host names, `*.example.org` for every name below, and `host:port` where the
    port is not the usual one. `resolve_host` and `accepts` are replaced in tests only."""

    def __init__(
        self,
        allowed: Sequence[str],
        max_bytes: int,
        *,
        resolve_host: Resolve = resolve,
        accepts: IsPublic = is_public,
        total_s: float = TOTAL_S,
    ) -> None:
        self._allowed = [name.lower() for name in allowed]
        self._max_bytes = max_bytes
        self._resolve = resolve_host
        self._accepts = accepts
        self._total_s = total_s

    def check_address(self, url: str) -> Target:
        """Raises `FetchRefused` where the operator does not allow that host. Resolves nothing."""
        if len(url.encode("utf-8", "replace")) > MAX_URL_BYTES:
            raise FetchRefused(f"an address has at most {MAX_URL_BYTES:,} bytes")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise FetchRefused(f"{url[:200]!r} is no address: {error}") from error
        if parts.scheme not in PORTS or not parts.hostname or not url.isprintable():
            raise FetchRefused(f"{url[:200]!r} is no address that begins with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise FetchRefused("an address may not hold a user name or a password")
        host, usual = parts.hostname.rstrip(".").lower(), PORTS[parts.scheme]
        if not self._is_allowed(host, port or usual, usual):
            raise FetchRefused(
                f"this server may not fetch from {host}"
                f"{'' if port in {None, usual} else f':{port}'}; "
                "its operator allows hosts with the setting allowed_fetch_hosts"
            )
        return Target(url, parts.scheme, host, port or usual)

    async def fetch(self, url: str) -> Fetched:
        """The document at `url`. Raises `FetchRefused` with what is wrong."""
        try:
            async with asyncio.timeout(self._total_s):
                return await self._follow(url)
        except TimeoutError:
            message = f"{url} took longer than {self._total_s:.0f} seconds"
            raise FetchRefused(message) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise FetchRefused(
                f"{url} cannot be fetched: {error or type(error).__name__}"
            ) from error

    async def _follow(self, url: str) -> Fetched:
        limits = httpx2.Timeout(10.0)
        # No proxy of the environment: it would make the connection in our place, unchecked.
        async with httpx2.AsyncClient(timeout=limits, trust_env=False) as client:
            for _ in range(MAX_REDIRECTS + 1):
                target = self.check_address(url)
                request = self._request(client, target, await self._checked(target))
                response = await client.send(request, stream=True, follow_redirects=False)
                try:
                    if response.is_redirect and "location" in response.headers:
                        url = urljoin(url, response.headers["location"])
                        continue
                    return await self._read(target, response)
                finally:
                    await response.aclose()
        raise FetchRefused(f"more than {MAX_REDIRECTS} redirects")

    async def _checked(self, target: Target) -> str:
        """One address of the host, all of which are public."""
        addresses = await self._resolve(target.host, target.port)
        if not addresses or not all(map(self._accepts, addresses)):
            raise FetchRefused(f"{target.host} is not on the public internet")
        return addresses[0]

    def _request(self, client: httpx2.AsyncClient, target: Target, address: str) -> httpx2.Request:
        shown = f"[{target.host}]" if ":" in target.host else target.host
        headers = {
            "Host": shown if target.port == PORTS[target.scheme] else f"{shown}:{target.port}",
            "Accept-Encoding": "identity",  # what is packed could unpack to anything
            "User-Agent": "larder",
        }
        url = httpx2.URL(target.url).copy_with(host=address, port=target.port)
        return client.build_request(
            "GET", url, headers=headers, extensions={"sni_hostname": target.host}
        )

    async def _read(self, target: Target, response: httpx2.Response) -> Fetched:
        if response.status_code != 200:
            raise FetchRefused(f"{target.url} answered {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise FetchRefused(
                f"{target.url} answered with packed content, which was not asked for"
            )
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > self._max_bytes:
                raise FetchRefused(f"{target.url} is larger than {self._max_bytes:,} bytes")
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        name = urlsplit(target.url).path.rstrip("/").rpartition("/")[2] or target.host
        return Fetched(name, media_type or None, bytes(body))

    def _is_allowed(self, host: str, port: int, usual: int) -> bool:
        names = {host, *(f"*.{parent}" for parent in _parents(host))}
        if port != usual:
            names = {f"{name}:{port}" for name in names}
        return not names.isdisjoint(self._allowed)


def _parents(host: str) -> list[str]:
    labels = host.split(".")
    return [".".join(labels[start:]) for start in range(1, len(labels))]
