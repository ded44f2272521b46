import type { Facts } from "./catalog.ts";

/** One fact on which two databases disagree; null: the fact is not there at all. */
export interface Difference {
  readonly fact: string;
  readonly expected: string | null;
  readonly actual: string | null;
}

/** Every fact on which `actual` departs from `expected`, by name. */
export function compareFacts(expected: Facts, actual: Facts): readonly Difference[] {
  const names = [...new Set([...expected.keys(), ...actual.keys()])].sort();
  return names.flatMap((fact) => {
    const [should, is] = [expected.get(fact) ?? null, actual.get(fact) ?? null];
    return should === is ? [] : [{ fact, expected: should, actual: is }];
  });
}

/** Without what differs from one run of the same to the next: random ids, the time. */
export function withoutChance(
  differences: readonly Difference[],
  chance: readonly Difference[],
): readonly Difference[] {
  const facts = new Set(chance.map(({ fact }) => fact));
  return differences.filter(({ fact }) => !facts.has(fact));
}
