"""The prompt contract: what stands in P, what never does, and what changes its version."""

import json
from pathlib import Path

import pytest

from app.decoder import template as template_module
from app.decoder.template import INSTRUCTIONS, MARK, PRIMERS, PromptTemplate
from app.decoder.tokenizer import TextTokenizer
from app.decoder.types import Message
from app.errors import ModelMissing
from tests.support.model_folder import CHAT_TEMPLATE, save_tiny_model

# Gemma's way: a system message is an error.
NO_SYSTEM = (
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{{ '<|im_start|>model\\n' }}"
)
DROPS_SYSTEM = NO_SYSTEM.replace(
    "{{ raise_exception('System role not supported') }}{% endif %}", "{% else %}"
).replace("{% endfor %}", "{% endif %}{% endfor %}")


def load(folder: Path, text: str | None) -> PromptTemplate:
    save_tiny_model(folder, template=text)
    return PromptTemplate.load(folder, TextTokenizer(folder))


def test_the_prefix_ends_where_the_passages_begin(template: PromptTemplate) -> None:
    prefix = template.tokenizer.decode(list(template.frame.prefix))
    assert INSTRUCTIONS in template.head
    assert template.head.endswith("Passages:\n\n")
    assert prefix.endswith("Passages:\n\n")
    assert template.tail == "<|im_end|>\n<|im_start|>assistant\n"
    assert not any(label in template.head or text in template.head for label, text in PRIMERS)


def test_primers_are_passages_like_any_other(template: PromptTemplate) -> None:
    assert template.frame.primers == tuple(template.encode_passage(*primer) for primer in PRIMERS)


def test_a_passage_is_the_same_wherever_it_stands(template: PromptTemplate) -> None:
    text = template.tokenizer.decode(list(template.encode_passage("Label", "Words.")))
    assert text == "Label\nWords.\n\n"
    assert template.tokenizer.decode(list(template.encode_passage("", "Words."))) == "Words.\n\n"


def test_the_question_comes_last_and_after_what_was_said(template: PromptTemplate) -> None:
    history = (Message("user", "Hello?"), Message("assistant", "Yes."))
    asked = template.tokenizer.decode(list(template.encode_question("Why?", history)))
    assert asked == (
        "Conversation so far:\nUser: Hello?\nAssistant: Yes.\n\nQuestion: Why?\nassistant\n"
    )
    assert template.encode_question("Why?") == template.encode_question("Why?", ())


@pytest.mark.parametrize("text", [NO_SYSTEM, DROPS_SYSTEM])
def test_without_a_system_role_the_instructions_go_into_the_message(
    tmp_path: Path, text: str
) -> None:
    loaded = load(tmp_path / "model", text)
    assert loaded.head == f"<|im_start|>user\n{INSTRUCTIONS}\n\nPassages:\n\n"
    assert loaded.tail == "<|im_end|>\n<|im_start|>model\n"


def test_a_base_model_gets_a_plain_layout(tmp_path: Path) -> None:
    loaded = load(tmp_path / "model", None)
    assert loaded.head == f"{INSTRUCTIONS}\n\nPassages:\n\n"
    assert loaded.tail == "\nAnswer:"


@pytest.mark.parametrize("named", [False, True])
def test_older_folders_keep_the_template_in_the_configuration(tmp_path: Path, named: bool) -> None:
    save_tiny_model(tmp_path, template=None)
    listed = [{"name": "tool_use", "template": ""}, {"name": "default", "template": CHAT_TEMPLATE}]
    config = {"chat_template": listed if named else CHAT_TEMPLATE}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    loaded = PromptTemplate.load(tmp_path, TextTokenizer(tmp_path))
    assert loaded.head.startswith("<|im_start|>system")
    assert loaded.tail.endswith("assistant\n")


@pytest.mark.parametrize("text", ["Hello.", CHAT_TEMPLATE * 2])
def test_a_template_without_one_place_for_the_message_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ModelMissing, match="does not show user messages"):
        load(tmp_path / "model", text)


def test_a_model_that_begins_with_a_token_of_its_own_gets_it(tmp_path: Path) -> None:
    """As Llama does; the configuration writes it as text or as an object."""
    save_tiny_model(tmp_path, template=f"{{{{ bos_token }}}}{CHAT_TEMPLATE}")
    for token in ('"<|endoftext|>"', '{"content": "<|endoftext|>"}'):
        config = f'{{"bos_token": {token}, "eos_token": null}}'
        (tmp_path / "tokenizer_config.json").write_text(config, encoding="utf-8")
        loaded = PromptTemplate.load(tmp_path, TextTokenizer(tmp_path))
        assert loaded.head.startswith("<|endoftext|><|im_start|>system")
        assert loaded.frame.prefix[:2] == (0, 1)


def test_the_version_follows_head_and_primers_but_not_the_tail(
    template: PromptTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, head, tail = template.tokenizer, template.head, template.tail
    assert PromptTemplate(tokenizer, head, f"{tail} ").version == template.version
    assert PromptTemplate(tokenizer, f"{head} ", tail).version != template.version
    monkeypatch.setattr(template_module, "PRIMERS", PRIMERS[:1])
    assert PromptTemplate(tokenizer, head, tail).version != template.version


def test_the_mark_is_in_nothing_of_ours() -> None:
    ours = [INSTRUCTIONS, template_module.OPENING, *(text for primer in PRIMERS for text in primer)]
    assert not any(MARK in text for text in ours)
