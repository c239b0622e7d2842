"""How passages are searched on this data directory: what was set, what was tuned, what was used."""

import logging

from app.db.chunks import Chunks
from app.db.ranking_record import read_ranking
from app.db.stamps import EMBEDDER, EMBEDDER_REFERENCE, Stamps
from app.decoder.reranker import DecoderReranker, Likelihoods
from app.settings import Settings
from retrieval.config import DEFAULT_DENSE_WEIGHT, RankingConfig
from retrieval.cross_encoder import CrossEncoderReranker
from retrieval.embedding import PACKAGED, load_embedder
from retrieval.errors import EmbedderMissing
from retrieval.protocols import Embedder, PassageTexts, Reranker

DECODER = "decoder"  # as a reranker; a folder of that name is ./decoder

log = logging.getLogger(__name__)


def ranking_config(settings: Settings, embedder: str) -> RankingConfig:
    """With the weight that was tuned, where that was done with this embedder."""
    record = read_ranking(settings.data_dir)
    is_tuned = record is not None and record.embedder == embedder
    return RankingConfig(
        dense_weight=record.dense_weight if record and is_tuned else DEFAULT_DENSE_WEIGHT,
        fusion=settings.fusion,
        rerank_depth=settings.rerank_depth,
        relevance_weight=1 - settings.passage_diversity,
        cuts_list=settings.passage_cut,
    )


def load_reranker(settings: Settings, chunks: Chunks, decoder: Likelihoods) -> Reranker | None:
    if str(settings.reranker) == DECODER:
        return DecoderReranker(decoder, chunks)
    return load_cross_encoder(settings, chunks)


def load_cross_encoder(settings: Settings, texts: PassageTexts) -> Reranker | None:
    if settings.reranker is None or str(settings.reranker) == DECODER:
        return None
    return CrossEncoderReranker(settings.reranker, texts)


async def previous_embedder(stamps: Stamps, identity: str) -> Embedder | None:
    """The embedder of the stored vectors, where it is another one and is still there."""
    known = await stamps.get(EMBEDDER)
    if known is None or known == identity:
        return None
    try:
        previous = load_embedder(await stamps.get(EMBEDDER_REFERENCE) or PACKAGED)
    except EmbedderMissing as error:
        log.warning("%s", error)
        return None
    return previous if previous.identity == known else None
