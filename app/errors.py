"""Errors a user can meet. Knows codes and HTTP numbers as plain data, no web framework.

LarderError
├── InvalidSettings          a setting, its value and what would be accepted
├── InvalidValue             a value in a request (422)
│   ├── QuestionTooLong      the question alone does not fit the model's context
│   └── DocumentEmpty        no bytes
├── NotFound                 (404)
│   ├── CollectionNotFound
│   ├── DocumentNotFound
│   ├── SourceNotFound
│   ├── RunNotFound
│   ├── VerdictNotFound      a run without one: broken off, redacted, or older than verdicts
│   ├── ChunkNotFound
│   ├── VersionNotFound      of what is believed about sources
│   ├── EstimateNotFound
│   └── JobNotFound
├── CollectionExists         the name is taken (409)
├── SourceExists             the name is another source's, or was (409)
├── EstimateRunning          of this collection (409)
├── PreconditionFailed       If-Match names another version (412)
├── KeyInUse                 a request with that Idempotency-Key is being answered (409)
├── KeyReused                that Idempotency-Key came with another request (422)
├── MassRemoval              a synchronisation would remove too much (409)
├── FetchRefused             an address that may not be fetched, or does not answer (422)
├── JobNotOpen               a job cannot be cancelled or tried again as it is (409)
├── DocumentTooLarge         above max_document_bytes (413)
├── StorageFull              no room left on the disk (507)
├── StorageBusy              another program holds the database (503)
├── CacheStepFailed          a tier of the KV store could not be read or written (503)
├── ServerBusy               more than is taken at present (503)
│   └── LineFull             too many questions are waiting
├── InvalidCalibration       a calibration record that counts as none, and why
├── ModelMissing             the decoder or embedder is not where the settings say
├── PortInUse                another program listens there
├── DatabaseUnreachable      the PostgreSQL server does not take us
├── DataDirInUse             another Larder works on the same data directory
└── DataDirDamaged           a file in the data directory cannot be what Larder wrote
"""


class LarderError(Exception):
    """Base of everything app raises on purpose; the message is fit for a user."""

    code = "larder_error"
    status = 500


class InvalidSettings(LarderError):
    code = "invalid_settings"


class InvalidValue(LarderError):
    code = "invalid_value"
    status = 422


class QuestionTooLong(InvalidValue):
    code = "question_too_long"


class DocumentEmpty(InvalidValue):
    code = "empty_document"


class NotFound(LarderError):
    code = "not_found"
    status = 404


class CollectionNotFound(NotFound):
    code = "collection_not_found"


class DocumentNotFound(NotFound):
    code = "document_not_found"


class SourceNotFound(NotFound):
    code = "source_not_found"


class RunNotFound(NotFound):
    code = "run_not_found"


class VerdictNotFound(NotFound):
    code = "verdict_not_found"


class ChunkNotFound(NotFound):
    code = "chunk_not_found"


class VersionNotFound(NotFound):
    code = "version_not_found"


class EstimateNotFound(NotFound):
    code = "estimate_not_found"


class JobNotFound(NotFound):
    code = "job_not_found"


class PreconditionFailed(LarderError):
    code = "precondition_failed"
    status = 412


class KeyInUse(LarderError):
    code = "idempotency_key_in_use"
    status = 409


class KeyReused(LarderError):
    code = "idempotency_key_reused"
    status = 422


class MassRemoval(LarderError):
    code = "mass_removal"
    status = 409


class FetchRefused(LarderError):
    code = "fetch_refused"
    status = 422


class JobNotOpen(LarderError):
    code = "job_not_open"
    status = 409


class CollectionExists(LarderError):
    code = "collection_exists"
    status = 409


class SourceExists(LarderError):
    code = "source_exists"
    status = 409


class EstimateRunning(LarderError):
    code = "estimate_running"
    status = 409


class DocumentTooLarge(LarderError):
    code = "document_too_large"
    status = 413


class StorageFull(LarderError):
    code = "storage_full"
    status = 507


class StorageBusy(LarderError):
    code = "storage_busy"
    status = 503


class CacheStepFailed(LarderError):
    code = "cache_step_failed"
    status = 503


class ServerBusy(LarderError):
    code = "server_busy"
    status = 503


class LineFull(ServerBusy):
    """Unlike its base it passes by itself, and soon."""


class ModelMissing(LarderError):
    code = "model_missing"
    status = 503


class InvalidCalibration(LarderError):
    code = "invalid_calibration"


class PortInUse(LarderError):
    code = "port_in_use"


class DatabaseUnreachable(LarderError):
    code = "database_unreachable"
    status = 503


class DataDirInUse(LarderError):
    code = "data_dir_in_use"


class DataDirDamaged(LarderError):
    code = "data_dir_damaged"
