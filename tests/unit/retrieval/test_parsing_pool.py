"""A pool with a real child: whatever a file does to its reader, the next file is read."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import psutil
import pytest

from retrieval.config import ParseLimits
from retrieval.errors import EncryptedDocument, ParseError, UnsupportedMedia
from retrieval.parsing import registry
from retrieval.parsing.pool import ParserPool
from retrieval.types import Document
from tests.fakes.office_files import make_docx, repacked
from tests.fakes.pdf_bytes import make_pdf

ROOT = Path(__file__).parents[3]
FAKE_CHILD = (str(ROOT / "tests" / "fakes" / "parse_child.py"),)
MEMORY = 512 * 2**20

MakePool = Callable[..., ParserPool]


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    pools = []

    def make(seconds: float = 60.0, **limits: float) -> ParserPool:
        pools.append(ParserPool(ParseLimits(seconds, MEMORY, **limits), FAKE_CHILD))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_document_comes_back_as_it_left() -> None:
    pool = ParserPool()
    try:
        for data, name in (
            (b"# Head\n\ntext\n\n| a | b |\n|---|---|\n| c | d |", "a.md"),
            (make_pdf([["First page here."], ["Second page here."]], title="T"), "b.pdf"),
            ("Ein schönes Maß 日本".encode(), "dir/\udcff.txt"),
        ):
            assert pool.parse(data, name) == registry.parse(data, name)
    finally:
        pool.close()


def test_errors_keep_their_kind_and_words() -> None:
    pool = ParserPool()
    try:
        with pytest.raises(UnsupportedMedia, match=r"x\.png is a PNG image"):
            pool.parse(b"\x89PNG\r\n", "x.png")
    finally:
        pool.close()


@pytest.mark.parametrize("word", ["hang", "hang-locked"])
def test_a_parser_that_hangs_is_ended(make_pool: MakePool, word: str) -> None:
    pool = make_pool(2.0)
    began = time.monotonic()
    with pytest.raises(ParseError, match=r"f\.txt takes longer than 2 seconds to read\. Split"):
        pool.parse(word.encode(), "f.txt")
    assert time.monotonic() - began < 10
    assert pool.parse(b"fine", "g.txt").text == "fine"


@pytest.mark.parametrize("word", ["eat", "eat-at-once"])
def test_a_parser_that_eats_memory_is_ended(make_pool: MakePool, word: str) -> None:
    pool = make_pool()
    with pytest.raises(ParseError, match="takes more than 512 MiB of memory to read"):
        pool.parse(word.encode(), "f.txt")
    assert pool.parse(b"fine", "g.txt").text == "fine"


@pytest.mark.parametrize("word", ["crash", "exit"])
def test_a_parser_that_crashes(make_pool: MakePool, word: str) -> None:
    pool = make_pool()
    assert pool.parse(b"fine", "e.txt").text == "fine"
    with pytest.raises(ParseError, match=r"f\.txt stopped the program that reads it"):
        pool.parse(word.encode(), "f.txt")
    assert pool.parse(b"fine", "g.txt").text == "fine"


def test_a_mistake_in_a_parser_is_logged(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool()
    with pytest.raises(ParseError, match=r"f\.txt could not be read; it may be damaged"):
        pool.parse(b"break", "f.txt")
    assert "KeyError: 'a mistake in a parser'" in caplog.text
    pid = pool.pid
    with pytest.raises(EncryptedDocument, match="it is protected"):
        pool.parse(b"refuse", "f.txt")
    assert pool.pid == pid


def test_what_a_parser_prints_is_no_reply(make_pool: MakePool) -> None:
    assert make_pool().parse(b"print", "f.txt").text == "print"


def test_the_child_sees_nothing_of_the_environment(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARDER_SECRET", "a-secret")
    with pytest.raises(EncryptedDocument) as shown:
        make_pool().parse(b"environment", "f.txt")
    assert "PYTHONPATH" in json.loads(str(shown.value))
    assert not {"LARDER_SECRET", "HOME", "PATH"} & set(json.loads(str(shown.value)))


def test_a_hundred_documents_through_one_pool(make_pool: MakePool) -> None:
    pool = make_pool(documents_per_child=40)
    pids = set()
    for number in range(100):
        assert pool.parse(f"document {number}".encode(), "a.txt").text == f"document {number}"
        pids |= {pool.pid} - {None}
    assert len(pids) == 3
    assert sum(is_running(pid) for pid in pids if pid) == 1


def test_a_child_that_has_grown_is_replaced(make_pool: MakePool) -> None:
    pool = make_pool()
    for size, is_kept in ((1, True), (300, False)):
        pool.parse(f"hold {size}".encode(), "a.txt")
        assert (pool.pid is not None) == is_kept


def test_memory_that_ends_within_a_library() -> None:
    def fill(old: bytes) -> bytes:
        return old.replace(b"<w:sectPr", b"<w:p/>" * 8_000_000 + b"<w:sectPr")

    noise = random.Random(1).randbytes(2**20)  # so that it is no bomb
    data = repacked(make_docx(), {"word/document.xml": fill}, {"noise.bin": noise})
    pool = ParserPool(ParseLimits(memory_bytes=MEMORY))
    try:
        with pytest.raises(ParseError, match="takes more than 512 MiB of memory to read"):
            pool.parse(data, "a.docx")
    finally:
        pool.close()


def test_threads_take_turns(make_pool: MakePool) -> None:
    pool = make_pool(documents_per_child=3)
    found: dict[int, Document] = {}

    def run(first: int) -> None:
        for number in range(first, first + 5):
            found[number] = pool.parse(b"word " * (number + 1), f"{number}.txt")

    threads = [threading.Thread(target=run, args=(5 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: (d.title, len(d.text.split())) for n, d in found.items()} == {
        number: (str(number), number + 1) for number in range(20)
    }


def test_a_child_without_work_ends_and_the_next_file_starts_another(make_pool: MakePool) -> None:
    pool = make_pool(idle_s=0.2)
    for _ in range(2):
        pool.parse(b"fine", "a.txt")
        pid = pool.pid
        assert pid
        wait_until(lambda pid=pid: not is_running(pid))


def test_a_child_that_was_killed_between_two_files(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.parse(b"fine", "a.txt")
    assert pool.pid
    os.kill(pool.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pool.pid or 0))
    assert pool.parse(b"fine", "b.txt").text == "fine"


def test_fifty_megabytes() -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("noise", random.Random(1).randbytes(50 * 2**20))
    pdf = make_pdf([["A page."]]) + b"\n%" + b"x" * (50 * 2**20)
    pool = ParserPool()
    try:
        assert pool.parse(pdf, "a.pdf").text == "A page."
        with pytest.raises(UnsupportedMedia, match="ZIP archive"):
            pool.parse(packed.getvalue(), "a.zip")
        with pytest.raises(ParseError, match="more than 10,000,000 characters"):
            pool.parse(b"word " * (10 * 2**20), "a.txt")
        text = ("A sentence of a book. " * 40 + "\n\n") * 11_000
        assert len(pool.parse(text.encode(), "a.txt").blocks) == 11_000
    finally:
        pool.close()


def test_close_ends_a_parse_and_leaves_nothing(make_pool: MakePool) -> None:
    pool = make_pool()
    errors = []

    def run() -> None:
        try:
            pool.parse(b"hang", "a.txt")
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: pool.pid is not None)
    pid = pool.pid
    pool.close()
    thread.join(10)
    assert errors == ["the parser pool was closed during a parse"]
    assert pid
    assert not is_running(pid)
    with pytest.raises(RuntimeError, match="is closed"):
        pool.parse(b"fine", "a.txt")


PARENT = """
import sys, threading, time
from retrieval.config import ParseLimits
from retrieval.parsing.pool import ParserPool
pool = ParserPool(ParseLimits(4.0), [sys.argv[1]])
pool.parse(b"fine", "a.txt")
print(pool.pid, flush=True)
pool.parse(sys.argv[2].encode(), "a.txt")
time.sleep(60)
"""


@pytest.mark.parametrize("word", ["fine", "hang", "hang-locked"])
def test_a_killed_parent_leaves_no_child(word: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *FAKE_CHILD, word], cwd=ROOT, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        time.sleep(0.5)  # so that the second file is being read
        assert is_running(child)
        parent.kill()
    wait_until(lambda: not is_running(child), 20)
