"""Load a decoder: find the model, read it, check what reuse it allows, build the service."""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from app.decoder.calibration import Records, find_calibration
from app.decoder.cost import PrefillCost
from app.decoder.file_digests import FileDigests
from app.decoder.gate import pass_gate
from app.decoder.identity import identify
from app.decoder.packaged import NAME, ensure_packaged_model
from app.decoder.permission import reuse_config, status_of, written_as
from app.decoder.service import DecoderService, LoadedModel
from app.decoder.template import PromptTemplate
from app.decoder.tokenizer import TextTokenizer
from app.decoder.types import ChunkReuseStatus
from app.decoder.watch import LIMIT_FACTOR, ReuseWatch, Shares, WatchRows
from app.errors import ModelMissing
from app.settings import Settings
from kvstore import reasons
from kvstore.attention import register
from kvstore.codecs import find_codec
from kvstore.config import StoreConfig
from kvstore.device_tier import open_device_tier
from kvstore.disk_tier import DiskRules, DiskTier
from kvstore.errors import UnsupportedModel
from kvstore.families import check_supported
from kvstore.keys import derive_namespace
from kvstore.links import load_links
from kvstore.load_rates import LoadRates
from kvstore.open_shared import open_shared
from kvstore.plain import PlainEngine
from kvstore.policies import find_policy
from kvstore.protocols import EntryIndex
from kvstore.ram_tier import RamTier
from kvstore.reuse import ReuseEngine
from kvstore.runner import ModelRunner
from kvstore.shared_tier import SharedLimits
from kvstore.store import KVStore

logger = logging.getLogger(__name__)

UNKNOWN = PrefillCost(0.0, 0.0)  # nothing is saved, so nothing is compared
SECONDS_A_DAY = 86_400
TENANT, ACL_CLASS = "default", "default"  # one of each until accounts exist


@dataclass(frozen=True, slots=True)
class _Keep:
    """What outlives the process."""

    entries: EntryIndex
    records: Records
    secret: bytes
    watch: WatchRows | None


@dataclass(frozen=True, slots=True)
class _Parts:
    model: PreTrainedModel
    directory: Path
    name: str
    template: PromptTemplate


async def load_decoder(
    settings: Settings,
    entries: EntryIndex,
    records: Records,
    secret: bytes,
    progress: Callable[[str], None] = logger.info,
    watch_rows: WatchRows | None = None,
) -> DecoderService:
    """Raises ModelMissing, or InvalidReuse when a reuse setting is unknown."""
    if settings.reuse_policy is not None:
        find_policy(settings.reuse_policy)
    disable_progress_bar()
    torch.set_num_threads(settings.num_threads)
    progress("loading the decoder")
    parts = _read(settings)
    try:
        check_supported(parts.model)
    except UnsupportedModel as error:
        store = build_store(settings, entries, secret, "none", UNKNOWN)
        return _plain_service(parts, store, str(error))
    keep = _Keep(entries, records, secret, watch_rows)
    return await _reusing_service(parts, settings, keep, progress)


def resolve_model(settings: Settings) -> tuple[Path, str]:
    """(folder, name) of the configured model; only a hub id may go to the network."""
    if settings.model == "packaged":
        return ensure_packaged_model(settings.data_dir / "models"), NAME
    path = Path(settings.model).expanduser()
    if path.is_dir():
        return path, path.resolve().name
    if path.is_absolute() or settings.model.startswith((".", "~")):
        raise ModelMissing(f"LARDER_MODEL names {settings.model}, which is not a folder")
    try:
        folder = snapshot_download(
            settings.model, allow_patterns=["*.json", "*.safetensors", "*.jinja"]
        )
    except Exception as error:
        raise ModelMissing(
            f"cannot get the model {settings.model!r} from the hub: {error}. Set LARDER_MODEL to "
            "a folder with the model, or to `packaged`."
        ) from error
    return Path(folder), settings.model.rsplit("/", 1)[-1]


def choose_dtype(name: str) -> torch.dtype:
    """`auto`: bf16 on GPUs and on CPUs that multiply it; elsewhere fp32, which is 5 times faster
    there (1,505 tokens on two AVX2 cores: 4.1 s in fp32, 20 s in bf16)."""
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
            name
        ]
    if torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def _read(settings: Settings) -> _Parts:
    directory, name = resolve_model(settings)
    if not (directory / "config.json").exists():
        raise ModelMissing(f"{directory} holds no config.json, so it is not a model folder")
    try:
        model = read_model(directory, choose_dtype(settings.dtype))
        template = PromptTemplate.load(directory, TextTokenizer(directory))
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelMissing(f"the model in {directory} cannot be read: {error}") from error
    return _Parts(model, directory, name, template)


def read_model(directory: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The model in evaluation mode, with kvstore's attention where chunk reuse can serve it."""
    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        directory, config=config, dtype=dtype, local_files_only=True
    )
    try:
        check_supported(model)
    except UnsupportedModel:
        pass  # stays with its stock attention, whose masks know sliding windows
    else:
        model.set_attn_implementation(register())
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    model.requires_grad_(False)
    loaded: PreTrainedModel = model.eval()
    return loaded


def end_ids_of(model: PreTrainedModel, directory: Path) -> frozenset[int]:
    """Ids that end a turn, from the generation settings and the configuration."""
    found: set[int] = set()
    configs = [model.config]
    if (directory / "generation_config.json").exists():
        configs.append(GenerationConfig.from_pretrained(directory))
    for config in configs:
        ids = config.eos_token_id
        found.update(ids if isinstance(ids, list) else [] if ids is None else [ids])
    return frozenset(found)


def _plain_service(parts: _Parts, store: KVStore, reason: str) -> DecoderService:
    logger.warning("%s is served without chunk reuse: %s", parts.name, reason)
    engine = PlainEngine(parts.model, reasons.MODEL_UNSUPPORTED)
    status = ChunkReuseStatus(False, f"{reasons.MODEL_UNSUPPORTED}: {reason}")
    return DecoderService(_loaded(parts, f"plain:{parts.name}"), engine, store, status, UNKNOWN)


async def _reusing_service(
    parts: _Parts,
    settings: Settings,
    keep: _Keep,
    progress: Callable[[str], None],
) -> DecoderService:
    digests = FileDigests(settings.data_dir / "digests.json")
    model = identify(
        parts.model, parts.directory, parts.template, digests.sha256, written_as(settings)
    )
    identity = model.digest
    runner = ModelRunner(parts.model)
    progress("checking what this model may reuse")
    record = await pass_gate(runner, identity, keep.records)
    found = await find_calibration(model, keep.records, keep.secret)
    store = build_store(settings, keep.entries, keep.secret, identity, record.cost)
    config = reuse_config(settings, found.record)
    engine = ReuseEngine(runner, store, parts.template.frame, config)
    if settings.link_tokens is not None:
        hidden = int(parts.model.get_input_embeddings().weight.shape[1])
        engine.use_links(load_links(settings.link_tokens, hidden, runner.vocabulary, model.weights))
    status = status_of(record, found, config)
    engine.refusal = None if status.allowed else status.reason.split(":")[0]
    watch = None
    if status.allowed and found.record is not None and keep.watch is not None:
        watch = await _open_watch(settings, keep.watch, identity, found.record.target)
    progress("computing the fixed prefix")
    engine.prepare()
    return DecoderService(_loaded(parts, identity), engine, store, status, record.cost, watch)


async def _open_watch(
    settings: Settings, rows: WatchRows, identity: str, target: float
) -> ReuseWatch:
    shares = Shares(settings.watch_share, settings.holdout_share)
    watch = ReuseWatch(rows, identity, LIMIT_FACTOR * target, shares, secrets.randbits(64))
    await watch.start()
    return watch


def build_store(
    settings: Settings, entries: EntryIndex, secret: bytes, identity: str, cost: PrefillCost
) -> KVStore:
    """The store under the data directory, as the model of this identity sees it."""
    config = StoreConfig(settings.data_dir / "kv", settings.kv_disk_bytes, settings.kv_ram_bytes)
    rules = DiskRules(
        codec=find_codec(settings.kv_codec),
        eviction=settings.kv_eviction,
        seconds_of=cost.estimate_seconds,
        ttl_s=settings.kv_ttl_days * SECONDS_A_DAY or None,
        quota_bytes=settings.kv_tenant_bytes or None,
    )
    limits = SharedLimits(
        settings.kv_shared_seconds, ttl_s=rules.ttl_s, quota_bytes=rules.quota_bytes
    )
    url = settings.kv_shared_url
    shared = open_shared(url, settings.kv_shared_bytes, rules.codec, limits) if url else None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return KVStore(
        RamTier(config.ram_bytes, rules.ttl_s),
        DiskTier(config.directory, config.disk_bytes, entries, rules),
        derive_namespace(secret, TENANT, ACL_CLASS),
        identity,
        shared,
        device=open_device_tier(settings.kv_device_bytes, device, rules.ttl_s),
        rates=LoadRates(cost.estimate_seconds),
    )


def _loaded(parts: _Parts, identity: str) -> LoadedModel:
    return LoadedModel(
        name=parts.name,
        identity=identity,
        dtype=str(parts.model.dtype).removeprefix("torch."),
        context_len=int(parts.model.config.max_position_embeddings),
        template=parts.template,
        end_ids=end_ids_of(parts.model, parts.directory),
    )
