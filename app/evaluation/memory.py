"""Peak memory of a serving process, idle and under a long prompt (`larder bench memory`)."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from app.decoder.load import resolve_model
from app.decoder.tokenizer import TextTokenizer
from app.errors import LarderError
from app.settings import Settings, child_environment

START_SECONDS = 300  # the first start of a model proves it and measures a prefill
WORDS = "the river carries sand past the old mill and turns slowly toward the sea in autumn "


def bench_memory(settings: Settings, prompt_tokens: int) -> list[dict[str, object]]:
    """Highest resident memory so far: `idle`, `warm` after one short question (which reads the
    mapped weights for the first time) and after the long `prompt`, with bytes per tier."""
    directory, _ = resolve_model(settings)
    question = _text_of(TextTokenizer(directory), prompt_tokens)
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:
        environment = child_environment(data_dir=str(Path(folder, "data")), model=str(directory))
        with _served(folder, environment) as (pid, url):
            idle = _peak_mib(pid)
            _ask(url, "Where does the old mill stand?")
            warm = _peak_mib(pid)
            tokens = _ask(url, question)
            tiers = httpx2.get(f"{url}/api/v1/cache").json()["tiers"]
            busy = _peak_mib(pid)
    return [
        {"state": "idle", "peak_mib": idle},
        {"state": "warm", "peak_mib": warm, "more_mib": warm - idle},
        {"state": "prompt", "prompt_tokens": tokens, "peak_mib": busy, "more_mib": busy - warm}
        | {f"{tier['name']}_mib": tier["bytes"] / 2**20 for tier in tiers}
        | {f"{tier['name']}_budget_mib": tier["budget_bytes"] / 2**20 for tier in tiers},
    ]


def _text_of(tokenizer: TextTokenizer, num_tokens: int) -> str:
    """Plain words worth about `num_tokens` tokens."""
    per_line = len(tokenizer.encode_text(WORDS))
    return WORDS * (num_tokens // per_line)


@contextmanager
def _served(folder: str, environment: dict[str, str]) -> Iterator[tuple[int, str]]:
    """A server on a free port with one small collection; ended on the way out."""
    document = Path(folder, "mill.txt")
    document.write_text("The old mill stands by the river. " * 30, encoding="utf-8")
    larder = [sys.executable, "-m", "app"]
    ingest = [*larder, "ingest", str(document), "--collection", "bench"]
    subprocess.run(ingest, check=True, env=environment, stdout=subprocess.DEVNULL)
    log = Path(folder, "serve.log")
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(
            [*larder, "serve", "--port", "0"], env=environment, stdout=output, stderr=output
        )
        try:
            yield server.pid, _wait_for_url(server, log)
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait_for_url(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = re.search(r"http://[\w.:\[\]]+", log.read_text(encoding="utf-8"))
        if found and _is_ready(found[0]):
            return found[0]
        if server.poll() is not None:
            raise LarderError(f"the server ended early: {log.read_text(encoding='utf-8')}")
        time.sleep(0.2)
    raise LarderError(f"the server was not ready after {START_SECONDS} s")


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz").status_code == 200
    except httpx2.TransportError:
        return False


def _ask(url: str, question: str) -> int:
    """Ask in mode auto and read the stream to its end; returns the prompt's tokens."""
    body = {"question": question, "collection": "bench", "max_tokens": 32}
    reply = httpx2.post(f"{url}/api/v1/runs", json=body, timeout=600)
    counted = re.findall(r'"prompt":\s*(\d+)', reply.text)
    if not counted:
        raise LarderError(f"no answer came: {reply.text[:300]}")
    return int(counted[-1])


def _peak_mib(pid: int) -> float:
    """VmHWM, the highest resident memory since the process began."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise LarderError("this system does not report VmHWM")
    return int(found[1]) / 1024
