/** Sends one file with progress. XMLHttpRequest, because fetch reports none while sending. */
import { BASE } from "./client";
import { list, object } from "./decode";
import { ApiError, fromReply, unreachable } from "./problem";
import { document as documentShape, type Doc, type Id, type Refusal, refusal } from "./types";

export interface Upload {
  collection: Id;
  file: File;
  source: string;
}

export function sendFile(
  upload: Upload,
  onSent: (share: number) => void,
  signal: AbortSignal,
): Promise<Doc> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${BASE}/collections/${encodeURIComponent(upload.collection)}/documents`);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onSent(event.loaded / event.total);
    };
    request.onload = () => {
      try {
        resolve(readReply(request.status, request.responseText));
      } catch (error) {
        reject(error);
      }
    };
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException("Upload cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(formOf(upload));
  });
}

function formOf({ file, source }: Upload): FormData {
  const form = new FormData();
  const name = source.trim();
  if (name) form.append("source", name);
  form.append("file", file, file.name);
  return form;
}

function isRefusal(value: unknown): boolean {
  return typeof value === "object" && value !== null && "code" in value && !("state" in value);
}

/** The one item of the reply: a document, or why the file could not be taken. */
export function readReply(status: number, body: string): Doc {
  if (status < 200 || status >= 300) throw fromReply(status, body);
  const item = list<Doc | Refusal>((value, path) =>
    isRefusal(value) ? refusal(value, path) : documentShape(value, path),
  );
  const first = object({ items: item })(JSON.parse(body), "reply").items[0];
  if (first === undefined) throw fromReply(status, "");
  if ("detail" in first) throw new ApiError({ message: first.detail, code: first.code });
  return first;
}
