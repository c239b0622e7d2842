import { cleanup, configure, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Explanation } from "../../api/types";
import { explanation } from "../../state/fixtures";
import { EvidenceView } from "./EvidenceView";

// Roles are slow to look up in jsdom, and slower on a busy machine.
configure({ asyncUtilTimeout: 20_000 });
vi.setConfig({ testTimeout: 60_000 });

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const without: Explanation = {
  ...explanation,
  kind: "low_support",
  probability: 0.5,
  without: ["visitor board"],
  answers: explanation.answers.slice(0, 1),
  supporting: explanation.supporting.slice(0, 1),
};

function serve(): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (url: string) => {
    asked.push(url);
    return new Response(JSON.stringify(url.includes("without=") ? without : explanation));
  });
  return asked;
}

describe("EvidenceView", () => {
  it("shows both sides, what counts once, and what beliefs rest on", async () => {
    serve();
    render(<EvidenceView runId="r1" />);
    expect(await screen.findByText("Sources disagree, 54%")).toBeTruthy();
    expect(screen.getByText("Counted once: the same words (L0).")).toBeTruthy();
    expect(screen.getByText("decisive")).toBeTruthy();
    expect(screen.getAllByText("2 checked by people, 5 crossed with others, 1 unchecked")).toHaveLength(3);
    expect(screen.getByRole("img", { name: /^Reliability 0.70, in 80 of 100 cases between 0.50/ })).toBeTruthy();
  });

  it("quotes only what stands in a passage", async () => {
    serve();
    render(<EvidenceView runId="r1" />);
    expect(await screen.findByText(/“It is nearly 300 m from end to end.”/)).toBeTruthy();
    expect(screen.getByText("Read as: Almost 300 m.")).toBeTruthy();
    expect(screen.queryByText(/“Almost 300 m.”/)).toBeNull();
    expect(screen.getAllByText(/“It is 214 m long.”/)).toHaveLength(2);
  });

  it("leaves a source out and says what that changes", async () => {
    const asked = serve();
    render(<EvidenceView runId="r1" />);
    const toggle = await screen.findByRole("checkbox", { name: /visitor board/ });
    fireEvent.click(toggle);
    expect(await screen.findByText("Low support, 50%")).toBeTruthy();
    expect(screen.getByText(/Without visitor board the outcome changes/)).toBeTruthy();
    expect(asked).toEqual([
      "/api/v1/runs/r1/explanation",
      "/api/v1/runs/r1/explanation?without=visitor%20board",
    ]);
    fireEvent.click(screen.getByRole("checkbox", { name: /visitor board/ }));
    expect(await screen.findByText("Sources disagree, 54%")).toBeTruthy();
  });

  it("says why there is nothing to show", async () => {
    const body = JSON.stringify({ title: "x", status: 404, detail: "No verdict.", code: "verdict_not_found" });
    vi.stubGlobal("fetch", async () => new Response(body, { status: 404 }));
    render(<EvidenceView runId="r2" />);
    expect((await screen.findByRole("alert")).textContent).toContain("No verdict.");
  });
});
