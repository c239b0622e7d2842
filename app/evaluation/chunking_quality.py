"""How well chunks fit the excerpts that answer questions (`larder eval chunking`).

Measures of Chroma's study on character spans: recall = covered excerpt / excerpt, precision =
covered / retrieved, IoU = covered / union; precision omega is the best precision there can be, when
exactly the chunks that touch an excerpt are retrieved. Splitters share one document and one model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.evaluation.edit_stability import Kept, kept_after_edits
from app.evaluation.retrieval_sets import Corpus, find_span
from app.evaluation.splitters import fixed_spans, recursive_spans
from app.evaluation.statistics import bootstrap
from app.evaluation.vector_cache import VectorCache
from retrieval.chunking import chunk
from retrieval.parsing.registry import parse
from retrieval.protocols import Embedder, PassageTokenizer
from retrieval.types import Document

Span = tuple[int, int]
Progress = Callable[[int], None]

SIZES = {"fixed_200": 200, "fixed_400": 400, "recursive_200": 200, "recursive_400": 400}
LARDER = "larder"
SPLITTERS = (LARDER, *SIZES)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Chunks as spans of the document, with the text that is embedded of each."""

    spans: list[Span]
    indexed: list[str]


@dataclass(frozen=True, slots=True)
class SpanMeasures:
    recall: float
    precision: float
    iou: float
    precision_omega: float


def split(splitter: str, document: Document, tokenizer: PassageTokenizer) -> Pieces:
    """By our chunker, labels included, or by a plain splitter of that many tokens at most."""
    if splitter == LARDER:
        chunks = chunk(document, tokenizer)
        spans = [(cut.start, cut.end) for cut in chunks]
        return Pieces(spans, [f"{cut.label}\n{cut.text}" for cut in chunks])
    cutter = fixed_spans if splitter.startswith("fixed") else recursive_spans
    spans = cutter(document.text, tokenizer, SIZES[splitter])
    return Pieces(spans, [document.text[start:end] for start, end in spans])


def measure_spans(
    chunks: Sequence[Span], retrieved: Sequence[int], excerpts: Sequence[Span]
) -> SpanMeasures:
    """`chunks` do not overlap. Characters count once, however many excerpts hold them."""
    wanted = _merged(excerpts)
    total = _length(wanted)
    shown = _merged([chunks[place] for place in retrieved])
    covered = _overlap(shown, wanted)
    touching = _merged([span for span in chunks if _overlap([span], wanted)])
    union = _length(shown) + total - covered
    return SpanMeasures(
        recall=covered / total if total else 0.0,
        precision=covered / _length(shown) if shown else 0.0,
        iou=covered / union if union else 0.0,
        precision_omega=_overlap(touching, wanted) / _length(touching) if touching else 0.0,
    )


def evaluate(
    corpora: Sequence[Corpus],
    splitters: Sequence[str],
    tokenizer: PassageTokenizer,
    embedder: Embedder,
    cache: VectorCache,
    retrieved: int,
    progress: Progress,
) -> list[dict[str, object]]:
    """One flat row a splitter; the `retrieved` chunks nearest to a question are what it gets."""
    questions = {
        corpus.name: embedder.encode([question.text for question in corpus.questions])
        for corpus in corpora
    }
    rows = []
    for splitter in splitters:
        found: list[SpanMeasures] = []
        sizes: list[int] = []
        kept: list[Kept] = []
        for corpus in corpora:
            document = parse(corpus.text.encode(), f"{corpus.name}.md")
            pieces = split(splitter, document, tokenizer)
            vectors = cache.encode(pieces.indexed, lambda _: None)
            nearest = np.argsort(-(questions[corpus.name] @ vectors.T), axis=1)[:, :retrieved]
            for question, places in zip(corpus.questions, nearest.tolist(), strict=True):
                excerpts = [find_span(document.text, text) for text in question.references]
                found.append(measure_spans(pieces.spans, places, excerpts))
            kept += kept_after_edits(corpus.text, partial(_tokens, splitter, tokenizer))
            sizes += [tokenizer.count(document.text[start:end]) for start, end in pieces.spans]
        rows.append(_row(splitter, found, sizes, kept))
        progress(1)
    return rows


def _tokens(splitter: str, tokenizer: PassageTokenizer, text: str) -> list[tuple[int, ...]]:
    """Of each chunk as a prompt would hold it; plain splitters know no label."""
    document = parse(text.encode(), "edited.md")
    if splitter == LARDER:
        return [cut.token_ids for cut in chunk(document, tokenizer)]
    pieces = split(splitter, document, tokenizer)
    return [tokenizer.encode_passage("", piece) for piece in pieces.indexed]


def _row(
    splitter: str, found: Sequence[SpanMeasures], sizes: Sequence[int], kept: Sequence[Kept]
) -> dict[str, object]:
    measures: Mapping[str, list[float]] = {
        name: [getattr(one, name) for one in found]
        for name in ("recall", "precision", "iou", "precision_omega")
    }
    recall = bootstrap(measures["recall"])
    return {
        "splitter": splitter,
        "recall": recall.mean,
        "recall_low": recall.low,
        "recall_high": recall.high,
        **{name: float(np.mean(values)) for name, values in measures.items() if name != "recall"},
        "chunks": len(sizes),
        "tokens_mean": float(np.mean(sizes)),
        "kept_head": float(np.mean([edit.head for edit in kept])) if kept else None,
        "kept_primed": float(np.mean([edit.primed for edit in kept])) if kept else None,
        "n": len(found),
    }


def _merged(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > start:
            merged.append((start, end))
    return merged


def _overlap(one: Sequence[Span], other: Sequence[Span]) -> int:
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in one for b in other)


def _length(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)
