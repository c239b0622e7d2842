import { describe, expect, it } from "vitest";
import { formatBytes, formatMs, formatPercent, plural, reuseLine } from "./format";

const run = {
  tokens: { prompt: 1690, exact_prefix: 280, reused: 1200, recomputed: 150, fresh: 60, generated: 40 },
  timings_ms: { ttft: 412 },
  full_prefill_ms_estimate: 2880,
};

describe("reuseLine", () => {
  it("counts exact and reused tokens and compares first-token times", () => {
    expect(reuseLine(run, "auto")).toBe("reused 1,480 of 1,690 tokens, 0.4 s instead of 2.9 s");
  });

  it("says computed in full for mode off", () => {
    const off = { ...run, tokens: { ...run.tokens, exact_prefix: 0, reused: 0 } };
    expect(reuseLine(off, "off")).toBe("computed in full: 1,690 tokens, 0.4 s");
  });

  it("claims no gain where there is none", () => {
    expect(reuseLine({ ...run, full_prefill_ms_estimate: 400 }, "auto")).toBe(
      "reused 1,480 of 1,690 tokens, 0.4 s",
    );
  });

  it("claims no gain that rounding hides", () => {
    const close = { ...run, timings_ms: { ttft: 11_900 }, full_prefill_ms_estimate: 12_300 };
    expect(reuseLine(close, "auto")).toBe("reused 1,480 of 1,690 tokens, 12 s");
  });

  it("says so when the store held nothing", () => {
    const cold = { ...run, tokens: { ...run.tokens, exact_prefix: 0, reused: 0 } };
    expect(reuseLine(cold, "auto")).toBe("nothing stored yet: computed 1,690 tokens, 0.4 s");
  });

  it("is empty when no prompt was built", () => {
    expect(reuseLine({ ...run, tokens: { ...run.tokens, prompt: 0 } }, "auto")).toBeNull();
  });
});

describe("units", () => {
  it.each([
    [0.4, "0 ms"],
    [99, "99 ms"],
    [100, "0.1 s"],
    [9_940, "9.9 s"],
    [12_300, "12 s"],
    [125_000, "2 min 5 s"],
    [7_260_000, "2 h 1 min"],
  ])("formats %d ms", (ms, text) => expect(formatMs(ms)).toBe(text));

  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [2_147_483_648, "2 GiB"],
    [1_572_864, "1.5 MiB"],
  ])("formats %d bytes", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it("does not round a share to nothing or to everything", () => {
    expect([0, 0.001, 0.42, 0.999, 1].map(formatPercent)).toEqual([
      "0%",
      "under 1%",
      "42%",
      "over 99%",
      "100%",
    ]);
  });

  it("picks the plural", () => {
    expect([plural(1, "entry", "entries"), plural(2, "entry", "entries")]).toEqual([
      "1 entry",
      "2 entries",
    ]);
  });
});
