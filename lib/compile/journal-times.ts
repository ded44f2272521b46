import type { FolderWarning } from "../bundle/folder-warning.ts";

/** A migration with the time that orders it. */
export interface Timed {
  readonly tag: string;
  /** Epoch milliseconds of the author's clock. */
  readonly when: number;
  /** Whether the journal has the time as a text. Default: false. */
  readonly asText?: true;
}

/** The clock of another machine may be ahead by so much without a warning, in milliseconds. */
const TOLERANCE_MS = 5 * 60_000;

/** Times between these, as milliseconds, are days in early 1970; as seconds they are 2001 to 2128. */
const SECONDS = { from: 1e9, to: 5e9 } as const;

/** Times from this on, as milliseconds, are beyond the year 5100; as microseconds they begin in 1973. */
const MICROSECONDS_FROM = 1e14;

/** One way in which a time is odd. The first that fits a time counts. */
interface Oddity {
  readonly fits: (entry: Timed, now: number) => boolean;
  /** The end of a sentence that begins with the tags. */
  readonly say: (latest: Timed) => string;
}

const LEAVE = "Where it is applied already, leave it as it is: the ledger has this time.";

const ODDITIES: readonly Oddity[] = [
  {
    fits: ({ when }) => when < 0,
    say: ({ when }) =>
      `dated before 1970 (${when}). Drizzle's own migrator skips that on a database that has any other migration. If it is applied nowhere, write the time of its making in milliseconds. ${LEAVE}`,
  },
  {
    fits: ({ when }) => when >= SECONDS.from && when < SECONDS.to,
    say: ({ when }) =>
      `dated ${isoOf(when)}: ${when} looks like seconds, and a journal has milliseconds. Drizzle's own migrator skips that on a database that has a migration with a right date. If it is applied nowhere, write ${when * 1_000}. ${LEAVE}`,
  },
  {
    fits: ({ when }) => when >= MICROSECONDS_FROM,
    say: ({ when }) =>
      `dated ${isoOf(when)}: ${when} looks like microseconds, and a journal has milliseconds. ${UNTIL} If it is applied nowhere, write ${Math.floor(when / 1_000)}. ${raised(when)}`,
  },
  {
    fits: isFuture,
    say: ({ when }) =>
      `dated ${isoOf(when)}, in the future. ${UNTIL} If it is applied nowhere, write the time of its making. ${raised(when)}`,
  },
  {
    fits: ({ asText }) => asText === true,
    say: ({ when }) =>
      `dated by a text, "${when}", and drizzle-kit writes a number. It is read as that number, as Drizzle's own migrator does. Take the quotation marks away.`,
  },
];

const UNTIL =
  "Until then drizzle-kit dates each new migration earlier, by its clock. Drizzle's own migrator skips such a one where this is applied, here it is OUT_OF_ORDER, and generating it again does not help.";

function raised(when: number): string {
  return `Where it is applied already, leave it as it is, and write a larger "when" than ${when} into each new entry behind it, or send "outOfOrder": "apply".`;
}

function isFuture({ when }: Timed, now: number): boolean {
  return when > now + TOLERANCE_MS;
}

/**
 * Warns about times that will make trouble later. None is refused: Drizzle's own migrator applies them, so that a database may
 * have them already.
 * @param now epoch milliseconds
 */
export function oddTimes(
  entries: readonly Timed[],
  path: string,
  now: number,
): readonly FolderWarning[] {
  const odd = entries.map((entry) => ODDITIES.find(({ fits }) => fits(entry, now)));
  return ODDITIES.flatMap((oddity) => {
    const those = entries.filter((_, index) => odd[index] === oddity);
    const latest = those.reduce((a, b) => (b.when > a.when ? b : a), those[0] ?? NOBODY);
    if (those.length === 0) return [];
    const others = those.length === 1 ? "" : ` (and ${those.length - 1} more)`;
    const message = `${path}: ${latest.tag}${others} is ${oddity.say(latest)}`;
    return [{ code: "JOURNAL_TIME", message, settledBy: those.map(({ tag }) => tag) }];
  });
}

/**
 * Warns about the last folder of the 1.0 layout whose name has a time in the future.
 * @param now epoch milliseconds
 */
export function futureFolder(
  folders: readonly (Timed & { readonly path: string })[],
  now: number,
): readonly FolderWarning[] {
  const future = folders.filter((each) => isFuture(each, now));
  return future.slice(-1).map(({ path, when }) => ({
    code: "JOURNAL_TIME",
    settledBy: future.map(({ tag }) => tag),
    message: `${path}: the name of its folder is dated ${isoOf(when)}, in the future. Until then drizzle-kit dates each new folder earlier, by its clock. Where this is applied, such a one is OUT_OF_ORDER here, and generating it again does not help. If this is applied nowhere, give its folder the time of its making. Where it is applied already, leave it as it is, and give each new folder a later time, or send "outOfOrder": "apply".`,
  }));
}

const NOBODY: Timed = { tag: "", when: Number.NEGATIVE_INFINITY };

/**
 * Warns about each entry that is not dated later than an entry before it. Drizzle's own migrator applies only
 * entries that are newer than the newest ledger row (drizzle-orm 0.45 `pg-core/dialect`).
 */
export function backwardEntries(entries: readonly Timed[], path: string): readonly FolderWarning[] {
  const warnings: FolderWarning[] = [];
  let newest: Timed | undefined;
  for (const entry of entries) {
    if (newest === undefined || entry.when > newest.when) {
      newest = entry;
      continue;
    }
    const how =
      entry.when === newest.when
        ? `with the same date (${entry.when})`
        : `but dates it earlier (${entry.when} < ${newest.when})`;
    warnings.push({
      code: "JOURNAL_ORDER",
      settledBy: [entry.tag],
      message: `${path} lists ${entry.tag} behind ${newest.tag}, ${how}. Drizzle's own migrator skips it on a database that has ${newest.tag}; raise its "when" if it was never applied anywhere.`,
    });
  }
  return warnings;
}

function isoOf(when: number): string {
  const latest = 8.64e15;
  return new Date(Math.min(when, latest)).toISOString().replace(/\.\d+Z$/, "Z");
}
