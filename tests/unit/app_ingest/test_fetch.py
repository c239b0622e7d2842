"""Fetching addresses: what is refused before a byte is sent, and what a bad server cannot do."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.db.job_rows import NewJob
from app.errors import FetchRefused
from app.ingest.fetch import Fetcher, is_public
from app.ingest.fetch_job import FetchHandler
from app.ingest.worker import JobWorker

pytestmark = pytest.mark.anyio

PAGES = {
    "/a.md": (200, {"Content-Type": "text/markdown; charset=utf-8"}, b"# A page\n"),
    "/there": (302, {"Location": "/a.md"}, b""),
    "/loop": (302, {"Location": "/loop"}, b""),
    "/inside": (302, {"Location": "http://inside.test/a.md"}, b""),
    "/file": (302, {"Location": "file:///etc/passwd"}, b""),
    "/bracket": (302, {"Location": "http://[::1/x"}, b""),
    "/big": (200, {}, b"x" * 3000),
    "/packed": (200, {"Content-Encoding": "gzip"}, b"x"),
    "/gone": (404, {}, b""),
    "/empty": (200, {}, b""),
}


HOSTS: list[str] = []  # as requests named them


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        HOSTS.append(self.headers["Host"])
        if self.path == "/slow":
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
                threading.Event().wait(2)
            return
        status, headers, body = PAGES[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


async def to_loopback(host: str, port: int) -> list[str]:
    return ["10.0.0.8" if host == "inside.test" else "127.0.0.1"]


def fetcher(port: int, **options: object) -> Fetcher:
    """Loopback counts as public here; everything else is checked as ever."""
    return Fetcher(
        [f"docs.test:{port}", "inside.test"],
        2000,
        resolve_host=to_loopback,
        accepts=lambda address: address == "127.0.0.1" or is_public(address),
        **options,
    )


async def test_a_page_comes_from_the_checked_address_under_its_own_name(port: int) -> None:
    for path in ("/a.md", "/there"):
        page = await fetcher(port).fetch(f"http://docs.test:{port}{path}")
        assert (page.name, page.media_type, page.body) == ("a.md", "text/markdown", b"# A page\n")
    assert set(HOSTS) == {f"docs.test:{port}"}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/loop", "more than 5 redirects"),
        ("/inside", "inside.test is not on the public internet"),
        ("/file", "no address that begins with http"),
        ("/bracket", "cannot be fetched"),
        ("/big", "larger than 2,000 bytes"),
        ("/packed", "packed content"),
        ("/gone", "answered 404"),
        ("/slow", "longer than"),
    ],
)
async def test_what_is_not_taken(port: int, path: str, reason: str) -> None:
    with pytest.raises(FetchRefused, match=reason):
        await fetcher(port, total_s=0.5 if path == "/slow" else 60).fetch(
            f"http://docs.test:{port}{path}"
        )


@pytest.mark.parametrize(
    "url",
    [
        "http://other.test/",
        "http://docs.test/",  # another port than the one allowed
        "http://evil.docs.test:1/",
        "ftp://docs.test/",
        "http://user:secret@docs.test/",
        "http://[::1/",
        "http://docs.test:99999/",
        "http:///x",
        "http://docs.test/\n",
        "x" * 3000,
        "http://docs.test:81/" + "\u00e9" * 1000,
    ],
)
def test_addresses_that_are_refused_unasked(url: str) -> None:
    with pytest.raises(FetchRefused):
        Fetcher(["docs.test:81"], 10).check_address(url)


def test_names_that_are_allowed() -> None:
    fetcher = Fetcher(["Docs.test", "*.example.org", "10.1.2.3"], 10)
    for url in ("https://docs.test/x", "http://DOCS.test./", "https://a.b.example.org/"):
        assert fetcher.check_address(url).port in {80, 443}
    for url in ("https://example.org/", "https://notexample.org/", "https://docs.test:444/"):
        with pytest.raises(FetchRefused):
            fetcher.check_address(url)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        *((address, False) for address in (
            "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
            "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1",
            "ff02::1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "::7f00:1",
            "fec0::1", "4000::1", "5f00::1", "3fff::1", "192.88.99.1", "240.0.0.1", "2001:db8::1",
        )),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_an_allowed_name_for_an_inner_address_is_refused() -> None:
    with pytest.raises(FetchRefused, match="not on the public internet"):
        await Fetcher(["127.0.0.1", "localhost"], 10).fetch("http://localhost/")
    with pytest.raises(FetchRefused, match="not on the public internet"):
        await Fetcher(["127.0.0.1"], 10).fetch("http://127.0.0.1/")


async def test_a_list_of_addresses_becomes_documents(kitchen, port: int) -> None:
    collection = await kitchen.store.collections.create("c")
    base = f"http://docs.test:{port}"
    urls = [f"{base}{path}" for path in ("/a.md", "/gone", "/empty")]
    jobs = kitchen.store.jobs
    job = await jobs.enqueue(NewJob("fetch", collection.id, {"source": "web"}), urls)
    handler = FetchHandler(fetcher(port), kitchen.pipeline, jobs)
    worker = JobWorker(kitchen.store.leases, [[handler], kitchen.lanes()[0]])
    worker.start()
    await asyncio.wait_for(worker.wait_idle(), 300)
    await worker.stop()
    job = await jobs.get(job.id)
    assert (job.state, job.done, job.failed) == ("partial", 1, 2)
    (row,), _ = await kitchen.store.documents.list(collection.id, 9)
    assert (row.name, row.source, row.state, row.external_id) == ("a.md", "web", "ready", urls[0])
    items, _ = await jobs.items(job.id, 9)
    assert [item.document_id for item in items] == [row.id, None, None]
    assert not await handler.give_up(job, "no more")
