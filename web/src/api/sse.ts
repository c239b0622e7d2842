/** Parser for text/event-stream bodies (WHATWG rules). Knows no event names. */

export interface SseMessage {
  event: string;
  data: string;
  id: string | null;
}

export class SseParser {
  private rest = "";
  private started = false;
  private event = "";
  private id: string | null = null;
  private data: string[] = [];

  /** Takes any slice of the stream and returns the messages it completes. */
  push(text: string): SseMessage[] {
    const messages: SseMessage[] = [];
    this.rest += this.withoutBom(text);
    for (let line = this.takeLine(); line !== null; line = this.takeLine()) {
      const message = line === "" ? this.dispatch() : this.field(line);
      if (message) messages.push(message);
    }
    return messages;
  }

  private withoutBom(text: string): string {
    if (this.started || text === "") return text;
    this.started = true;
    return text.startsWith("\uFEFF") ? text.slice(1) : text;
  }

  /** Lines end in LF, CR or CRLF. A CR at the very end waits: its LF may be in the next slice. */
  private takeLine(): string | null {
    const at = this.rest.search(/[\r\n]/);
    if (at < 0 || (this.rest[at] === "\r" && at === this.rest.length - 1)) return null;
    const line = this.rest.slice(0, at);
    const width = this.rest.startsWith("\r\n", at) ? 2 : 1;
    this.rest = this.rest.slice(at + width);
    return line;
  }

  private field(line: string): null {
    const colon = line.indexOf(":");
    if (colon === 0) return null; // a comment, sent to keep the connection open
    const name = colon < 0 ? line : line.slice(0, colon);
    const raw = colon < 0 ? "" : line.slice(colon + 1);
    const value = raw.startsWith(" ") ? raw.slice(1) : raw;
    if (name === "event") this.event = value;
    else if (name === "data") this.data.push(value);
    else if (name === "id") this.id = value;
    return null;
  }

  private dispatch(): SseMessage | null {
    const { event, data, id } = this;
    this.event = "";
    this.data = [];
    if (data.length === 0) return null;
    return { event: event || "message", data: data.join("\n"), id };
  }
}

/** Messages of a byte stream, in order. An unfinished message at the end is dropped, as specified. */
export async function* readMessages(body: ReadableStream<Uint8Array>): AsyncGenerator<SseMessage> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new SseParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Cancelling a stream that failed rejects with the failure the loop has already thrown.
    await reader.cancel().catch(() => undefined);
  }
}
