/** Commas and semicolons part preferences and parameters, but not within a quoted text. */
const PARTS = /(?:"(?:[^"\\]|\\.)*"|[^",])+/g;

/**
 * Whether a caller prefers to be answered at once and told the outcome later: `Prefer: respond-async`, alone or
 * among others (RFC 7240). Names are read in any case; a value makes it another preference than the registered one.
 * @param values those of every `Prefer` header
 */
export function prefersAsync(values: readonly string[]): boolean {
  return values
    .flatMap((value) => value.match(PARTS) ?? [])
    .map((preference) => preference.split(";", 1)[0] ?? "")
    .some((preference) => /^\s*respond-async\s*(=\s*("")?\s*)?$/i.test(preference));
}
