"""What was wrong with a request, in words for people and not for those who wrote the models."""

import re
from collections.abc import Iterable, Mapping

# By pydantic's error types; docs.pydantic.dev/latest/errors/validation_errors lists them.
WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "json_invalid": "is not JSON",
    "string_unicode": "should be text, without half a surrogate pair",
    "date_type": "should be a day such as 2026-11-22",
    "string_type": "should be text",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "bool_type": "should be true or false",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
}
PLACES = frozenset({"body", "query", "path"})
_SUBJECT = re.compile(r"^(Input|String|List|Value) (?=should)")


def explain(errors: Iterable[Mapping[str, object]]) -> str:
    """Of `ValidationError.errors()`: each field and what is wrong with it, once."""
    return "; ".join(dict.fromkeys(_explain_one(error) for error in errors))


def _explain_one(error: Mapping[str, object]) -> str:
    kind, location = error.get("type"), error["loc"]
    assert isinstance(location, tuple)
    if kind == "json_invalid":
        return f"The body {WORDS[kind]}"
    # Branches of a union stand in it under the names of their types, such as `list[ContentPart]`.
    parts = [part for part in location if isinstance(part, int) or part.isidentifier()]
    name = ".".join(str(part) for part in parts if part not in PLACES)
    message = WORDS.get(str(kind)) or _shorten(str(error["msg"]))
    if name:
        return f"{name}: {message}"
    return f"The request {message}" if kind in WORDS else message


def _shorten(message: str) -> str:
    message = message.removeprefix("Value error, ").replace(" after validation", "")
    return _SUBJECT.sub("", message)
