import { describe, expect, it } from "vitest";
import { explanation, verdict } from "../state/fixtures";
import { balance, chanceNote, changed, headline } from "./verdict";

describe("headline", () => {
  it("says what was decided and how likely it is", () => {
    expect(headline(verdict)).toBe("Sources disagree, 54%");
    expect(headline({ kind: "abstain", probability: null, is_calibrated: false })).toBe(
      "No passage states an answer",
    );
  });
});

describe("chanceNote", () => {
  it("tells a calibrated chance from one that is not", () => {
    expect(chanceNote(verdict)).toContain("not yet calibrated");
    expect(chanceNote({ ...verdict, is_calibrated: true })).toContain("A chance calibrated");
    expect(chanceNote({ ...verdict, probability: null })).toBeNull();
  });
});

describe("balance", () => {
  it("counts pieces of evidence, not passages", () => {
    expect(balance(verdict)).toBe("2 pieces of evidence for it");
    const [first, second] = verdict.answers;
    expect(balance({ answers: [first!], others: [second!] })).toBe(
      "1 piece of evidence for it, 1 for something else",
    );
  });
});

describe("changed", () => {
  const without = { ...explanation, without: ["gazette"] };
  it("compares with nothing left out", () => {
    expect(changed(explanation, explanation)).toBeNull();
    expect(changed(null, without)).toBeNull();
    expect(changed(explanation, without)).toBe("the outcome stays the same.");
    expect(changed(explanation, { ...without, kind: "answer" })).toBe("the outcome changes.");
  });
});
