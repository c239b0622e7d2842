"""Settings: where values come from, what is accepted and what a mistake is told."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from app.errors import InvalidSettings
from app.settings import EncodingName, Settings, load_settings


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LARDER_{name.upper()}", raising=False)
    monkeypatch.delenv("LARDER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_need_nothing() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.passages) == ("127.0.0.1", 8000, 5)
    assert settings.kv_disk_bytes == 10_000_000_000
    assert settings.kv_ram_bytes == 256 * 1024 * 1024
    assert settings.resolved_database_url.endswith("/larder-data/larder.db")
    assert settings.num_threads >= 1
    assert settings.url == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10GB", 10**10), ("256MiB", 2**28), (" 1.5 kib ", 1536), ("77", 77), (5, 5), ("2b", 2)],
)
def test_sizes(text: object, expected: int) -> None:
    assert load_settings(kv_ram_bytes=text).kv_ram_bytes == expected


def test_arguments_beat_environment_beats_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("larder.toml").write_text('port = 1\npassages = 2\nmodel = "m"\n', encoding="utf-8")
    monkeypatch.setenv("LARDER_PORT", "3")
    monkeypatch.setenv("LARDER_PASSAGES", "4")
    settings = load_settings(port=5, host=None)
    assert (settings.port, settings.passages, settings.model) == (5, 4, "m")


def test_file_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text('allowed_hosts = ["a.example"]\nlog_level = "debug"\n', encoding="utf-8")
    monkeypatch.setenv("LARDER_CONFIG", str(path))
    settings = load_settings()
    assert settings.allowed_hosts == ("a.example",)
    assert settings.log_level == "DEBUG"


def test_lists_and_empty_values_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARDER_ALLOWED_HOSTS", "a.example, b.example")
    monkeypatch.setenv("LARDER_PORT", "")
    settings = load_settings()
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.port == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("kv_disk_bytes", "ten"),
        ("kv_disk_bytes", "5 parsecs"),
        ("dtype", "int4"),
        ("reuse_ratio", "nan"),
        ("passages", "0"),
        ("log_level", 3),
        ("allowed_hosts", ""),
    ],
)
def test_a_mistake_names_setting_value_and_what_is_accepted(name: str, value: object) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(**{name: value})
    message = str(caught.value)
    assert name in message
    assert f"LARDER_{name.upper()}" in message
    assert str(Settings.model_fields[name].description) in message


def test_every_setting_says_what_it_accepts() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_credentials_in_a_url_are_not_repeated() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(database_url="mysql://me:hunter2@db/larder")
    assert "hunter2" not in str(caught.value)
    assert load_settings(database_url="sqlite+aiosqlite:///x.db").resolved_database_url.endswith(
        "x.db"
    )


def test_unknown_names_and_bad_files(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("larder.toml").write_text("prot = 1\n", encoding="utf-8")
    with pytest.raises(InvalidSettings, match="no setting 'prot'"):
        load_settings()
    Path("larder.toml").write_text("port = \n", encoding="utf-8")
    with pytest.raises(InvalidSettings, match="not valid TOML"):
        load_settings()
    monkeypatch.setenv("LARDER_CONFIG", "nowhere.toml")
    with pytest.raises(InvalidSettings, match="not a file"):
        load_settings()


def test_frozen_and_url_of_every_interface() -> None:
    settings = load_settings(host="::", port=1)
    assert settings.url == "http://127.0.0.1:1"
    assert load_settings(host="::1", port=1).url == "http://[::1]:1"
    with pytest.raises(ValidationError):
        settings.port = 2  # type: ignore[misc]


def test_names_of_codecs_and_encodings_are_those_of_the_store() -> None:
    """Settings name them again, since importing the store would load torch."""
    from kvstore.codecs import CODECS
    from kvstore.types import Encoding

    assert set(get_args(EncodingName)) == set(get_args(Encoding))
    assert set(get_args(Settings.model_fields["kv_codec"].annotation)) == set(CODECS)
