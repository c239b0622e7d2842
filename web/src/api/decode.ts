/** Small runtime checks for what the server sends: a decoder takes unknown JSON and returns typed
 * data or says which field is wrong. Knows no route and no React. */

export type Decoder<T> = (value: unknown, path: string) => T;
export type Infer<D> = D extends Decoder<infer T> ? T : never;

export class ShapeError extends Error {
  constructor(path: string, expected: string, value: unknown) {
    super(`The server sent an unexpected ${path}: ${expected} expected, got ${describe(value)}.`);
    this.name = "ShapeError";
  }
}

function describe(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : typeof value;
}

export const str: Decoder<string> = (value, path) => {
  if (typeof value !== "string") throw new ShapeError(path, "text", value);
  return value;
};

export const num: Decoder<number> = (value, path) => {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new ShapeError(path, "a number", value);
  }
  return value;
};

export const bool: Decoder<boolean> = (value, path) => {
  if (typeof value !== "boolean") throw new ShapeError(path, "true or false", value);
  return value;
};

/** Identifiers are opaque: a number or text, kept as they are. */
export const id: Decoder<number | string> = (value, path) =>
  typeof value === "number" ? num(value, path) : str(value, path);

export function oneOf<const T extends string>(...options: T[]): Decoder<T> {
  return (value, path) => {
    const found = options.find((option) => option === value);
    if (found === undefined) throw new ShapeError(path, options.join(", "), value);
    return found;
  };
}

export function nullable<T>(inner: Decoder<T>): Decoder<T | null> {
  return (value, path) => (value === null || value === undefined ? null : inner(value, path));
}

/** For figures a server may leave out, such as a timing that did not happen. */
export function orElse<T>(inner: Decoder<T>, fallback: T): Decoder<T> {
  return (value, path) => (value === null || value === undefined ? fallback : inner(value, path));
}

export function list<T>(inner: Decoder<T>): Decoder<T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw new ShapeError(path, "a list", value);
    return value.map((item, index) => inner(item, `${path}[${index}]`));
  };
}

export function record<T>(inner: Decoder<T>): Decoder<Record<string, T>> {
  return (value, path) => {
    const source = asObject(value, path);
    return Object.fromEntries(
      Object.entries(source).map(([key, item]) => [key, inner(item, `${path}.${key}`)]),
    );
  };
}

type Fields = Record<string, Decoder<unknown>>;
type Shape<F extends Fields> = { [K in keyof F]: Infer<F[K]> };

/** Fields not named are ignored, so that a newer server can add some. */
export function object<F extends Fields>(fields: F): Decoder<Shape<F>> {
  return (value, path) => {
    const source = asObject(value, path);
    const entries = Object.entries(fields).map(([key, decode]) => [
      key,
      decode(source[key], `${path}.${key}`),
    ]);
    return Object.fromEntries(entries) as Shape<F>;
  };
}

function asObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ShapeError(path, "an object", value);
  }
  return value as Record<string, unknown>;
}
