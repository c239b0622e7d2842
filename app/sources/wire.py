"""Sources, observations and versions as plain dictionaries: what HTTP and `--json` both print."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from app.db.reliability_rows import EstimateRow, ObservationRow, PosteriorRow, VersionRow
from app.db.rows import SourceRow
from app.sources.review import Review
from app.sources.types import Change, Rebuilt, SourceExplanation

JsonObject = dict[str, object]

DIGITS = 4


def source_data(row: SourceRow) -> JsonObject:
    return {
        "id": row.id,
        "name": row.name,
        "reliability": row.reliability,
        "documents": row.documents,
        "state": row.state,
        "class": row.class_name,
        "merged_into": row.merged_into,
        "evidence": row.alpha + row.beta,
    }


def explanation_data(found: SourceExplanation) -> JsonObject:
    return source_data(found.source) | {
        "low": round(found.low, DIGITS),
        "high": round(found.high, DIGITS),
        "prior": {"alpha": found.source.prior_alpha, "beta": found.source.prior_beta},
        "aliases": list(found.aliases),
        "merged": list(found.merged),
        "counts": asdict(found.counts),
        "topics": [_topic(row) for row in found.topics],
        "version": None if found.version is None else found.version.id,
        "pending": found.pending,
        "events": [
            {
                "at": _time(event.created_at),
                "action": event.action,
                "detail": event.detail,
                "by": event.author,
            }
            for event in found.events
        ],
    }


def observation_data(row: ObservationRow) -> JsonObject:
    return {
        "id": row.id,
        "kind": row.kind,
        "question": row.question,
        "topic": row.topic,
        "answer": row.answer,
        "verdict": row.verdict,
        "weight": round(row.weight, DIGITS),
        "by": row.author,
        "note": row.note,
        "document_id": row.document_id,
        "run_id": row.run_id,
        "observed_at": _time(row.observed_at),
        "undone_by": row.undone_by,
    }


def version_data(row: VersionRow) -> JsonObject:
    return {
        "version": row.id,
        "created_at": _time(row.created_at),
        "reason": row.reason,
        "estimator": row.estimator,
        "observations": row.observations,
        "digest": row.digest,
    }


def rebuilt_data(found: Rebuilt) -> JsonObject:
    return version_data(found.version) | {
        "rebuilt_digest": found.digest,
        "is_same": found.is_same,
        "largest_difference": found.largest_difference,
        "sources": [
            {"source_id": row.source_id} | _topic(row)
            for row in found.posteriors
            if row.topic is None
        ],
    }


def review_data(found: Review, names: Mapping[int, str]) -> JsonObject:
    return {
        "questions": [
            {
                "question": item.question,
                "worth": round(item.worth, DIGITS),
                "answers": [{"answer": text, "sources": count} for text, count in item.answers],
            }
            for item in found.questions
        ],
        "turned": [
            {
                "source_id": item.source_id,
                "source": names[item.source_id],
                "since": _time(item.since),
            }
            for item in found.turned
        ],
        "suspected_copies": [
            {
                "sources": [names[item.one], names[item.other]],
                "probability": round(item.chance, DIGITS),
                "shared_wrong": round(item.shared_wrong, 1),
                "shared_right": round(item.shared_right, 1),
                "different": item.different,
            }
            for item in found.suspected
        ],
    }


def change_data(change: Change) -> JsonObject:
    return {
        "observations": change.observations,
        "version": change.version,
        "before": change.before,
        "after": change.after,
        "counted": change.is_counted,
    }


def estimate_data(row: EstimateRow, collection: str | None = None) -> JsonObject:
    fields: Mapping[str, object] = asdict(row)
    data = {
        name: value
        for name, value in fields.items()
        if name not in ("author", "created_at", "finished_at", "version_id")
    }
    return data | {
        "collection": collection,
        "version": row.version_id,
        "by": row.author,
        "created_at": _time(row.created_at),
        "finished_at": None if row.finished_at is None else _time(row.finished_at),
    }


def _topic(row: PosteriorRow) -> JsonObject:
    return {
        "topic": row.topic,
        "mean": round(row.alpha / (row.alpha + row.beta), DIGITS),
        "low": round(row.low, DIGITS),
        "high": round(row.high, DIGITS),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
