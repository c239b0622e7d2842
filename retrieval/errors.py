"""Errors of retrieval.

RetrievalError
├── ParseError              the bytes cannot be turned into text
│   ├── UnsupportedMedia    a format nobody here reads (or a binary file)
│   ├── EncryptedDocument   a password is needed
│   └── EmptyDocument       nothing to read in it
├── IndexMismatch           vectors do not fit the index they are meant for
├── EmbedderMissing         the embedding model is not there or is not the expected one
├── RerankerMissing         the same of the model that reranks
└── EntailmentMissing       the same of the model that judges whether a passage says something
"""


class RetrievalError(Exception):
    """Base of everything retrieval raises on purpose; the message is fit for a user."""

    code = "retrieval_error"


class ParseError(RetrievalError):
    code = "unreadable_document"


class UnsupportedMedia(ParseError):
    code = "unsupported_media"


class EncryptedDocument(ParseError):
    code = "encrypted_document"


class EmptyDocument(ParseError):
    code = "empty_document"


class IndexMismatch(RetrievalError):
    code = "index_mismatch"


class EmbedderMissing(RetrievalError):
    code = "embedder_missing"


class RerankerMissing(RetrievalError):
    code = "reranker_missing"


class EntailmentMissing(RetrievalError):
    code = "entailment_missing"
