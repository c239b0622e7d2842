"""Time to assemble warm chunks from each tier, against the full prefill (`larder bench assemble`).

Assembling: look every segment up, load it, rotate its keys and copy its rows into the prompt's
cache. Passages are random token ids: time depends on their number, not on what they say.
"""

import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from app.evaluation.bench_model import Bench
from kvstore.codecs import find_codec
from kvstore.config import ReuseConfig
from kvstore.device_clock import now
from kvstore.device_tier import open_device_tier
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.memory_index import MemoryIndex
from kvstore.open_shared import open_shared
from kvstore.prefill import Prefiller
from kvstore.ram_tier import RamTier
from kvstore.reuse import ReuseEngine
from kvstore.shared_tier import SharedLimits
from kvstore.store import KVStore
from kvstore.types import ReuseOptions, Segment

QUESTION = "What does the second passage say about the first, and where do the two disagree?"
PLENTY = 10**11
PATIENT = SharedLimits(limit_s=60.0)
DEFAULT_CONFIG = ReuseConfig()


@dataclass(frozen=True, slots=True)
class AssembleRequest:
    chunks: int
    chunk_tokens: int
    repeats: int
    codec: str = "raw"
    shared: tuple[str, ...] = ()  # addresses of shared tiers


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds to find and load, the same in one thread, and to rotate and copy."""

    find_ms: float
    place_ms: float
    one_by_one_ms: float = 0.0


def bench_assemble(
    bench: Bench, request: AssembleRequest, progress: Callable[[], None]
) -> list[dict[str, object]]:
    """One row a tier; the full prefill takes turns with the tiers, so drift of the machine hits all
    alike."""
    prompt = _prompt(bench, request)
    num_tokens = sum(len(segment.token_ids) for segment in prompt)
    ids = torch.tensor([t for segment in prompt for t in segment.token_ids])
    times: dict[str, list[Times]] = {}
    full: list[float] = []
    with _engines(bench, request) as engines:
        _warm(list(engines.values()), prompt)
        for _ in range(request.repeats):
            full.append(_full_ms(bench, ids))
            for name, engine in engines.items():
                alone = _assemble(bench, _one_by_one(bench, engine), prompt, name)
                taken = _assemble(bench, engine, prompt, name)
                times.setdefault(name, []).append(replace(taken, one_by_one_ms=alone.find_ms))
            progress()
    full_ms = statistics.median(full)
    return [_row(name, request, bench, taken, full_ms, num_tokens) for name, taken in times.items()]


def _row(
    name: str,
    request: AssembleRequest,
    bench: Bench,
    taken: Sequence[Times],
    full_ms: float,
    num_tokens: int,
) -> dict[str, object]:
    assemble_ms = statistics.median(one.find_ms + one.place_ms for one in taken)
    return {
        "tier": name,
        "codec": request.codec,
        "dtype": str(bench.runner.dtype).removeprefix("torch."),
        "prompt_tokens": num_tokens,
        "one_by_one_ms": statistics.median(one.one_by_one_ms for one in taken),
        "find_and_load_ms": statistics.median(one.find_ms for one in taken),
        "hidden_ms": statistics.median(one.one_by_one_ms - one.find_ms for one in taken),
        "rotate_and_copy_ms": statistics.median(one.place_ms for one in taken),
        "assemble_ms": assemble_ms,
        "full_prefill_ms": full_ms,
        "share": assemble_ms / full_ms,
        "n": len(taken),
    }


@contextmanager
def _engines(bench: Bench, request: AssembleRequest) -> Iterator[dict[str, ReuseEngine]]:
    """An engine by tier, each with a store of its own in which only that tier serves."""
    rules = DiskRules(codec=find_codec(request.codec))
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as folder:

        def open_store(
            name: str, ram_bytes: int, url: str | None = None, device: RamTier | None = None
        ) -> KVStore:
            disk = DiskTier(Path(folder) / name, PLENTY, MemoryIndex(), rules)
            shared = open_shared(url, PLENTY, rules.codec, PATIENT) if url else None
            return KVStore(RamTier(ram_bytes), disk, "bench", "bench", shared, device=device)

        device = open_device_tier(PLENTY, bench.runner.device)
        stores = {} if device is None else {device.name: open_store(device.name, 0, device=device)}
        stores |= {"ram": open_store("ram", PLENTY), "disk": open_store("disk", 0)}
        for url in request.shared:
            scheme = url.partition(":")[0]
            stores[scheme] = open_store(scheme, 0, url)
        try:
            yield {name: _engine(bench, store) for name, store in stores.items()}
        finally:
            for store in stores.values():
                store.purge_namespace()
                store.close()


def _engine(bench: Bench, store: KVStore, config: ReuseConfig = DEFAULT_CONFIG) -> ReuseEngine:
    engine = ReuseEngine(bench.runner, store, bench.template.frame, config)
    engine.refusal = None
    return engine


def _one_by_one(bench: Bench, engine: ReuseEngine) -> ReuseEngine:
    """The same store, looked up in one thread."""
    return _engine(bench, engine.store, replace(engine.config, loaders=1))


def _warm(engines: Sequence[ReuseEngine], prompt: Sequence[Segment]) -> None:
    """Compute every passage once and store it everywhere, then read each once, so that RAM and the
    page cache hold them."""
    first = engines[0]
    first.prepare()
    for _ in first.precompute([s for s in prompt if s.kind == "chunk"]):
        pass
    planned = first.plan(prompt, ReuseOptions()).segments
    for engine in engines[1:]:
        for segment in planned:
            if segment.entry is not None:
                engine.store.put(segment.entry)
        engine.plan(prompt, ReuseOptions())


def _assemble(bench: Bench, engine: ReuseEngine, prompt: Sequence[Segment], name: str) -> Times:
    """As a server does, which gives a prompt the buffers of the one before."""
    tiers = engine.store.tiers
    if tiers.shared is not None:  # a hit left copies on disk
        tiers.disk.remove([entry.digest for entry in tiers.disk.entries()])
    device = bench.runner.device
    started = now(device)
    plan = engine.plan(prompt, ReuseOptions())
    found = now(device)
    cache = bench.runner.new_cache(plan.num_tokens + 64)
    Prefiller(bench.runner, 0).assemble(plan, cache)
    done = now(device)
    cache.release()
    served = {segment.tier for segment in plan.segments if segment.segment.kind == "chunk"}
    if served != {name}:
        raise RuntimeError(f"expected every chunk from {name}, got {served}")
    return Times((found - started) * 1000, (done - found) * 1000)


def _full_ms(bench: Bench, ids: torch.Tensor) -> float:
    cache = bench.runner.new_cache(len(ids) + 64)
    on_device = ids.to(bench.runner.device)
    started = now(bench.runner.device)
    bench.runner.forward_all(on_device, cache)
    taken_ms = (now(bench.runner.device) - started) * 1000
    cache.release()
    return taken_ms


def _prompt(bench: Bench, request: AssembleRequest) -> list[Segment]:
    draw = random.Random(0)
    ids = range(100, bench.template.tokenizer.num_ids - 100)
    passages = [tuple(draw.choices(ids, k=request.chunk_tokens)) for _ in range(request.chunks)]
    return [
        Segment("prefix", bench.template.frame.prefix),
        *(Segment("chunk", passage) for passage in passages),
        Segment("question", bench.template.encode_question(QUESTION)),
    ]
