/** Puts marks into an answer's Markdown, and turns them into elements after parsing.
 * The mark is made of two rare punctuation characters: Markdown treats letters beside `**`
 * differently from punctuation, so a letter-like mark would break bold text. */
import { unitOffset } from "./text";

const OPEN = "\u2045"; // ⁅
const CLOSE = "\u2046"; // ⁆
const MARK = /\u2045(\d+)\u2046/g;

export interface Placed {
  number: number;
  answer_end: number;
}

/** The answer with a mark behind each cited stretch. A mark holds the citation's index, since two
 * citations of one passage share a number; at one place a number is shown once. */
export function placeMarks(answer: string, citations: readonly Placed[]): string {
  const byPlace = citations
    .map(({ number, answer_end }, index) => ({ index, number, at: placeFor(answer, answer_end) }))
    .sort((a, b) => a.at - b.at || a.number - b.number);
  let text = "";
  let done = 0;
  byPlace.forEach(({ index, number, at }, order) => {
    const previous = byPlace[order - 1];
    if (previous?.at === at && previous.number === number) return;
    text += answer.slice(done, at) + OPEN + index + CLOSE;
    done = at;
  });
  return text + answer.slice(done);
}

/** Where a mark does no harm: not behind blank space (the next line may be a list item), not behind
 * a table row's last bar (that would be a new cell), not on a line that is only a fence or rule. */
function placeFor(answer: string, points: number): number {
  let at = unitOffset(answer, points);
  for (;;) {
    at = answer.slice(0, at).trimEnd().length;
    const line = answer.slice(answer.lastIndexOf("\n", at - 1) + 1, at);
    if (/^\s*([`~]{3,}.*|[-=*_\s]{3,})$/.test(line) && at > line.length) at -= line.length;
    else if (line.endsWith("|")) at -= 1;
    else return at;
  }
}

interface Node {
  type: string;
  tagName?: string;
  value?: string;
  properties?: Record<string, unknown>;
  children?: Node[];
}

/** Plugin for the parsed tree: marks become <cite data-index>, outside links and code. */
export function rehypeCitations() {
  return (tree: Node) => {
    tree.children = (tree.children ?? []).flatMap(expand);
  };
}

function expand(node: Node): Node[] {
  if (node.type === "text") return splitText(node.value ?? "");
  if (node.tagName === "a" || node.tagName === "code") return hoist(node);
  if (node.children) node.children = node.children.flatMap(expand);
  return [node];
}

function splitText(value: string): Node[] {
  const nodes: Node[] = [];
  let done = 0;
  for (const match of value.matchAll(MARK)) {
    if (match.index > done) nodes.push({ type: "text", value: value.slice(done, match.index) });
    nodes.push(cite(match[1] ?? ""));
    done = match.index + match[0].length;
  }
  if (done < value.length) nodes.push({ type: "text", value: value.slice(done) });
  return nodes;
}

/** A button inside a link is not allowed and inside code would be copied: marks move behind. */
function hoist(node: Node): Node[] {
  const found: string[] = [];
  strip(node, found);
  return [node, ...found.map(cite)];
}

function strip(node: Node, found: string[]): void {
  if (node.value !== undefined) {
    for (const match of node.value.matchAll(MARK)) found.push(match[1] ?? "");
    node.value = node.value.replace(MARK, "");
  }
  const href = node.properties?.href;
  if (typeof href === "string" && node.properties) {
    node.properties.href = safeDecode(href).replace(MARK, "");
  }
  for (const child of node.children ?? []) strip(child, found);
}

/** Marks inside a bare address arrive percent-encoded; other addresses stay as they are. */
function safeDecode(href: string): string {
  return href.replaceAll("%E2%81%85", OPEN).replaceAll("%E2%81%86", CLOSE);
}

function cite(index: string): Node {
  return { type: "element", tagName: "cite", properties: { dataIndex: index }, children: [] };
}
