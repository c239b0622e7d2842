import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { stretches } from "../../lib/segments";
import { segments } from "../../state/fixtures";
import { SegmentsBar } from "./SegmentsBar";

afterEach(cleanup);

describe("stretches", () => {
  it("divides the bar by tokens, recomputed ones apart", () => {
    expect(stretches(segments).map(({ origin, tokens, start, width }) => [origin, tokens, start, width])).toEqual([
      ["exact", 100, 0, 0.2],
      ["reused", 250, 0.2, 0.5],
      ["recomputed", 50, 0.7, 0.1],
      ["computed", 60, 0.8, 0.12],
      ["computed", 40, 0.92, 0.08],
    ]);
  });

  it("draws nothing for an empty plan", () => {
    expect(stretches([])).toEqual([]);
  });
});

describe("SegmentsBar", () => {
  it("draws one rectangle a stretch, as wide as its share", () => {
    const { container } = render(<SegmentsBar segments={segments} />);
    const bars = [...container.querySelectorAll("rect")];
    expect(bars.map((bar) => [bar.dataset.origin, bar.getAttribute("width")])).toEqual([
      ["exact", "20.000%"],
      ["reused", "50.000%"],
      ["recomputed", "10.000%"],
      ["computed", "12.000%"],
      ["computed", "8.000%"],
    ]);
  });

  it("says in words what it shows", () => {
    render(<SegmentsBar segments={segments} />);
    const picture = screen.getByRole("img", { name: /where its tokens came from/ });
    expect(picture.querySelector("desc")?.textContent).toBe(
      "Exact from the store: 100 tokens; Reused from the store: 250 tokens; " +
        "Stored, computed anew: 50 tokens; Computed: 100 tokens",
    );
  });
});
