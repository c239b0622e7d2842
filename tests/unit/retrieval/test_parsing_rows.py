"""Tables as records: CSV, JSON Lines and XLSX give each row its labels."""

import datetime

import pytest

from retrieval.errors import EmptyDocument, ParseError
from retrieval.parsing.packages import XLSX
from retrieval.parsing.registry import parse
from tests.fakes.office_files import make_xlsx, repacked


def read(data: bytes, name: str) -> list[tuple[str, str]]:
    document = parse(data, name)
    return [(b.kind, document.text[b.start : b.end]) for b in document.blocks]


def tables(*rows: str) -> list[tuple[str, str]]:
    return [("table", row) for row in rows]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name,year\nAda,1815\n\n'Bo'\u00a0B,\n", "a.csv"),
        ("\ufeffname;year\r\nAda;1815\r\n'Bo'\u00a0B;\r\n", "a.csv"),
        ("name\tyear\nAda\t1815\n'Bo'\u00a0B\t\n", "a.tsv"),
    ],
)
def test_csv(text: str, name: str) -> None:
    assert read(text.encode(), name) == tables("name: Ada | year: 1815", "name: 'Bo' B")
    assert parse(text.encode(), name).media_type == "text/csv"


def test_csv_by_stated_type() -> None:
    document = parse(b"a,b\nc,d\n", "export", "text/csv; charset=utf-8")
    assert document.text == "a: c | b: d"


def test_csv_cells_may_hold_anything() -> None:
    data = b'name,note\n"Smith, J.","two\nlines and ""quotes"""\n'
    assert read(data, "a.csv") == tables('name: Smith, J. | note: two lines and "quotes"')


def test_csv_without_labels_and_with_a_caption() -> None:
    assert read(b"1,2\n3,4\n", "a.csv") == tables("1 | 2", "3 | 4")
    assert read(b"Fees of 2026,\n,\nShip,Fee\nYacht,9\nBarge,5,more\n", "a.csv") == [
        ("paragraph", "Fees of 2026"),
        *tables("Ship: Yacht | Fee: 9", "Ship: Barge | Fee: 5 | more"),
    ]
    assert read(b"only,labels\n,\n", "a.csv") == tables("only | labels")


def test_a_long_row_is_prose() -> None:
    story = "It was a dark night. " * 60
    assert read(f'id,story\n1,"{story}"\n'.encode(), "a.csv") == [
        ("paragraph", f"id: 1\nstory: {story.strip()}")
    ]


def test_prose_called_csv_is_prose() -> None:
    assert parse(b"Dear all, it is late, and\nso good night", "a.csv").media_type == "text/plain"


def test_csv_with_an_open_quotation_mark() -> None:
    data = b"a,b\nc,d\n" * 10 + b'"e,f\n' + b"g,h\n" * 100_000
    with pytest.raises(ParseError, match="a quotation mark may be missing"):
        parse(data, "a.csv")


def test_json_lines() -> None:
    lines = (
        '{"name": "Ada", "born": {"year": 1815.50, "place": null}, "tags": ["x", null, "y"]}\n'
        '\n{"ok": true, "parts": [{"n": 1}, {"n": 1e999}], "huge": ' + "9" * 5000 + "}\n"
        '{"a": false}\n{"a": 2}\n{"a": {}}\n["a", "b"]\n"text"\n{"cut": '
    )
    assert read(lines.encode(), "a.jsonl") == [
        *tables("name: Ada | born.year: 1815.50 | tags: x, y"),
        ("paragraph", f"ok: true\nparts.1.n: 1\nparts.2.n: 1e999\nhuge: {'9' * 5000}"),
        *tables("a: false", "a: 2", "a, b", "text"),
        ("paragraph", '{"cut": '),
    ]


@pytest.mark.parametrize(
    ("text", "name", "media_type"),
    [
        ('{"a": 1}\n{"a": 2}\n', "x.txt", "application/x-ndjson"),
        ('{"a": 1}', "x.jsonl", "application/x-ndjson"),
        ('{"a": 1}', "x.json", "text/plain"),
        ('{\n"a": 1\n}', "x.jsonl", "text/plain"),
        ("no json", "x.jsonl", "text/plain"),
        ("[" * 100_000 + "\n[]", "x.jsonl", "text/plain"),
    ],
)
def test_json_lines_are_told_by_their_bytes(text: str, name: str, media_type: str) -> None:
    assert parse(text.encode(), name).media_type == media_type


def test_a_record_that_is_nested_too_deep() -> None:
    with pytest.raises(ParseError, match="nested too deep"):
        parse(b'{"a": 1}\n' * 9 + b"[" * 100_000, "x.jsonl")


def test_xlsx() -> None:
    since = datetime.datetime(2026, 1, 2)  # noqa: DTZ001  sheets know no time zones
    data = make_xlsx(
        {
            "Fees": [["Harbour fees"], [], ["Ship", "Fee", "Since"], ["Barge", 0.1 + 0.2, since]],
            "Empty": [],
            "Two": [[1, None, True], ["a", "b"]],
        },
        title="All fees",
    )
    document = parse(data, "x")
    assert (document.title, document.media_type) == ("All fees", XLSX)
    assert read(data, "x") == [
        ("heading", "Fees"),
        ("paragraph", "Harbour fees"),
        *tables("Ship: Barge | Fee: 0.3 | Since: 2026-01-02"),
        ("heading", "Two"),
        *tables("1 | TRUE", "a | b"),
    ]


def test_xlsx_whose_stated_size_is_too_small() -> None:
    data = repacked(
        make_xlsx({"A": [["a", "b"], ["c", "d"]]}),
        {"xl/worksheets/sheet1.xml": lambda old: old.replace(b'"A1:B2"', b'"A1"')},
    )
    assert read(data, "x") == [("heading", "A"), *tables("a: c | b: d")]


def test_xlsx_hidden_sheets_and_emptiness() -> None:
    hide = {
        "xl/workbook.xml": lambda old: old.replace(
            b'sheetId="2" state="visible"', b'sheetId="2" state="hidden"'
        )
    }
    sheets: dict[str, list[list[object]]] = {"A": [["x"]], "B": [["secret"]]}
    assert read(repacked(make_xlsx(sheets), hide), "x") == [("heading", "A"), ("paragraph", "x")]
    with pytest.raises(EmptyDocument):
        parse(make_xlsx({"A": []}), "x.xlsx")


def test_a_formula_that_was_never_computed_stands_in_its_cell() -> None:
    rows: list[list[object]] = [["Ship", "Fee"], ["Barge", 5], ["Tug", 7], ["Sum", "=SUM(B2:B3)"]]
    assert "Sum" in parse(make_xlsx({"Fees": rows}), "fees.xlsx").text
    assert "=SUM(B2:B3)" in parse(make_xlsx({"Fees": rows}), "fees.xlsx").text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (b'<c r="B3"><f>SUM(B2:B2)</f><v>12</v></c>', "Ship: Sum | Fee: 12"),
        (b'<c r="B3" t="str"><f>IF(B2,"","")</f><v></v></c>', "Ship: Sum"),
        (b'<c r="B3"><f>SUM(B2:B2)</f></c>', "Ship: Sum | Fee: =SUM(B2:B2)"),
        (b'<c r="B3"><f t="array" ref="B3">B2*2</f><v/></c>', "Ship: Sum | Fee: =B2*2"),
    ],
)
def test_formulas_as_programs_write_them(cell: bytes, text: str) -> None:
    data = make_xlsx({"Fees": [["Ship", "Fee"], ["Barge", 5], ["Sum", "=SUM(B2:B2)"]]})
    old = b'<c r="B3"><f>SUM(B2:B2)</f><v></v></c>'
    part = "xl/worksheets/sheet1.xml"
    changed = repacked(data, {part: lambda sheet: sheet.replace(old, cell)})
    assert changed != data
    assert read(changed, "fees.xlsx")[-1][1] == text
