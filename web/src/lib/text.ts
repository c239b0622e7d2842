/** Offsets. The server counts Unicode code points, a JavaScript string counts UTF-16 units. */

export function unitOffset(text: string, points: number): number {
  let units = 0;
  for (let left = points; left > 0 && units < text.length; left--) {
    units += (text.codePointAt(units) ?? 0) > 0xffff ? 2 : 1;
  }
  return units;
}

/** Markdown as it should be read aloud: without its signs. */
export const spokenText = (markdown: string) =>
  markdown.replaceAll(/^[ \t]*([-*+]|#+|>)\s+/gm, "").replaceAll(/[*`|]+|__|~~/g, "");

export interface Marked {
  before: string;
  marked: string;
  after: string;
}

interface Span {
  start: number;
  end: number;
}

/** Cuts a passage around a cited span. Both are given relative to their document. The quote decides
 * where the two disagree, since a passage's text may have been cleaned after it was cut. */
export function markSpan(chunk: Span & { text: string }, cited: Span, quote: string): Marked {
  const { text } = chunk;
  const start = unitOffset(text, Math.max(0, cited.start - chunk.start));
  const end = unitOffset(text, Math.max(0, cited.end - chunk.start));
  if (quote && text.slice(start, end) !== quote) {
    const found = text.indexOf(quote);
    if (found >= 0) return cut(text, found, found + quote.length);
  }
  return cut(text, start, Math.max(start, end));
}

function cut(text: string, start: number, end: number): Marked {
  const shown = unwrapLines(text);
  return { before: shown.slice(0, start), marked: shown.slice(start, end), after: shown.slice(end) };
}

const LONG_LINE = 50; // a shorter one was probably ended on purpose

/** Text broken at a fixed width, running on. Each line end becomes one space, so offsets stay. */
function unwrapLines(text: string): string {
  return text.replaceAll(/(.+)\n(?=[\p{L}("'“])/gu, (whole, line: string) =>
    line.length >= LONG_LINE && !line.startsWith("|") ? `${line} ` : whole,
  );
}
