"""Named bytes in a bucket of any S3-compatible store. The client `obstore` is an extra
(`s3`); it takes credentials from the usual AWS variables or the machine's role.

Objects `PREFIX/blobs/NAME` and, empty, `PREFIX/pins/DIGEST`. A bucket does not record reads, so an
entry's age counts from its writing and from the uses this process saw.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.store import S3Store

from kvstore.errors import InvalidTier
from kvstore.shared_tier import Blob

BLOBS, PINS = "blobs/", "pins/"
PAGE = 1000  # objects, as many as a server tells at once
TRANSFER_S = 30.0  # more than a call is waited for: the client's own limit covers whole bodies
OPTIONS = {"endpoint", "region"}


class S3Blobs:
    name = "s3"

    def __init__(self, url: str, limit_s: float) -> None:
        """`s3://bucket/prefix?endpoint=https://host&region=name`, the options as needed."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        if not parts.netloc or not options.keys() <= OPTIONS:
            raise InvalidTier("expected s3://BUCKET/PREFIX?endpoint=URL&region=NAME")
        limit = timedelta(seconds=limit_s)
        self._store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=options,  # type: ignore[arg-type]  # a TypedDict of the same names
            client_options={
                "timeout": limit + timedelta(seconds=TRANSFER_S),
                "connect_timeout": limit,
                "allow_http": options.get("endpoint", "").startswith("http://"),
            },
            retry_config={"max_retries": 0},
        )

    def read(self, name: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._store, BLOBS + name).bytes())
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        obstore.put(self._store, BLOBS + name, data, use_multipart=False)

    def exists(self, name: str) -> bool:
        try:
            obstore.head(self._store, BLOBS + name)
        except FileNotFoundError:
            return False
        return True

    def delete(self, names: Sequence[str]) -> None:
        obstore.delete(self._store, [BLOBS + name for name in names])

    def listing(self) -> Iterator[dict[str, Blob]]:
        for page in obstore.list(self._store, BLOBS, chunk_size=PAGE):
            yield {
                item["path"].removeprefix(BLOBS): Blob(
                    item["size"], item["last_modified"].timestamp()
                )
                for item in page
            }

    def pins(self) -> Iterator[list[str]]:
        for page in obstore.list(self._store, PINS, chunk_size=PAGE):
            yield [item["path"].removeprefix(PINS) for item in page]

    def pin(self, digest: str, pinned: bool) -> None:
        if pinned:
            obstore.put(self._store, PINS + digest, b"", use_multipart=False)
        else:
            obstore.delete(self._store, [PINS + digest])
