"""The prompt contract (DESIGN 3): prefix P, passages, question Q, each tokenised alone, once.

P holds the chat template's head and the instructions, never a date or a user's words, so that it is
the same for every prompt. The template is rendered once around markers and cut there.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.decoder.tokenizer import TextTokenizer
from app.decoder.types import Message
from app.errors import ModelMissing
from kvstore.frame import Frame

INSTRUCTIONS = (
    "You answer questions from the passages you are given. Use only what the passages say and "
    "answer in one or two short sentences. If they do not hold the answer, say that you do not "
    "know."
)
OPENING = "Passages:\n\n"
TAGS_HEADING = "How far these passages can be trusted:"
MARK = "\ue000"  # private use: no template and no instruction contains it

# Neutral passages in the prompt's own format. Chunks stored as `primed` were computed behind them:
# a chunk that is used to being a passage among passages drifts four to six times less (DESIGN 5).
PRIMERS = (
    (
        "Notes on bread",
        "Bread is made from flour, water, salt and something that makes the dough rise. The dough "
        "is kneaded, left to rest in a warm place and then baked. In many countries every town had "
        "its own bakery, and the baker began work long before sunrise. Some loaves keep for a "
        "week, others are best on the first day. The crust forms because the surface dries while "
        "the inside stays moist, and its colour comes from sugars that brown in the heat.",
    ),
    (
        "Rivers and their banks",
        "A river begins as a small stream in the hills and grows as others join it. Where the "
        "ground is steep the water runs fast and cuts a narrow valley; on flat land it slows "
        "down, winds from side to side and leaves sand and mud behind. People settled along the "
        "banks because the water carried boats and turned mills. Floods were a danger in spring, "
        "so the older houses stand a little higher than the road.",
    ),
)


@dataclass(frozen=True)
class PromptTemplate:
    """Cuts of one model's chat template: `head` before passages, `tail` after the question."""

    tokenizer: TextTokenizer
    head: str
    tail: str

    @classmethod
    def load(cls, model_dir: Path, tokenizer: TextTokenizer) -> "PromptTemplate":
        """From the model folder's chat template; a base model, without one, gets a plain layout."""
        config = _tokenizer_config(model_dir)
        template = _find_template(model_dir, config)
        if template is None:
            return cls(tokenizer, f"{INSTRUCTIONS}\n\n{OPENING}", "\nAnswer:")
        try:
            rendered = _render(template, _special_tokens(config))
        except jinja2.TemplateError as error:
            reason = f"the chat template in {model_dir.name} cannot be used: {error}"
            raise ModelMissing(reason) from error
        if rendered.count(MARK) != 1:
            raise ModelMissing(f"the chat template in {model_dir.name} does not show user messages")
        head, tail = rendered.split(MARK)
        return cls(tokenizer, head, tail)

    @cached_property
    def frame(self) -> Frame:
        return Frame(
            prefix=self.tokenizer.encode_markup(self.head),
            primers=tuple(self.encode_passage(label, text) for label, text in PRIMERS),
        )

    @cached_property
    def version(self) -> str:
        """Digest over everything that a stored row's meaning depends on."""
        parts = [self.head, *(f"{label}\0{text}" for label, text in PRIMERS)]
        return hashlib.sha256("\0\0".join(parts).encode()).hexdigest()

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        """A passage with its intrinsic label; it ends at a hard boundary and bears no rank."""
        heading = f"{label}\n" if label else ""
        return self.tokenizer.encode_text(f"{heading}{text}\n\n")

    def encode_question(
        self, question: str, history: Sequence[Message] = (), tags: Sequence[str] = ()
    ) -> tuple[int, ...]:
        """Q: what was said before, a line on each passage, the question, the template's tail."""
        turns = "".join(f"{_SPEAKERS[m.role]}: {m.content}\n" for m in history)
        before = f"Conversation so far:\n{turns}\n" if turns else ""
        lines = "".join(f"- {tag}\n" for tag in tags)
        notes = f"{TAGS_HEADING}\n{lines}\n" if tags else ""
        text = self.tokenizer.encode_text(f"{before}{notes}Question: {question}")
        return text + self.tokenizer.encode_markup(self.tail)


_SPEAKERS = {"user": "User", "assistant": "Assistant"}


def _tokenizer_config(model_dir: Path) -> dict[str, Any]:
    path = model_dir / "tokenizer_config.json"
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return config


def _find_template(model_dir: Path, config: dict[str, Any]) -> str | None:
    """A file of its own, or (older folders) a field of the tokenizer's configuration, where several
    may be listed by name."""
    path = model_dir / "chat_template.jinja"
    if path.exists():
        return path.read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        template = {item["name"]: item["template"] for item in template}.get("default")
    return template


def _special_tokens(config: dict[str, Any]) -> dict[str, str]:
    """`bos_token` and `eos_token` as templates spell them; models such as Llama begin with one."""
    found = {}
    for name in ("bos_token", "eos_token"):
        token = config.get(name) or ""
        found[name] = token["content"] if isinstance(token, dict) else token
    return found


def _render(template: str, special_tokens: dict[str, str]) -> str:
    """The template around one user message; models without a system role get it in the message."""

    def refuse(message: str) -> str:
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = refuse
    compiled = environment.from_string(template)
    user = f"{OPENING}{MARK}"
    system = [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": user},
    ]
    alone = [{"role": "user", "content": f"{INSTRUCTIONS}\n\n{user}"}]
    variables = {"add_generation_prompt": True, **special_tokens}
    try:
        rendered = compiled.render(messages=system, **variables)
        if INSTRUCTIONS in rendered:
            return rendered
    except jinja2.TemplateError:
        pass  # such templates say so by raising; the other layout is for them
    return compiled.render(messages=alone, **variables)
