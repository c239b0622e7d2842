import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { citation } from "../../state/fixtures";
import { Answer } from "./Answer";

afterEach(cleanup);

describe("Answer", () => {
  it("puts a button behind the cited words and opens the passage with it", () => {
    const onOpen = vi.fn();
    render(<Answer text="**It is 214 m.** Old." citations={[{ ...citation, answer_end: 16 }]} onOpen={onOpen} />);
    const button = screen.getByRole("button", { name: "Citation 1: Millbrook bridge" });
    expect(button.previousSibling?.textContent).toBe("It is 214 m.");
    fireEvent.click(button);
    expect(onOpen).toHaveBeenCalledWith(expect.objectContaining({ chunk_id: 7 }));
  });

  it("shows HTML as text and loads no pictures", () => {
    const text = "<img src=x onerror=alert(1)> ![p](https://a.example/p.png) [x](javascript:alert(1))";
    const { container } = render(<Answer text={text} citations={[]} onOpen={vi.fn()} />);
    expect(container.querySelector("img")).toBeNull();
    expect(container.textContent).toContain("<img src=x");
    expect(container.querySelector("a")?.getAttribute("href")).not.toContain("javascript");
  });
});
