"""The settings, and the only reader of the environment.

Order: arguments, then `LARDER_*` variables, then a TOML file (`LARDER_CONFIG` or ./larder.toml),
then the defaults below. Touches no other file and creates nothing.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from app.errors import InvalidSettings

PREFIX = "LARDER_"
SQLITE = "sqlite+aiosqlite:///"
PGVECTOR = "pgvector"
DATABASES = (SQLITE, "postgresql://", "postgresql+asyncpg://")
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")

_CREDENTIALS = re.compile(r"//[^@/]*@")


def parse_size(value: object) -> object:
    """`"10GB"` or `"256 MiB"` as bytes; anything else is left to the integer check."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None or match[2].upper() not in _UNITS:
        raise ValueError("not a size")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def _split_commas(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _check_url(value: str | None) -> str | None:
    if value is not None and not value.startswith(DATABASES):
        raise ValueError("not a supported database")
    return value


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas), Field(min_length=1)]
FetchHosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]
EncodingName = Literal["alone", "head", "neutral", "primed", "mean", "medoid", "variant"]
Encodings = Annotated[
    tuple[EncodingName, ...], NoDecode, BeforeValidator(_split_commas), Field(min_length=1)
]
Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser())]


class Settings(BaseSettings):
    """One frozen object; each description says what the setting accepts."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    data_dir: Folder = Field(Path("larder-data"), description="a folder")
    host: str = Field("127.0.0.1", min_length=1, description="an address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="a number from 0 (any free port) to 65535")
    model: str = Field("packaged", min_length=1, description='"packaged", a folder or a hub id')
    embedder: str = Field("packaged", min_length=1, description='"packaged" or a folder')
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto, float32, bfloat16 or float16"
    )
    threads: int = Field(0, ge=0, le=1024, description="a number of threads, 0 for all cores")
    kv_disk_bytes: Size = Field(10 * 10**9, description='a size such as "10GB" or "512MiB"')
    kv_ram_bytes: Size = Field(256 * 2**20, description='a size such as "1GB" or "256MiB"')
    kv_codec: Literal["raw", "bf16", "int8", "kivi_int4", "zstd_int8", "cachegen"] = Field(
        "raw", description="raw, bf16, int8, kivi_int4, zstd_int8 or cachegen"
    )
    kv_encodings: Encodings = Field(("primed",), description="names of encodings, comma-separated")
    kv_keep_share: float = Field(1.0, gt=0, le=1, description="a number above 0, at most 1")
    kv_variants: int | None = Field(None, ge=0, le=16, description="a number from 0 to 16")
    kv_layerwise: bool = Field(
        False, description="true or false: place stored rows while the first forward runs"
    )
    link_tokens: Folder | None = Field(None, description="a file of link tokens")
    kv_eviction: Literal["gdsf", "lru", "cache_craft", "cache_craft_gdsf"] = Field(
        "gdsf", description="gdsf, lru, cache_craft or cache_craft_gdsf"
    )
    kv_tenant_bytes: Size = Field(0, description='a size such as "2GB", 0 for no limit of its own')
    kv_device_bytes: Size = Field(2 * 2**30, description='a size such as "2GiB"')
    kv_admission: Literal["ingest", "second_use", "never"] = Field(
        "ingest", description="ingest, second_use or never"
    )
    kv_ttl_days: float = Field(0, ge=0, description="a number of days, 0 for no limit")
    kv_shared_url: str | None = Field(
        None, description="valkey://HOST:PORT/DB or s3://BUCKET/PREFIX?endpoint=URL&region=NAME"
    )
    kv_shared_bytes: Size = Field(100 * 10**9, description='a size such as "100GB"')
    kv_shared_seconds: float = Field(2, gt=0, le=600, description="a number of seconds above 0")
    max_document_bytes: Size = Field(25 * 2**20, gt=0, description='a size such as "25MiB"')
    parse_seconds: float = Field(120, ge=1, le=86400, description="a number of seconds, 1 or more")
    parse_memory_bytes: Size = Field(
        1536 * 2**20, ge=512 * 2**20, description='a size of at least "512MiB"'
    )
    docling_models: Folder | None = Field(
        None, description="a folder with docling's models, to read PDF with docling"
    )
    passages: int = Field(5, ge=1, le=50, description="how many passages a prompt gets, 1 to 50")
    fusion: Literal["scores", "ranks"] = Field("scores", description="scores or ranks")
    passage_cut: bool = Field(
        False, description="true or false: end the list of passages where relevance drops"
    )
    passage_diversity: float = Field(
        0, ge=0, le=1, description="a number from 0 (by relevance alone) to 1"
    )
    reranker: Folder | None = Field(None, description="a folder with a cross-encoder, or decoder")
    rerank_depth: int = Field(
        20, ge=1, le=200, description="how many passages are reranked, 1 to 200"
    )
    max_answer_tokens: int = Field(256, ge=1, le=32768, description="a number from 1 to 32768")
    trust: Literal["plain", "weighted", "tagged", "vote"] = Field(
        "weighted", description="plain, weighted, tagged or vote"
    )
    alignment_quotes: bool = Field(False, description="true or false")
    alignment_model: Folder | None = Field(None, description="a folder with an entailment model")
    trust_bias: float = Field(0.0, ge=0, le=4, description="a number from 0 (off) to 4")
    reuse_policy: str | None = Field(None, min_length=1, description="the name of a reuse policy")
    reuse_ratio: float | None = Field(None, ge=0, le=1, description="a number from 0 to 1")
    watch_share: float = Field(0.01, ge=0, le=1, description="a share of requests, 0 to 1")
    holdout_share: float = Field(0, ge=0, le=0.5, description="a share of requests, 0 to 0.5")
    allowed_hosts: Hosts = Field(
        ("127.0.0.1", "localhost", "[::1]"),
        description='host names browsers may use, comma-separated, or "*"',
    )
    allowed_fetch_hosts: FetchHosts = Field(
        (), description="host names the server may fetch documents from, comma-separated"
    )
    database_url: Annotated[str | None, AfterValidator(_check_url)] = Field(
        None, description=f"{SQLITE}PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"
    )
    vector_index: Literal["auto", "flat", "sq8", "hnsw", "ivf", "pgvector"] = Field(
        "auto", description="auto, flat, sq8, hnsw, ivf or pgvector"
    )
    word_index: Literal["memory", "database"] = Field("memory", description="memory or database")
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
    ] = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    @property
    def num_threads(self) -> int:
        return self.threads or os.cpu_count() or 1

    @property
    def url(self) -> str:
        """Where the server is reached from this machine."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"{SQLITE}{self.data_dir.absolute() / 'larder.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _config_file())


def load_settings(**overrides: object) -> Settings:
    """The settings of this process. Raises `InvalidSettings` with one line per mistake."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [_explain(details) for details in error.errors(include_url=False)]
        raise InvalidSettings("\n".join(lines)) from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(f"{_config_file()} is not valid TOML: {error}") from error


def child_environment(**overrides: str) -> dict[str, str]:
    """This process's environment with settings replaced, for a Larder process started from here."""
    return dict(os.environ) | {f"{PREFIX}{name.upper()}": v for name, v in overrides.items()}


def _config_file() -> Path:
    named = os.environ.get(f"{PREFIX}CONFIG")
    if named is None:
        return Path("larder.toml")
    path = Path(named).expanduser()
    if not path.is_file():
        raise InvalidSettings(f"{PREFIX}CONFIG names {named!r}, which is not a file")
    return path


def _explain(details: ErrorDetails) -> str:
    name = str(details["loc"][0])
    field = Settings.model_fields.get(name)
    if field is None:
        known = ", ".join(Settings.model_fields)
        return f"there is no setting {name!r}; the settings are {known}"
    shown = _CREDENTIALS.sub("//***@", repr(details["input"]))
    return f"{name} ({PREFIX}{name.upper()}): {shown} is not accepted; expected {field.description}"
