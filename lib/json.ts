/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns a value that is a JSON object, and an empty object for any other. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

/** Returns a value that is a text, and an empty text for any other. */
export function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Whether a value is a whole number that counts something. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** Returns the value of a JSON text; undefined for any other text. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a flat JSON object names a field twice. Of two values a reader takes the last, and its author may mean the first. */
export function namesTwice(text: string, value: object): boolean {
  if (Object.values(value).some((each) => Object(each) === each)) return false;
  const names = (text.match(/"(?:[^"\\]|\\.)*"\s*:?/g) ?? []).filter((each) => each.endsWith(":"));
  return names.length > Object.keys(value).length;
}
