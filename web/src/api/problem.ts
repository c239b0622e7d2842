/** One error type for everything that can go wrong between the page and the server. */
import { problem, type Problem } from "./types";

export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  readonly requestId: string | null;

  constructor(parts: { message: string; code: string; status?: number; requestId?: string | null }) {
    super(parts.message);
    this.name = "ApiError";
    this.code = parts.code;
    this.status = parts.status ?? 0;
    this.requestId = parts.requestId ?? null;
  }
}

export function fromProblem(value: Problem): ApiError {
  return new ApiError({
    message: value.detail || value.title,
    code: value.code,
    status: value.status,
    requestId: value.request_id,
  });
}

/** A failed reply's body is a problem object, unless something between us and the server spoke. */
export function fromReply(status: number, body: string): ApiError {
  try {
    return fromProblem(problem(JSON.parse(body), "problem"));
  } catch {
    return new ApiError({
      message: `The server answered with status ${status} and no explanation.`,
      code: "unexpected_reply",
      status,
    });
  }
}

export function unreachable(): ApiError {
  return new ApiError({
    message: "The server cannot be reached. Check that it is running, then try again.",
    code: "unreachable",
  });
}

/** What to show a person for any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
