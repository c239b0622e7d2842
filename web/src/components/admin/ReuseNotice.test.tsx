import { render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { ReuseNotice } from "./ReuseNotice";

const SENTENCE =
  "Answers drifted more than 0.04 nats a token from a full prefill, so the collection “town_hall-2” gets exact reuse only. " +
  "Run `larder calibrate`, or lift it with POST /api/v1/cache/watch/reset.";

test("a switch back to exact reuse is told with its reason, its place and what to do", () => {
  render(<ReuseNotice reuse={{ allowed: false, reason: `drift_over_limit: ${SENTENCE}` }} />);
  expect(screen.getByText("Answers drifted too far when they were checked, so only exact reuse is served.")).toBeTruthy();
  expect(screen.getByText(SENTENCE)).toBeTruthy(); // names keep their dashes and underscores
});

test("a bare code is enough", () => {
  render(<ReuseNotice reuse={{ allowed: false, reason: "not_calibrated" }} />);
  expect(screen.getByText(/Nobody has measured/)).toBeTruthy();
});

test("nothing is said while reuse is allowed", () => {
  const { container } = render(<ReuseNotice reuse={{ allowed: true, reason: "calibrated: by 24 questions" }} />);
  expect(container.textContent).toBe("");
});
