"""Small real DOCX, XLSX and PPTX files, e-mails, and packages with a part replaced."""

import zipfile
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from io import BytesIO
from typing import Any

import docx
import openpyxl
import pptx


def make_docx(*paragraphs: tuple[str, str], title: str = "") -> bytes:
    """(style, text); the style "table" makes a table of rows by line and cells by bar."""
    document = docx.Document()
    document.core_properties.title = title
    for style, text in paragraphs:
        if style == "table":
            rows = [line.split("|") for line in text.split("\n")]
            table = document.add_table(len(rows), max(map(len, rows)))
            for index, row in enumerate(rows):
                for column, cell in enumerate(row):
                    table.cell(index, column).text = cell
        else:
            document.add_paragraph(text, style=style)
    return saved(document)


def make_xlsx(sheets: Mapping[str, list[list[object]]], title: str = "") -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    book.properties.title = title
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return saved(book)


def make_pptx(fill: Callable[[Any], None]) -> bytes:
    presentation = pptx.Presentation()
    fill(presentation)
    return saved(presentation)


def two_slides(presentation: Any) -> None:
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Harbour"
    slide.placeholders[1].text = "Winter\nSpring"
    slide.placeholders[1].text_frame.paragraphs[1].level = 1
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    slide.shapes.add_textbox(0, 0, 100, 100).text_frame.text = "Free text.\nMore."
    table = slide.shapes.add_table(2, 2, 0, 0, 100, 100).table
    for index, text in enumerate(("Ship", "Fee", "Barge", "5")):
        table.cell(index // 2, index % 2).text = text
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 100, 100).text_frame.text = "In a group."
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    presentation.slides.add_slide(presentation.slide_layouts[6])  # without a word


def make_mail(plain: str = "Hello.\n", html: str = "", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ada <ada@example.org>"
    message["To"] = "bo@example.org"
    message["Message-ID"] = "<1@example.org>"
    for label, value in headers.items():
        message[label] = value
    message.set_content(plain)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def saved(document: Any) -> bytes:
    stream = BytesIO()
    document.save(stream)
    return stream.getvalue()


def repacked(
    package: bytes,
    replace: Mapping[str, Callable[[bytes], bytes]] | None = None,
    add: Mapping[str, bytes] | None = None,
    method: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """The package with some parts changed and others added."""
    stream = BytesIO()
    with zipfile.ZipFile(BytesIO(package)) as old, zipfile.ZipFile(stream, "w", method) as new:
        for part in old.namelist():
            content = old.read(part)
            new.writestr(part, (replace or {}).get(part, bytes)(content))
        for part, content in (add or {}).items():
            new.writestr(part, content)
    return stream.getvalue()
