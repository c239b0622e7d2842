import { describe, expect, it } from "vitest";
import { distribution, ticks } from "./scale";

describe("ticks", () => {
  it.each([
    [0, [0, 1]],
    [7, [0, 2, 4, 6, 8]],
    [1000, [0, 250, 500, 750, 1000]],
    [0.3, [0, 0.1, 0.2, 0.3]],
  ])("gives round steps up to %d", (max, expected) => expect(ticks(max)).toEqual(expected));
});

describe("distribution", () => {
  it("sorts and counts up to one", () => {
    expect(distribution([30, 10])).toEqual([
      { value: 10, share: 0.5 },
      { value: 30, share: 1 },
    ]);
  });
});
