"""The page has words for every reason code the store gives."""

import re
from pathlib import Path

from kvstore import reasons
from kvstore.encodings import ENCODINGS

SOURCE = Path(__file__).parents[3] / "web" / "src" / "lib" / "reasons.ts"


def test_every_reason_code_and_encoding_has_words() -> None:
    known = set(re.findall(r"^  (\w+): ", SOURCE.read_text(encoding="utf-8"), re.MULTILINE))
    codes = {value for name, value in vars(reasons).items() if name.isupper()}
    assert codes >= {reasons.DRIFT_OVER_LIMIT, reasons.LINK}
    assert codes - known == set()
    assert {*ENCODINGS, "variant"} - known == set()
