import { describe, expect, it } from "vitest";
import { markSpan, spokenText, unitOffset } from "./text";

describe("unitOffset", () => {
  it("counts characters outside the basic plane once", () => {
    expect(unitOffset("a😀b", 2)).toBe(3);
    expect(unitOffset("abc", 9)).toBe(3);
  });
});

describe("spokenText", () => {
  it("leaves out Markdown's signs and keeps the words", () => {
    expect(spokenText("## Size\n\n- **214** `m`\n- well-known")).toBe("Size\n\n214 m\nwell-known");
  });
});

describe("markSpan", () => {
  const chunk = { text: "The 😀 bridge is 214 m long.", start: 100, end: 126 };

  it("cuts at document offsets", () => {
    const parts = markSpan(chunk, { start: 106, end: 112 }, "bridge");
    expect(parts).toEqual({ before: "The 😀 ", marked: "bridge", after: " is 214 m long." });
  });

  it("follows the quote where the offsets disagree", () => {
    expect(markSpan(chunk, { start: 100, end: 103 }, "214 m").marked).toBe("214 m");
  });

  it("lets lines of a fixed width run on and keeps lists", () => {
    const text = `${"word ".repeat(12)}end\nof it.\n- one\n- two`;
    const parts = markSpan({ text, start: 0, end: text.length }, { start: 61, end: 66 }, "");
    expect(parts.before.endsWith("word e")).toBe(true);
    expect(parts.marked + parts.after).toBe("nd of it.\n- one\n- two");
  });

  it("keeps a span that starts before the passage inside it", () => {
    expect(markSpan(chunk, { start: 90, end: 103 }, "").marked).toBe("The");
  });
});
