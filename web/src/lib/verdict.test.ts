import { describe, expect, it } from "vitest";
import type { Verdict } from "../api/types";
import { explanation, verdict } from "../state/fixtures";
import { balance, chanceNote, changed, headline, tone } from "./verdict";

describe("headline", () => {
  it("says what was decided and how likely it is", () => {
    expect(headline(verdict)).toBe("Sources disagree, 54%");
    const nothing: Verdict = { ...verdict, kind: "abstain", probability: null, answers: [] };
    expect(headline(nothing)).toBe("No passage states an answer");
    expect(tone(nothing)).toBe("none");
  });
  it("warns of an answer that is written and that no passage states", () => {
    const made: Verdict = { ...verdict, kind: "abstain", probability: null, answers: [], trust: "weighted" };
    expect(headline(made)).toBe("No passage states this");
    expect(tone(made)).toBe("doubtful");
  });
  it("does not call a high chance low", () => {
    const [answer] = verdict.answers;
    const one = (wording: string, probability: number) =>
      headline({ ...verdict, kind: "low_support", probability, answers: [{ ...answer!, wording }] });
    expect(one("thin", 0.93)).toBe("One piece of evidence, 93%");
    expect(one("contested", 0.52)).toBe("Low support, 52%");
  });
});

describe("chanceNote", () => {
  it("says what the chance rests on", () => {
    expect(chanceNote(verdict)).toContain("made-up questions");
    expect(chanceNote({ ...verdict, calibration: null })).toContain("not calibrated");
    const judged = { origin: "labels", answers: 140, thumbs: 0 } as const;
    expect(chanceNote({ ...verdict, calibration: judged })).toBe(
      "A chance calibrated on 140 answers that people judged here.",
    );
    expect(chanceNote({ ...verdict, calibration: { ...judged, thumbs: 1 } })).toBe(
      "A chance calibrated on 140 answers that people judged here and 1 thumb.",
    );
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
