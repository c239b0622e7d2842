"""Which model is loaded and how, what is refused, and models that chunk reuse cannot serve."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from app.decoder import load, packaged
from app.decoder.identity import identify
from app.decoder.load import choose_dtype, end_ids_of, load_decoder, read_model, resolve_model
from app.decoder.template import PromptTemplate
from app.decoder.tokenizer import TextTokenizer, load_tokenizer
from app.decoder.types import DecodeRequest, Finished, GenerationParams, Passage, Prefilled
from app.errors import ModelMissing
from app.settings import Settings
from kvstore import reasons
from kvstore.errors import InvalidReuse
from kvstore.memory_index import MemoryIndex
from kvstore.types import ReuseOptions
from tests.support.model_folder import save_tiny_model
from tests.support.tiny_models import SHAPE
from tests.unit.app_decoder.conftest import SECRET, DictRecords

pytestmark = pytest.mark.anyio


async def load_with(settings: Settings, **changes: object) -> None:
    changed = settings.model_copy(update=changes)
    await load_decoder(changed, MemoryIndex(), DictRecords(), SECRET)


@pytest.mark.parametrize("name", ["/nonexistent", "./not-here", "~/not-here"])
async def test_a_path_that_is_no_folder_is_not_looked_up_elsewhere(
    settings: Settings, name: str
) -> None:
    with pytest.raises(ModelMissing, match=f"LARDER_MODEL names {name}, which is not a folder"):
        await load_with(settings, model=name)


async def test_a_hub_model_that_cannot_be_had(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr(load, "snapshot_download", offline)
    with pytest.raises(ModelMissing, match="cannot get the model 'them/tiny' from the hub"):
        await load_with(settings, model="them/tiny")


def test_a_hub_model_bears_its_own_name(
    settings: Settings, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "snapshot_download", lambda name, allow_patterns: str(model_dir))
    named = settings.model_copy(update={"model": "them/tiny-model"})
    assert resolve_model(named) == (model_dir, "tiny-model")


async def test_a_folder_that_holds_no_model(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"holds no config\.json"):
        await load_with(settings, model=str(tmp_path))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
async def test_a_damaged_folder_is_one_clear_error(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    folder = save_tiny_model(tmp_path / "model")
    (folder / name).write_bytes(b"not what it should be")
    with pytest.raises(ModelMissing, match="cannot be read"):
        await load_with(settings, model=str(folder))


async def test_a_damaged_chat_template_is_one_clear_error(
    settings: Settings, tmp_path: Path
) -> None:
    folder = save_tiny_model(tmp_path / "model", template="{% if %}")
    with pytest.raises(ModelMissing, match="chat template"):
        await load_with(settings, model=str(folder))


async def test_an_unknown_policy_is_refused_before_the_model_is_read(settings: Settings) -> None:
    with pytest.raises(InvalidReuse):
        await load_with(settings, reuse_policy="best", model="/nonexistent")


async def test_a_model_with_dynamic_rope_is_served_without_chunk_reuse(
    settings: Settings, records: DictRecords, tmp_path: Path
) -> None:
    folder = save_tiny_model(tmp_path / "dynamic")
    torch.manual_seed(7)
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=rope)).save_pretrained(folder)
    changed = settings.model_copy(update={"model": str(folder)})
    service = await load_decoder(changed, MemoryIndex(), records, SECRET)
    try:
        status = service.chunk_reuse()
        assert not status.allowed
        assert status.reason.startswith(f"{reasons.MODEL_UNSUPPORTED}: ")
        ids = service.encode_passage("Label", "Words. " * 20)
        report = await service.precompute([Passage(1, ids)])
        assert (report.stored, report.left, report.reason) == (0, 1, status.reason)
        purged = await service.purge([ids])
        assert (purged.entries, purged.bytes) == (0, 0)
        assert [tier.entries for tier in service.store_stats().tiers] == [0, 0]
        params = GenerationParams(max_tokens=5)
        request = DecodeRequest((Passage(1, ids),), "Why?", params=params)
        first, *_, last = [event async for event in service.answer(request)]
        assert isinstance(first, Prefilled)
        assert first.report.reason == reasons.MODEL_UNSUPPORTED
        assert first.report.tokens.fresh == first.report.tokens.prompt
        assert isinstance(last, Finished)
    finally:
        await service.close()
    assert records.saves == 0


async def test_entries_of_a_former_start_are_found_again(
    settings: Settings, records: DictRecords
) -> None:
    """Same folder, same secret: the identity is the same. Another secret finds nothing."""
    index, tiers = MemoryIndex(), []
    for secret in (SECRET, SECRET, bytes([1]) * 32):
        service = await load_decoder(settings, index, records, secret)
        ids = service.encode_passage("Label", "Words. " * 20)
        params = GenerationParams(max_tokens=1)
        reuse = ReuseOptions(mode="exact")
        request = DecodeRequest((Passage(1, ids),), "Why?", params=params, reuse=reuse)
        first, *_ = [event async for event in service.answer(request)]
        assert isinstance(first, Prefilled)
        tiers.append(first.report.segments[1].tier)
        await service.precompute([Passage(1, ids)])
        await service.close()
    assert tiers == [None, "disk", None]
    assert records.saves == 1


def test_the_identity_follows_weights_and_tokenizer(model_dir: Path, tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")

    def digest(folder: Path = folder) -> str:
        model = read_model(folder, torch.float32)
        return identify(model, folder, PromptTemplate.load(folder, TextTokenizer(folder))).digest

    first = digest()
    assert digest() == first
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    assert digest(moved) == first
    (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    second = digest()
    assert second != first
    torch.manual_seed(8)
    LlamaForCausalLM(LlamaConfig(**SHAPE)).save_pretrained(folder)
    assert digest() not in {first, second}


def test_number_types(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_dtype("float16") == torch.float16
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for has_bf16, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has_bf16: has)
        assert choose_dtype("auto") == expected


def test_end_ids_come_from_both_places(model_dir: Path) -> None:
    model = read_model(model_dir, torch.float32)
    model.config.eos_token_id = 7
    assert end_ids_of(model, model_dir) == {2, 7}
    model.config.eos_token_id = [8, 9]
    assert end_ids_of(model, model_dir / "elsewhere") == {8, 9}
    model.config.eos_token_id = None
    assert end_ids_of(model, model_dir) == {2}


def test_a_tokenizer_is_read_once(model_dir: Path) -> None:
    assert load_tokenizer(model_dir) is load_tokenizer(model_dir)


def test_the_packaged_model_is_checked_before_it_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaged, "PACKAGE", "no_such_package_here")
    with pytest.raises(ModelMissing, match="the packaged decoder is not installed"):
        packaged.ensure_packaged_model(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(packaged, "FILE", "other.gguf")
    with pytest.raises(ModelMissing, match=r"other\.gguf is missing"):
        packaged.ensure_packaged_model(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(packaged, "SHA256", "0" * 64)
    with pytest.raises(ModelMissing, match=r"has SHA-256 b179c9523d0e\.\.\., expected 0000"):
        packaged.ensure_packaged_model(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_conversion_that_breaks_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(source: Path, target: Path) -> None:
        (target / "model.safetensors").write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(packaged, "convert", half)
    with pytest.raises(OSError, match="No space"):
        packaged.ensure_packaged_model(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_converted_model_is_taken_as_it_is(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(source: Path, target: Path) -> None:
        (target / "config.json").write_text("{}", encoding="utf-8")

    monkeypatch.setattr(packaged, "convert", convert)
    changed = settings.model_copy(update={"data_dir": tmp_path, "model": "packaged"})
    folder, name = resolve_model(changed)
    assert name == "SmolLM2-135M-Instruct"
    assert folder.parent == tmp_path / "models"
    monkeypatch.setattr(packaged, "convert", lambda *_: pytest.fail("converted again"))
    assert resolve_model(changed) == (folder, name)
