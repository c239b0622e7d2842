"""Request bodies of what is done about sources, as docs/api.md states them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from app.api.schemas import Body
from app.api.values import Name, RowId, RowIdOrZero, Visible
from app.db.sources import LEAST_STATED, MOST_STATED
from app.sources.types import DEFAULT_PROBES

Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
QuestionText = Annotated[Visible, Field(max_length=2000)]
AnswerText = Annotated[Visible, Field(max_length=4000)]
MAX_PROBES = 1000


class SourceChange(Body):
    """At least one thing that is to be different."""

    reliability: float | None = Field(None, ge=LEAST_STATED, le=MOST_STATED)
    name: Name | None = None
    state: Literal["active", "quarantined"] | None = None
    class_name: Short | None = Field(None, alias="class")
    merged_into: RowIdOrZero | None = None  # 0: a source of its own again
    by: Name = "curator"
    note: Short = ""

    @model_validator(mode="after")
    def _check_something(self) -> "SourceChange":
        if self.model_fields_set <= {"by", "note"}:
            raise ValueError("name what is to change")
        return self


class NewLabel(Body):
    question: QuestionText
    answer: AnswerText
    verdict: float = Field(ge=0, le=1)
    topic: Short = ""
    by: Name = "curator"
    note: Short = ""


class NewUndo(Body):
    observations: list[RowId] = Field([], max_length=1000)
    author: Name | None = None
    source_id: RowId | None = None
    version: RowId | None = None
    by: Name = "curator"
    note: Short = ""


class NewFeedback(Body):
    verdict: Literal["good", "bad"]
    chunk_id: RowId | None = None
    by: Name = "user"


class ProbeQuestion(Body):
    question: QuestionText
    answer: AnswerText | None = None
    topic: Short = ""


class NewEstimate(Body):
    collection: Name
    questions: list[ProbeQuestion] = Field([], max_length=MAX_PROBES)
    take_from: Literal["questions", "runs", "documents"] | None = Field(None, alias="from")
    limit: int = Field(DEFAULT_PROBES, ge=1, le=MAX_PROBES)
    estimator: Short = "larder"
    by: Name = "curator"
