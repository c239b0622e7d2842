"""The page in a real browser, the server as a process, real models: from upload to citation."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.processes import Server

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# Imported only after the check: without a browser the library is not needed either.
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("no Chromium here: the browser test is skipped", allow_module_level=True)

from playwright.sync_api import Locator, Page, Request, expect, sync_playwright  # noqa: E402

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
ANSWER_MS = 300_000
PAGE_MS = 60_000
QUESTION = "When does the swimming pool in Kiln Lane open on weekdays?"
DOCUMENTS = {
    "pool.md": "# Kiln Lane pool\n\nThe swimming pool in Kiln Lane opens at 6:45 on weekdays and "
    "at 9:30 at weekends. A day ticket for the pool costs 4.80 euros; children under six swim "
    "free. The water is kept at 26 degrees all year, and the sauna beside the pool is closed for "
    "repairs until the spring. Lockers take a coin that is given back.\n",
    "bridge.md": "# The stone bridge\n\nThe stone bridge over the Aller was finished in 1742 and "
    "is 214 metres long. Its third arch fell in the flood of 1881 and was rebuilt within two "
    "years. Lorries above 7.5 tonnes must take the ring road, because the bridge in its present "
    "state carries no more. The council meets about its repair on the first Monday of May.\n",
    "library.txt": "The town library lends books for four weeks. Its reading room opens at ten "
    "on every day but Sunday, and the children's corner has moved to the first floor. Membership "
    "is free for pupils. The swimming club keeps its records there too.\n",
}


@dataclass(slots=True)
class Visit:
    """A page, and what it said and asked for meanwhile."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


@pytest.fixture
def visit(server: Server) -> Iterator[Visit]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            expect.set_options(timeout=PAGE_MS)
            visit = Visit(browser.new_page(viewport={"width": 1280, "height": 900}))
            _listen(visit)
            visit.page.goto(server.url)
            yield visit
        finally:
            browser.close()


def _listen(visit: Visit) -> None:
    page = visit.page
    page.on("console", lambda line: _note_error(visit, line.type, line.text))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("requestfailed", lambda request: _note_failure(visit, request))
    page.on("request", lambda request: visit.hosts.add(urlsplit(request.url).netloc))


def _note_error(visit: Visit, kind: str, text: str) -> None:
    if kind in {"error", "warning"}:
        visit.complaints.append(text)


def _note_failure(visit: Visit, request: Request) -> None:
    """Aborted is what the page itself let go: a view that was left, or a streamed reply that was
    read to its end. What the server could not serve has another name."""
    if request.failure != "net::ERR_ABORTED":
        visit.complaints.append(f"{request.url}: {request.failure}")


def test_from_an_empty_shelf_to_a_cited_answer(
    visit: Visit, server: Server, tmp_path: Path
) -> None:
    page = visit.page
    create_collection(page, "Town notes")
    upload(page, tmp_path)
    first = ask(page, QUESTION)
    expect(first).to_contain_text("6:45")
    open_citation(page, first)
    second = ask(page, QUESTION)
    expect(second).to_contain_text("6:45")
    read_plan(second)
    read_evidence(second)
    look_at_admin(page)
    assert visit.complaints == []
    assert visit.hosts == {urlsplit(server.url).netloc}


def create_collection(page: Page, name: str) -> None:
    page.get_by_role("link", name="Documents", exact=True).first.click()
    page.get_by_role("button", name="New collection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_role("button", name="Create").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("No documents yet")).to_be_visible()


def upload(page: Page, folder: Path) -> None:
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    page.get_by_label("Source", exact=True).fill("council")
    page.get_by_label("Files to upload").set_input_files([folder / name for name in DOCUMENTS])
    rows = page.get_by_role("list", name="Documents in Town notes").get_by_role("listitem")
    expect(rows).to_have_count(len(DOCUMENTS))
    ready = rows.filter(has=page.get_by_text("Ready", exact=True)).filter(has_text="council")
    expect(ready).to_have_count(len(DOCUMENTS), timeout=ANSWER_MS)


def ask(page: Page, question: str) -> Locator:
    """The article of the finished answer. It was on show, as yet unfinished, before."""
    page.get_by_role("link", name="Chat", exact=True).first.click()
    expect(page.get_by_label("Question", exact=True)).to_be_visible()  # the other page is gone
    page.get_by_role("combobox", name="Collection").select_option("Town notes")
    articles = page.get_by_role("article")
    before = articles.count()
    page.get_by_label("Question", exact=True).fill(question)
    page.keyboard.press("Enter")
    article = articles.nth(before)
    words = article.locator(".prose-answer")
    expect(words).not_to_be_empty(timeout=ANSWER_MS)
    expect(article).to_have_attribute("aria-busy", "false", timeout=ANSWER_MS)
    return article


def open_citation(page: Page, article: Locator) -> None:
    article.get_by_role("button", name=re.compile(r"^Citation 1: ")).first.click()
    panel = page.get_by_role("complementary")
    expect(panel).to_contain_text("council")
    expect(panel.locator("mark")).to_be_visible()
    expect(panel.locator("mark")).to_contain_text("6:45")
    panel.get_by_role("button", name="Close passage").click()
    expect(panel).to_have_count(0)


def read_plan(article: Locator) -> None:
    """Asked a second time, everything but the question is in memory."""
    line = article.get_by_role("button", name=re.compile("reused .+ of .+ tokens", re.IGNORECASE))
    expect(line).to_be_visible()
    line.click()
    rows = article.get_by_role("table").locator("tbody tr:visible")
    expect(rows.filter(has_text="Exact")).to_have_count(2)  # instructions and first passage
    expect(rows.filter(has_text="Memory")).to_have_count(rows.count() - 1)
    expect(rows.last).to_contain_text("Computed")
    expect(
        article.get_by_role("img", name="The prompt by where its tokens came from")
    ).to_be_visible()


def read_evidence(article: Locator) -> None:
    """One source states the answer; without it nothing does."""
    article.get_by_role("button", name="Show the evidence").click()
    council = article.get_by_role("checkbox", name="council")
    expect(council).to_be_checked()
    council.uncheck()
    expect(article.get_by_text("Without council the outcome changes.")).to_be_visible()
    expect(article.get_by_text("No passage states this")).to_be_visible()


def look_at_admin(page: Page) -> None:
    page.get_by_role("link", name="Admin", exact=True).first.click()
    chart = page.get_by_role("img", name=re.compile("tokens", re.IGNORECASE)).first
    expect(chart).to_be_visible()
    expect(page.get_by_text("Where prompt tokens came from")).to_be_visible()
    expect(page.get_by_role("link", name=QUESTION)).to_have_count(2)
    expect(page.get_by_text("complete", exact=True)).to_have_count(2)
    expect(page.get_by_text("Found in memory")).to_be_visible()
