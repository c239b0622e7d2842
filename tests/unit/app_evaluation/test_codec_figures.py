"""`larder bench codecs`: one row a codec, and errors that its bits explain."""

import json

import pytest
from typer.testing import CliRunner

from app.cli.root import app
from kvstore.codecs import CODECS


def test_bench_codecs() -> None:
    command = ["bench", "codecs", "--tokens", "20", "--repeats", "1", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["settings"] == {"tokens": 20, "dtype": "float32", "repeats": 1}
    rows = {row["codec"]: row for row in document["rows"]}
    assert set(rows) == set(CODECS)
    assert set(rows["raw"]) == {
        "codec",
        "bytes_per_token",
        "encode_mb_s",
        "decode_mb_s",
        "max_error",
    }
    assert rows["raw"]["max_error"] == 0
    assert rows["raw"]["bytes_per_token"] == pytest.approx(4 * 11_520, rel=0.01)
    assert 0 < rows["int8"]["max_error"] < rows["kivi_int4"]["max_error"]


def test_an_unknown_dtype_is_refused() -> None:
    assert CliRunner().invoke(app, ["bench", "codecs", "--dtype", "int8"]).exit_code != 0
