"""The parts of this package put together over what they need of the database."""

from dataclasses import dataclass
from typing import Protocol

from app.db.chunks import Chunks
from app.db.collections import Collections
from app.db.estimates import Estimates
from app.db.observations import Observations
from app.db.reliability_versions import ReliabilityVersions
from app.db.runs import Runs
from app.db.source_changes import SourceChanges
from app.db.sources import Sources
from app.sources.beliefs import Beliefs
from app.sources.curator import Curator
from app.sources.estimation import Estimation
from app.sources.explain import Explainer
from app.sources.feedback import Feedback
from app.sources.meanings import Meanings
from app.sources.protocols import SourceReader
from app.sources.review import Reviewer
from app.sources.topics import TopicBeliefs
from app.sources.worker import EstimationWorker


class SourceRepositories(Protocol):
    @property
    def collections(self) -> Collections: ...
    @property
    def sources(self) -> Sources: ...
    @property
    def source_changes(self) -> SourceChanges: ...
    @property
    def observations(self) -> Observations: ...
    @property
    def versions(self) -> ReliabilityVersions: ...
    @property
    def estimates(self) -> Estimates: ...
    @property
    def runs(self) -> Runs: ...
    @property
    def chunks(self) -> Chunks: ...


@dataclass(frozen=True, slots=True)
class SourceTools:
    """What needs no model."""

    beliefs: Beliefs
    meanings: Meanings
    topics: TopicBeliefs
    curator: Curator
    explainer: Explainer
    reviewer: Reviewer
    feedback: Feedback
    observations: Observations
    versions: ReliabilityVersions
    estimates: Estimates


@dataclass(frozen=True, slots=True)
class EstimationTools:
    """What reads documents."""

    estimation: Estimation
    worker: EstimationWorker


def make_tools(rows: SourceRepositories) -> SourceTools:
    beliefs = Beliefs(rows.sources, rows.observations, rows.versions, rows.runs)
    shared = (rows.sources, rows.source_changes, rows.observations, rows.versions, beliefs)
    return SourceTools(
        beliefs=beliefs,
        meanings=Meanings(rows.chunks),
        topics=TopicBeliefs(rows.observations, rows.versions),
        curator=Curator(*shared),
        explainer=Explainer(*shared),
        reviewer=Reviewer(beliefs),
        feedback=Feedback(rows.runs, rows.chunks, rows.observations, beliefs),
        observations=rows.observations,
        versions=rows.versions,
        estimates=rows.estimates,
    )


def make_estimation(
    rows: SourceRepositories, tools: SourceTools, reader: SourceReader
) -> EstimationTools:
    estimation = Estimation(
        collections=rows.collections,
        sources=rows.sources,
        chunks=rows.chunks,
        runs=rows.runs,
        estimates=rows.estimates,
        beliefs=tools.beliefs,
        meanings=tools.meanings,
        reader=reader,
    )
    worker = EstimationWorker(estimation, rows.estimates, tools.beliefs)
    return EstimationTools(estimation, worker)
