import { describe, expect, it } from "vitest";
import { placeMarks, rehypeCitations } from "./citations";

const place = (answer: string, ...ends: number[]) =>
  placeMarks(answer, ends.map((answer_end, index) => ({ number: index + 1, answer_end })));

describe("placeMarks", () => {
  it("puts each citation's index behind its stretch, whatever the order they arrive in", () => {
    const marks = [
      { number: 2, answer_end: 11 },
      { number: 1, answer_end: 5 },
    ];
    expect(placeMarks("Long. Wide.", marks)).toBe("Long.⁅1⁆ Wide.⁅0⁆");
  });

  it("keeps two citations of one place in order", () => {
    expect(place("Long.", 5, 5)).toBe("Long.⁅0⁆⁅1⁆");
  });

  it("shows a number once at one place", () => {
    const twice = [
      { number: 1, answer_end: 5 },
      { number: 1, answer_end: 5 },
    ];
    expect(placeMarks("Long.", twice)).toBe("Long.⁅0⁆");
  });

  it("counts code points, as the server does", () => {
    expect(place("😀 yes. No.", 6)).toBe("😀 yes.⁅0⁆ No.");
  });

  it("does not stand before a list item", () => {
    expect(place("- one\n- two", 6)).toBe("- one⁅0⁆\n- two");
  });

  it("stays inside a table's last cell", () => {
    expect(place("| a | b |", 9)).toBe("| a | b⁅0⁆ |");
  });

  it("does not break a code fence", () => {
    expect(place("```\nx\n```", 9)).toBe("```\nx⁅0⁆\n```");
  });

  it("keeps a place behind the end inside the answer", () => {
    expect(place("Long.", 99)).toBe("Long.⁅0⁆");
  });
});

describe("rehypeCitations", () => {
  const run = (children: object[]) => {
    const tree = { type: "root", children } as Parameters<ReturnType<typeof rehypeCitations>>[0];
    rehypeCitations()(tree);
    return tree.children;
  };

  it("turns marks into elements and keeps the text around them", () => {
    expect(run([{ type: "text", value: "Long.⁅1⁆ Wide." }])).toMatchObject([
      { value: "Long." },
      { tagName: "cite", properties: { dataIndex: "1" } },
      { value: " Wide." },
    ]);
  });

  it("moves marks out of links", () => {
    const link = {
      type: "element",
      tagName: "a",
      properties: { href: "https://a.example/x%E2%81%853%E2%81%86" },
      children: [{ type: "text", value: "https://a.example/x⁅3⁆" }],
    };
    expect(run([link])).toMatchObject([
      { properties: { href: "https://a.example/x" }, children: [{ value: "https://a.example/x" }] },
      { tagName: "cite", properties: { dataIndex: "3" } },
    ]);
  });
});
