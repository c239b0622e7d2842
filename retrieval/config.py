"""Settings of retrieval, validated when they are made. Reads no environment."""

from dataclasses import dataclass
from typing import Literal

# At 0.55 both searches are beaten on four sets; at 0.5 and at 0.6 on three of them.
DEFAULT_DENSE_WEIGHT = 0.55

MIN_PARSE_MEMORY = 512 * 2**20  # Python, the libraries of all formats and a little text


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """Sizes in tokens of the decoder; `max_tokens` includes the label and its frame."""

    min_tokens: int = 200
    target_tokens: int = 300
    max_tokens: int = 400

    def __post_init__(self) -> None:
        if not 0 < self.min_tokens <= self.target_tokens <= self.max_tokens:
            raise ValueError(f"chunk limits must rise from above 0: {self}")
        if 2 * self.min_tokens > self.max_tokens:
            raise ValueError(f"two chunks of min_tokens must fit into max_tokens: {self}")


@dataclass(frozen=True, slots=True)
class RankingConfig:
    """How a question becomes a short list. Measured figures: all-MiniLM-L6-v2."""

    # Each search gives this many candidates per chunk asked for, and at least `min_candidates`:
    # what comes after can only reorder what is there.
    candidates_per_result: int = 4
    min_candidates: int = 40

    # Cosine below which a chunk found by vectors alone is no match, nor the last one of a list that
    # is cut. Over XQuAD's English half, the
    # passage with the answer lies at 0.27 or more for all of 204 questions (median 0.58), while the
    # best passage of other articles lies at 0.25 (median) and that of another corpus at 0.12.
    min_similarity: float = 0.2

    # `scores` adds each search's scores over their spread, `ranks` is reciprocal rank fusion. By
    # ranks a list is spoiled where one search is much worse than the other: chunking_eval, words
    # 0.88, vectors 0.74, by ranks 0.81, by scores 0.88 (nDCG@10). docs/log.md has all figures.
    fusion: Literal["scores", "ranks"] = "scores"

    # What vectors count for, words the rest; `larder eval retrieval --tune` finds a value for
    # documents like yours.
    dense_weight: float = DEFAULT_DENSE_WEIGHT

    # With a reranker: how many of the first candidates it reads.
    rerank_depth: int = 20

    # What relevance counts for when passages are chosen, unlikeness to those chosen the rest;
    # 1 leaves the order alone. 0.7 is usual where documents repeat one another.
    relevance_weight: float = 1.0

    # Whether the list ends where scores drop fastest (and before what is below `min_similarity` at
    # its end), and how many passages stay in any case.
    cuts_list: bool = False
    min_results: int = 2

    def __post_init__(self) -> None:
        if self.candidates_per_result < 1 or self.min_candidates < 1:
            raise ValueError(f"at least one candidate is needed: {self}")
        if not -1 <= self.min_similarity <= 1:
            raise ValueError(f"min_similarity is a cosine: {self.min_similarity}")
        if self.rerank_depth < 1 or self.min_results < 1:
            raise ValueError(f"at least one candidate stays: {self}")
        if not 0 <= self.relevance_weight <= 1:
            raise ValueError(f"relevance_weight must be 0 to 1: {self.relevance_weight}")
        if not 0 <= self.dense_weight <= 1:
            raise ValueError(f"dense_weight must be 0 to 1: {self.dense_weight}")


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What one file may take, and how long a child that reads files lives."""

    # The largest accepted PDF (5,000 pages) takes under a minute on a slow core.
    seconds: float = 120.0

    # Address space of the child, of which programs and libraries take 270 MiB. 8.5 million
    # characters in 25,000 paragraphs of DOCX take 320 MiB in all.
    memory_bytes: int = 1536 * 2**20

    # Starting a child costs 0.1 to 0.3 s, so up to 3 ms for each document (and every one another
    # 0.6 ms for the way there and back); what a library leaks goes with it.
    documents_per_child: int = 100

    # A child without work keeps 60 MB; the next file starts a new one.
    idle_s: float = 60.0

    # Folder of docling's models; None reads PDF with PDFium, as everything else is read here.
    docling_models: str | None = None

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.idle_s <= 0 or self.documents_per_child < 1:
            raise ValueError(f"limits of parsing must be above 0: {self}")
        if self.memory_bytes < MIN_PARSE_MEMORY:
            raise ValueError(f"a parser needs {MIN_PARSE_MEMORY:,} bytes of memory: {self}")
