"""Plain full prefill with the stock model and cache: for models that chunk reuse cannot serve."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel

from kvstore.planner import plan_nothing
from kvstore.prefill import describe
from kvstore.reuse import Prefilled
from kvstore.types import PrefillReport, ReuseOptions, Segment
from kvstore.vote import BranchReport


@dataclass(slots=True)
class _Run:
    """One request's cache. It counts its own rows: a cache of states alone cannot tell them."""

    cache: DynamicCache
    length: int = 0

    def drop(self, count: int) -> None:
        self.cache.crop(-count)
        self.length -= count


class PlainEngine:
    """Same `prefill` as ReuseEngine; stores and reuses nothing. `reason` is a reason code."""

    def __init__(self, model: PreTrainedModel, reason: str) -> None:
        self._model = model
        self._reason = reason

    @torch.inference_mode()
    def prefill(
        self, segments: Sequence[Segment], options: ReuseOptions, *, capacity: int, seed: int = 0
    ) -> Prefilled:
        del capacity, seed  # the stock cache grows, and nothing here is random
        started = time.perf_counter()
        plan = plan_nothing(segments, self._reason)
        run = _Run(DynamicCache(config=self._model.config))
        logits = self._call([t for s in segments for t in s.token_ids], run, 1)[0]
        reports, tokens = describe(plan, torch.empty(0, dtype=torch.int64))
        report = PrefillReport(
            mode=options.mode,
            policy="all",
            ratio=1.0,
            reason=self._reason,
            segments=reports,
            tokens=tokens,
            timings_ms={"prefill": (time.perf_counter() - started) * 1000},
        )
        return Prefilled(logits, report, lambda ids: self._extend(ids, run), run.drop, lambda: None)

    def vote(
        self, prompts: Sequence[Sequence[Segment]], options: ReuseOptions, *, max_tokens: int
    ) -> "PlainBallot":
        """Prefill prompts P, chunks, Q one after the other; nothing is shared."""
        return PlainBallot(
            [self.prefill(segments, options, capacity=max_tokens) for segments in prompts]
        )

    @torch.inference_mode()
    def likelihoods(self, prompts: Sequence[Sequence[Segment]]) -> list[float]:
        """As ReuseEngine's, each prompt computed in full."""
        found = []
        for segments in prompts:
            asked = segments[-1].token_ids
            ids = [t for s in segments for t in s.token_ids]
            logits = self._call(ids, _Run(DynamicCache(config=self._model.config)), len(asked))
            targets = torch.tensor(asked[1:], device=logits.device)[:, None]
            chances = logits[:-1].float().log_softmax(-1).gather(1, targets)
            found.append(float(chances.mean()) if len(asked) > 1 else 0.0)
        return found

    @torch.inference_mode()
    def _extend(self, token_ids: Sequence[int], run: _Run) -> torch.Tensor:
        return self._call(token_ids, run, len(token_ids))

    def _call(self, token_ids: Sequence[int], run: _Run, keep_logits: int) -> torch.Tensor:
        start = run.length
        run.length += len(token_ids)
        positions = torch.arange(start, run.length, device=self._model.device)
        output = self._model(
            input_ids=torch.tensor([list(token_ids)], device=self._model.device),
            position_ids=positions[None],
            past_key_values=run.cache,
            use_cache=True,
            logits_to_keep=keep_logits,
        )
        logits: torch.Tensor = output.logits[0]
        return logits


class PlainBallot:
    """What kvstore.vote.Ballot is, each prompt in a cache of its own."""

    def __init__(self, prompts: Sequence[Prefilled]) -> None:
        self._extend = {branch: prompt.extend for branch, prompt in enumerate(prompts)}
        self.open = list(self._extend)
        self.logits = torch.stack([prompt.logits for prompt in prompts])
        self.reports = tuple(BranchReport(p.report.segments, p.report.tokens) for p in prompts)

    def close(self, branch: int) -> None:
        rows = [row for row, other in enumerate(self.open) if other != branch]
        self.open.remove(branch)
        self.logits = self.logits[rows]
        del self._extend[branch]

    def extend(self, tokens: Sequence[int]) -> None:
        """Append one token to each open branch, in the order of `open`."""
        pairs = zip(self.open, tokens, strict=True)
        rows = [self._extend[branch]([token])[-1] for branch, token in pairs]
        self.logits = torch.stack(rows)
