"""Tables of reliability: observations, the beliefs folded from them, and probes to be asked."""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models import FRESH_IDS, Base, CleanText


class SourceAlias(Base):
    """A name that a source had before: documents sent under it are still that source's."""

    __tablename__ = "source_aliases"

    name: Mapped[str] = mapped_column(CleanText, primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"), index=True)
    created_at: Mapped[float]


class SourceEvent(Base):
    """What a person did to a source, in order; never changed."""

    __tablename__ = "source_events"
    __table_args__ = (FRESH_IDS,)

    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"), index=True)
    action: Mapped[str] = mapped_column(CleanText)
    detail: Mapped[str] = mapped_column(CleanText)
    author: Mapped[str] = mapped_column(CleanText)
    created_at: Mapped[float]


class Observation(Base):
    """One thing that was seen once. Only `undone_by` is ever set afterwards, and only once."""

    __tablename__ = "observations"
    __table_args__ = (FRESH_IDS,)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(CleanText)  # probe, crosscheck, label, feedback, undo
    source_id: Mapped[int | None] = mapped_column(ForeignKey("sources.id"), index=True)
    question: Mapped[str] = mapped_column(CleanText)
    topic: Mapped[str] = mapped_column(CleanText)
    answer: Mapped[str | None] = mapped_column(CleanText)  # None: "I don't know"
    verdict: Mapped[float | None]
    weight: Mapped[float]
    family: Mapped[int | None]
    author: Mapped[str] = mapped_column(CleanText)
    note: Mapped[str] = mapped_column(CleanText)
    document_id: Mapped[int | None] = mapped_column(index=True)  # where the answer came from
    question_document_id: Mapped[int | None] = mapped_column(index=True)  # ... and the question
    run_id: Mapped[str | None] = mapped_column(CleanText, index=True)
    estimate_id: Mapped[int | None]
    observed_at: Mapped[float] = mapped_column(index=True)
    undone_by: Mapped[int | None]  # the observation of kind undo
    collection_id: Mapped[int | None]  # where it was asked; NULL: not known, or everywhere


class ReliabilityVersion(Base):
    """One estimate: what it was folded from, and how. Its beliefs are `source_posteriors`."""

    __tablename__ = "reliability_versions"
    __table_args__ = (FRESH_IDS,)

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[float]
    reason: Mapped[str] = mapped_column(CleanText)
    estimator: Mapped[str] = mapped_column(CleanText)
    settings_json: Mapped[str] = mapped_column(CleanText)
    digest: Mapped[str] = mapped_column(CleanText)  # of the observations
    last_observation_id: Mapped[int]
    observations: Mapped[int]
    rounds: Mapped[int]
    default_weight: Mapped[float]
    wrong_options: Mapped[float]


class SourcePosterior(Base):
    """What a version believes of a source on a topic; `topic` None: over all topics."""

    __tablename__ = "source_posteriors"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(
        ForeignKey("reliability_versions.id", ondelete="CASCADE"), index=True
    )
    source_id: Mapped[int]
    topic: Mapped[str | None] = mapped_column(CleanText)
    alpha: Mapped[float]
    beta: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    weight: Mapped[float]
    silence: Mapped[float]
    observed: Mapped[float | None]


class Calibration(Base):
    """The map from scores to chances that was learned with a version, where enough was judged."""

    __tablename__ = "calibrations"

    version_id: Mapped[int] = mapped_column(
        ForeignKey("reliability_versions.id", ondelete="CASCADE"), primary_key=True
    )
    method: Mapped[str] = mapped_column(CleanText)  # platt, isotonic
    knots_json: Mapped[str] = mapped_column(CleanText)  # [score, chance] in log odds
    answers: Mapped[int]
    thumbs: Mapped[int]
    accept: Mapped[float | None]  # the chance from which on answers are given; NULL: as set


class EstimateJob(Base):
    """Probes to be asked of each source, in the background."""

    __tablename__ = "estimates"
    __table_args__ = (FRESH_IDS,)

    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int]
    estimator: Mapped[str] = mapped_column(CleanText)
    author: Mapped[str] = mapped_column(CleanText)
    state: Mapped[str] = mapped_column(CleanText, index=True)  # running, done, cancelled, failed
    error: Mapped[str | None] = mapped_column(CleanText)
    version_id: Mapped[int | None]
    created_at: Mapped[float]
    finished_at: Mapped[float | None]


class Probe(Base):
    """One question of an estimate; done in the transaction that stores what was answered."""

    __tablename__ = "probes"
    __table_args__ = (UniqueConstraint("estimate_id", "question"), FRESH_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    estimate_id: Mapped[int] = mapped_column(ForeignKey("estimates.id", ondelete="CASCADE"))
    question: Mapped[str] = mapped_column(CleanText)
    topic: Mapped[str] = mapped_column(CleanText)
    known_answer: Mapped[str | None] = mapped_column(CleanText)
    document_id: Mapped[int | None] = mapped_column(index=True)  # that the question was made from
    state: Mapped[str] = mapped_column(CleanText)  # pending, leased, done, failed
    attempts: Mapped[int]
    leased_at: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(CleanText)
