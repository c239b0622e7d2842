"""Figures that the documents name for the bundled model are those of its record."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "app" / "decoder" / "calibrations"


@pytest.mark.parametrize("name", ["README.md", "docs/architecture.md"])
def test_the_share_computed_anew_is_the_one_served(name: str) -> None:
    (record,) = (json.loads(path.read_text(encoding="utf-8")) for path in RECORDS.glob("*.json"))
    text = (ROOT / name).read_text(encoding="utf-8")
    assert f"{record['ratio']:.0%}".replace("%", " per cent") in text
