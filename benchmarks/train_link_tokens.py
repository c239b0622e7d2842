"""Train link tokens (kvstore.links) for the configured model: only their embeddings change.

    python benchmarks/train_link_tokens.py --dataset FILE --out links.safetensors

The frozen model teaches itself: its full prefill of a prompt is the teacher, the same prompt put
together from stored chunks with link tokens the student, and the loss is the KL divergence over the
teacher's own greedy answer (KVLink, arXiv 2502.16002, trains the whole model instead). Reports loss
and KL before and after on questions that were kept out.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import torch
import typer
from rich.console import Console
from rich.progress import track
from transformers.cache_utils import Cache

from app.decoder.identity import digest_weights
from app.evaluation.bench_model import Bench, open_bench
from app.evaluation.cli import show
from app.evaluation.datasets import Layout, QuestionCase, load_cases
from app.evaluation.reuse_quality import ReuseEvaluation
from app.settings import load_settings
from kvstore.cache import BufferLayer, ScatterCache, causal_mask
from kvstore.encodings import find_encoding
from kvstore.links import LinkTokens, save_links
from kvstore.position import Rotator
from kvstore.reuse import ReuseEngine
from kvstore.types import Encoding, Segment

GIB = 2**30


class FrozenLayer(BufferLayer):
    """Stored rows of one layer, into which fresh rows go without losing their gradients."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, rows: torch.Tensor) -> None:
        super().__init__(keys, values)
        self.rows = rows  # [S]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys = self.keys.index_copy(2, self.rows, key_states)
        return keys, self.values.index_copy(2, self.rows, value_states)

    def get_seq_length(self) -> int:
        return int(self.keys.shape[2])


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt put together, its fresh rows, and the teacher's distributions over its answer."""

    ids: torch.Tensor  # [N] of the woven prompt and the answer
    rows: torch.Tensor  # [S] fresh: link tokens, question, answer
    keys: torch.Tensor  # [L, G, N, D], rotated; rows of S are zero
    values: torch.Tensor
    teacher: torch.Tensor  # [answer, V] log-probabilities


class Trainer:
    def __init__(self, bench: Bench, encoding: Encoding, count: int, answer_tokens: int) -> None:
        self.bench = bench
        self.encoding = encoding
        self.evaluation = ReuseEvaluation(bench, answer_tokens, (encoding,))
        self.engine: ReuseEngine = self.evaluation.engine(encoding)
        self.links = torch.nn.Parameter(self._first(count))
        self._rotator = Rotator(bench.runner.model)

    def _first(self, count: int) -> torch.Tensor:
        """Begin as line ends: what follows a passage anyway."""
        runner = self.bench.runner
        (*_, newline) = self.bench.template.tokenizer.encode_text("\n\n")
        table = runner.model.get_input_embeddings()
        ids = torch.full((count,), newline, device=runner.device)
        noise = torch.randn(count, table.weight.shape[1], device=runner.device) * 1e-3
        embedded: torch.Tensor = table(ids).detach().float() + noise
        return embedded

    def example(self, case: QuestionCase, seed: int) -> Example:
        """Every stored row in place; all of it on the model's device."""
        runner = self.bench.runner
        segments = self.evaluation.prepare(case, seed)
        reference = self.evaluation.reference(segments)
        woven = LinkTokens(self.links, runner.vocabulary).weave(segments)
        answer = reference.answer[:-1]
        ids = [t for s in woven for t in s.token_ids] + list(answer)
        cache = runner.new_cache(len(ids))
        cache.key_buffer.zero_()
        cache.value_buffer.zero_()
        fresh: list[int] = []
        start = 0
        for segment in woven:
            end = start + len(segment.token_ids)
            if segment.kind in ("link", "question"):
                fresh += range(start, end)
            else:
                self._place(segment, start, cache)
            start = end
        fresh += range(start, len(ids))
        return Example(
            torch.tensor(ids, device=runner.device),
            torch.tensor(fresh, device=runner.device),
            cache.key_buffer[:, 0],
            cache.value_buffer[:, 0],
            reference.log_probs.float().clone(),
        )

    def _place(self, segment: Segment, start: int, cache: ScatterCache) -> None:
        store, frame = self.bench.store, self.bench.template.frame
        context: tuple[str, ...] = ()
        if segment.kind == "chunk":
            context = find_encoding(self.encoding).key_context(frame, segment)
        entry = store.lookup(segment.token_ids, context).entry
        assert entry is not None, "the evaluation stored every chunk"
        device = self.bench.runner.device
        self._rotator.place(entry.keys.to(device), cache.key_buffer[:, 0], start)
        rows = slice(start, start + len(segment.token_ids))
        cache.value_buffer[:, 0, :, rows].copy_(entry.values)

    def loss(self, example: Example) -> torch.Tensor:
        """Mean KL(teacher || student) over the answer's tokens, nats."""
        runner = self.bench.runner
        ids = example.ids[example.rows]
        is_link = ids >= runner.vocabulary
        embedded = runner.model.get_input_embeddings()(ids.masked_fill(is_link, 0))
        places = is_link.nonzero().flatten()
        links = self.links[ids[places] - runner.vocabulary].to(embedded.dtype)
        embedded = embedded.index_copy(0, places, links)
        layers = [
            FrozenLayer(keys[None], values[None], example.rows)
            for keys, values in zip(example.keys, example.values, strict=True)
        ]
        output = runner.model(
            inputs_embeds=embedded[None],
            position_ids=example.rows[None],
            past_key_values=Cache(layers=layers),
            attention_mask=causal_mask(example.rows, len(example.ids), runner.dtype),
            use_cache=True,
            logits_to_keep=len(example.teacher),
        )
        student = output.logits[0].float().log_softmax(-1)
        teacher = example.teacher
        loss: torch.Tensor = (teacher.exp() * (teacher - student)).sum(-1).mean()
        return loss

    @torch.no_grad()
    def kept_out(self, examples: Sequence[Example]) -> float:
        return sum(float(self.loss(example)) for example in examples) / len(examples)


def main(
    dataset: Annotated[Path, typer.Option(help="Questions with passages.")],
    out: Annotated[Path, typer.Option(help="File for the embeddings.")],
    file_format: Annotated[str, typer.Option("--format", help="squad")] = "squad",
    questions: Annotated[int, typer.Option(min=5)] = 60,
    passages: Annotated[int, typer.Option(min=2)] = 5,
    links: Annotated[int, typer.Option(min=1, help="Link tokens after each chunk.")] = 5,
    encoding: Annotated[str, typer.Option(help="What chunks are stored as.")] = "primed",
    steps: Annotated[int, typer.Option(min=1)] = 200,
    batch: Annotated[int, typer.Option(min=1)] = 4,
    rate: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 3e-3,
    answer_tokens: Annotated[int, typer.Option(min=2)] = 24,
    dtype: str = "float32",
    seed: int = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train on four fifths of the questions, report on the last fifth."""
    torch.manual_seed(seed)
    plan = Plan(steps, batch, rate, seed)
    cases = load_cases(dataset, file_format, questions, layout=Layout(passages), seed=seed)
    console = Console(stderr=True)
    with open_bench(load_settings(), dtype=dtype, ram_bytes=4 * GIB) as bench:
        trainer = Trainer(bench, cast(Encoding, encoding), links, answer_tokens)
        examples = [
            trainer.example(case, number)
            for number, case in enumerate(track(cases, "prompts", console=console))
        ]
        split = len(examples) * 4 // 5
        training, kept_out = examples[:split], examples[split:]
        before = trainer.kept_out(kept_out)
        losses = fit(trainer, training, plan, console)
        after = trainer.kept_out(kept_out)
        save_links(out, trainer.links, digest_weights(bench.directory))
    tenth = max(1, steps // 10)
    row = {
        "encoding": encoding,
        "links": links,
        "steps": steps,
        "loss_first": sum(losses[:tenth]) / tenth,
        "loss_last": sum(losses[-tenth:]) / tenth,
        "kl_kept_out_before": before,
        "kl_kept_out_after": after,
        "n": len(kept_out),
    }
    asked = {"dataset": dataset.name, "questions": len(cases), "batch": batch, "rate": rate}
    show(asked, [row], as_json=as_json)


@dataclass(frozen=True, slots=True)
class Plan:
    steps: int
    batch: int
    rate: float
    seed: int


def fit(trainer: Trainer, training: Sequence[Example], plan: Plan, console: Console) -> list[float]:
    """Adam with a rate that falls to zero along a cosine; the loss of every step."""
    draw = random.Random(plan.seed)
    optimiser = torch.optim.Adam([trainer.links], lr=plan.rate)
    losses: list[float] = []
    for step in track(range(plan.steps), "steps", console=console):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
        optimiser.zero_grad()
        chosen = draw.sample(training, min(plan.batch, len(training)))
        total = 0.0
        for example in chosen:
            loss = trainer.loss(example) / len(chosen)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        optimiser.step()
        losses.append(total)
    return losses


if __name__ == "__main__":
    typer.run(main)
