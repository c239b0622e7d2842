"""What a curator does about sources: label, quarantine, rename, merge, undo. Beliefs follow."""

from collections.abc import Sequence

from app.db.collections import check_name
from app.db.observations import Observations
from app.db.reliability_rows import NewObservation
from app.db.reliability_versions import ReliabilityVersions
from app.db.rows import SourceRow, SourceState
from app.db.source_changes import SourceChanges
from app.db.sources import Sources
from app.errors import InvalidValue
from app.sources.beliefs import Beliefs
from app.sources.checks import check_answer, check_question, check_text, check_weight
from app.sources.types import Change, Claim, Label, Undo
from reliability.prior import class_prior

CURATOR = "curator"  # who acts where nobody is named


class Curator:
    def __init__(
        self,
        sources: Sources,
        changes: SourceChanges,
        observations: Observations,
        versions: ReliabilityVersions,
        beliefs: Beliefs,
    ) -> None:
        self._sources = sources
        self._changes = changes
        self._observations = observations
        self._versions = versions
        self._beliefs = beliefs

    async def label(self, label: Label) -> Change:
        """Store a person's word and estimate anew. Raises `InvalidValue` for one that cannot be
        counted, before anything is stored."""
        row = NewObservation(
            "label",
            label.source_id,
            check_question(label.question),
            check_answer(label.answer),
            topic=check_text(label.topic, "topic"),
            verdict=check_weight(label.verdict, "verdict"),
            author=check_name(label.author, "person"),
            note=check_text(label.note, "note"),
        )
        before = await self._reliability(label.source_id)
        await self._observations.append([row])
        version = await self._beliefs.refit(f"a label by {row.author}")
        return Change(1, version.id, before, await self._reliability(label.source_id))

    async def observe(
        self, question: str, claims: Sequence[Claim], topic: str = "", run_id: str | None = None
    ) -> None:
        """What sources were met saying while a question was answered: a cross-check, no label."""
        rows = [
            NewObservation(
                "crosscheck",
                claim.source_id,
                check_question(question),
                None if claim.text is None else check_answer(claim.text),
                topic=check_text(topic, "topic"),
                weight=check_weight(claim.weight, "weight"),
                family=claim.family,
                document_id=claim.document_id,
                run_id=run_id,
            )
            for claim in claims
        ]
        if rows:
            await self._observations.append(rows)
            await self._beliefs.catch_up()

    async def set_state(
        self, source_id: int, state: SourceState, author: str, note: str = ""
    ) -> Change:
        """Into quarantine or out of it: no passage of the source is found, and its word does not
        count for or against others."""
        before = await self._sources.get(source_id)
        note = check_text(note, "note")
        await self._changes.set_state(source_id, state, check_name(author, "person"), note)
        return await self._changed(before, f"{before.name} was {state}")

    async def set_class(self, source_id: int, class_name: str, author: str) -> Change:
        prior = class_prior(class_name)
        before = await self._sources.get(source_id)
        author = check_name(author, "person")
        await self._changes.set_class(source_id, class_name, (prior.alpha, prior.beta), author)
        return await self._changed(before, f"{before.name} is {class_name}")

    async def set_reliability(self, source_id: int, value: float, author: str) -> Change:
        """Where a source starts, as a person states it; what was observed moves it on."""
        before = await self._sources.get(source_id)
        author = check_name(author, "person")
        await self._sources.set_reliability(source_id, value)
        await self._changes.note(source_id, "stated", f"reliability {value:g}", author)
        return await self._changed(before, f"{before.name} starts at {value:g}")

    async def rename(self, source_id: int, name: str, author: str) -> SourceRow:
        await self._changes.rename(source_id, name, check_name(author, "person"))
        return await self._sources.get(source_id)

    async def merge(self, source_id: int, into_id: int, author: str) -> Change:
        """Two names of one source. Its history counts for the other one until it is separated."""
        before = await self._sources.get(source_id)
        await self._changes.merge(source_id, into_id, check_name(author, "person"))
        return await self._changed(before, f"{before.name} was merged")

    async def separate(self, source_id: int, author: str) -> Change:
        before = await self._sources.get(source_id)
        await self._changes.separate(source_id, check_name(author, "person"))
        return await self._changed(before, f"{before.name} was separated")

    async def undo(self, what: Undo, author: str, note: str = "") -> Change:
        """Take observations back, or return to what counted in an earlier version."""
        named = [bool(what.observations), *(x is not None for x in _wholes(what))]
        if sum(named) != 1:
            raise InvalidValue("name observations, a person, a source or a version: one of them")
        if what.author is not None:
            check_name(what.author, "person")  # nobody is named in what sources say
        author, note = check_name(author, "person"), check_text(note, "note")
        before = await self._reliability(what.source_id)
        count = await self._take_back(what, author, note)
        version = await self._beliefs.refit(f"{author} took {count} observations back")
        return Change(count, version.id, before, await self._reliability(what.source_id))

    async def _take_back(self, what: Undo, author: str, note: str) -> int:
        rows = self._observations
        if what.author is not None:
            return (await rows.undo_author(what.author.strip(), author, note)).count
        if what.source_id is not None:
            members = await self._members(what.source_id)
            return (await rows.undo_source(members, author, note)).count
        if what.version is not None:
            version = await self._versions.get(what.version)
            note = note or f"back to version {version.id}"
            return (await rows.return_to(version.last_observation_id, author, note)).count
        return (await rows.undo(what.observations, author, note)).count

    async def _members(self, source_id: int) -> list[int]:
        """The source with all that is merged with it: together they are one."""
        owner = (await self._sources.get(source_id)).owner
        return [row.id for row in await self._sources.list() if row.owner == owner]

    async def _changed(self, before: SourceRow, reason: str) -> Change:
        """Beliefs after a change of circumstances; no version where nothing was ever observed."""
        version = None
        if await self._observations.last_id():
            version = (await self._beliefs.refit(reason)).id
        else:
            await self._beliefs.reset()
        after = await self._sources.get(before.id)
        return Change(0, version, before.reliability, after.reliability)

    async def _reliability(self, source_id: int | None) -> float | None:
        return None if source_id is None else (await self._sources.get(source_id)).reliability


def _wholes(what: Undo) -> tuple[object, object, object]:
    return what.author, what.source_id, what.version
