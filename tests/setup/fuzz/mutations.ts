import fc from "fast-check";

/** The depth that mutations reach in a value. Deeper parts come from a mutation themselves. */
const MAX_DEPTH = 6;

/** JSON texts of tricky objects: they own keys that JavaScript inherits, or cannot be turned into text. */
const TRICKS = [
  '{"__proto__":{"action":"up"}}',
  '{"__proto__":null}',
  '{"constructor":{"prototype":{"action":"up"}}}',
  '{"toString":1,"valueOf":2}',
  '{"toJSON":"x"}',
  '{"length":3,"0":"up"}',
  '{"then":1}',
  '["up"]',
  "[[]]",
  "{}",
];

/** Texts that a parser may stumble over. */
const TEXTS = [
  "",
  " ",
  "up",
  "UP",
  " up",
  "poſt",
  "plan",
  "0",
  "-0",
  "-1",
  "1e3",
  "0x10",
  "1_000",
  "NaN",
  "null",
  "true",
  "undefined",
  "__proto__",
  "constructor",
  "toString",
  "\u0000",
  "\ud83d",
  "\udca5 up",
  "\u202eup",
  "💥",
  "\ufeff{}",
  "%",
  "%00",
  "%zz",
  "%ff",
  "../../x",
  "{",
  "[]",
  '"up"',
  "e30=",
];

/** Any text: odd texts, random texts with lone surrogates, and long texts. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...TEXTS) },
  { weight: 3, arbitrary: fc.string({ unit: "binary" }) },
  { weight: 2, arbitrary: fc.string({ unit: fc.constantFrom("\ud800", "\udc00", "é", "/", "%") }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom("/", "a", "💥", "%", " ", "\\", "@"),
        fc.integer({ min: 1, max: 40_000 }),
      )
      .map(([text, count]) => `${text.repeat(count)}x`),
  },
);

/** Any value that JSON can carry, also values that nobody sends. */
export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: hostileText },
  {
    weight: 4,
    arbitrary: fc.constantFrom<unknown>(
      ...[null, undefined, true, false, 0, -0, -1, 1, 1.5, 1e21, 1e308, 2 ** 53, Number.NaN],
    ),
  },
  { weight: 3, arbitrary: fc.constantFrom(...TRICKS).map((text) => JSON.parse(text)) },
  { weight: 2, arbitrary: fc.integer({ min: -1_000, max: 100_000_000 }) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(50, 5_000, 50_000).map(nested) },
);

/** One change. `pick` chooses its place among those that the value has at that time. */
interface Mutation {
  readonly kind:
    | "replace"
    | "drop"
    | "duplicate"
    | "rename"
    | "add"
    | "wrap"
    | "to-text"
    | "spoil-text"
    | "swap";
  readonly pick: number;
  readonly text: string;
  readonly value: unknown;
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom<Mutation["kind"]>(
    ...(["replace", "drop", "duplicate", "rename", "add"] as const),
    ...(["wrap", "to-text", "spoil-text", "swap"] as const),
  ),
  pick: fc.nat(),
  text: hostileText,
  value: hostileValue,
});

/**
 * Makes variants of a valid value: up to three fields dropped, doubled, renamed, of a wrong type and so on. Some
 * variants have no change at all, so that valid values are tried, too.
 */
export function mutants(valid: unknown, maxMutations = 3): fc.Arbitrary<unknown> {
  return fc
    .array(mutation, { maxLength: maxMutations })
    .map((mutations) => mutations.reduce<unknown>(mutate, valid));
}

/** Makes variants of a valid text: cut, doubled, with something put in, percent-encoded, in another case. */
export function mutantTexts(valid: string): fc.Arbitrary<string> {
  const change = fc.record({
    kind: fc.constantFrom("cut", "double", "insert", "remove", "encode", "upper"),
    at: fc.nat(),
    text: hostileText,
  });
  return fc
    .array(change, { maxLength: 3 })
    .map((changes) => changes.reduce((text, each) => spoil(text, each), valid));
}

function spoil(
  text: string,
  change: { readonly kind: string; readonly at: number; readonly text: string },
): string {
  const at = change.at % (text.length + 1);
  const [before, after] = [text.slice(0, at), text.slice(at)];
  switch (change.kind) {
    case "cut":
      return before;
    case "double":
      return `${before}${after.slice(0, 12)}${after}`;
    case "insert":
      return `${before}${change.text}${after}`;
    case "remove":
      return `${before}${after.slice(1)}`;
    case "encode":
      return `${before}%${(after.charCodeAt(0) & 0xff).toString(16).padStart(2, "0")}${after.slice(1)}`;
    default:
      return `${before}${after.slice(0, 5).toUpperCase()}${after.slice(5)}`;
  }
}

type Path = readonly (string | number)[];

function mutate(value: unknown, { kind, pick, text, value: other }: Mutation): unknown {
  const paths = pathsOf(value);
  const path = paths[pick % paths.length] ?? [];
  switch (kind) {
    case "drop":
      return path.length === 0 ? undefined : changeAt(value, path.slice(0, -1), without(path));
    case "duplicate":
      return changeAt(value, path.slice(0, -1), (holder) =>
        Array.isArray(holder) ? [...holder, ...holder.slice(-1)] : [holder, holder],
      );
    case "rename":
      return changeAt(value, path.slice(0, -1), renamed(path, text));
    case "add":
      return changeAt(value, path.slice(0, -1), (holder) => withEntry(holder, text, other));
    case "wrap":
      return changeAt(value, path, (inner) => (pick % 2 === 0 ? [inner] : { value: inner }));
    case "to-text":
      return changeAt(value, path, (inner) => (isHolder(inner) ? safeJson(inner) : String(inner)));
    case "spoil-text":
      return changeAt(value, path, (inner) =>
        typeof inner === "string" ? `${inner.slice(0, pick % (inner.length + 1))}${text}` : other,
      );
    case "swap":
      return changeAt(value, path, () => valueAt(value, paths[(pick + 1) % paths.length] ?? []));
    default:
      return changeAt(value, path, () => other);
  }
}

function pathsOf(value: unknown, path: Path = []): readonly Path[] {
  if (!isHolder(value) || path.length >= MAX_DEPTH || fc.toStringMethod in value) return [path];
  return [path, ...Object.entries(value).flatMap(([key, each]) => pathsOf(each, [...path, key]))];
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (holder, key) =>
      isHolder(holder) ? Object.entries(holder).find(([k]) => k === String(key))?.[1] : undefined,
    value,
  );
}

/** Copies a value with one place changed. The copy shares all other parts, which are never written to. */
function changeAt(value: unknown, path: Path, change: (old: unknown) => unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined || !isHolder(value)) return change(value);
  if (Array.isArray(value)) {
    return value.map((each, index) =>
      index === Number(key) ? changeAt(each, rest, change) : each,
    );
  }
  return Object.fromEntries(
    Object.entries(value).map(([k, each]) => [k, k === key ? changeAt(each, rest, change) : each]),
  );
}

function without(path: Path): (holder: unknown) => unknown {
  const last = String(path.at(-1));
  return (holder) => {
    if (Array.isArray(holder)) return holder.filter((_each, index) => index !== Number(last));
    if (!isHolder(holder)) return holder;
    return Object.fromEntries(Object.entries(holder).filter(([key]) => key !== last));
  };
}

function renamed(path: Path, name: string): (holder: unknown) => unknown {
  const last = String(path.at(-1));
  return (holder) => {
    if (!isHolder(holder) || Array.isArray(holder)) return holder;
    const entries = Object.entries(holder);
    return Object.fromEntries(entries.map(([key, each]) => [key === last ? name : key, each]));
  };
}

function withEntry(holder: unknown, key: string, value: unknown): unknown {
  if (Array.isArray(holder)) return [...holder, value];
  if (!isHolder(holder)) return { [key]: value };
  return Object.fromEntries([...Object.entries(holder), [key, value]]);
}

function isHolder(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function safeJson(value: object): string {
  try {
    return JSON.stringify(value);
  } catch {
    return "[object Object]";
  }
}

/** Makes lists in lists. `JSON.parse` reads any depth of them, `JSON.stringify` does not write it. */
function nested(depth: number): unknown {
  let value: unknown = "deep";
  for (let level = 0; level < depth; level += 1) value = [value];
  // fast-check's reports could not write it either.
  return Object.defineProperty(value, fc.toStringMethod, { value: () => `nested(${depth})` });
}
