import type { TextRow } from "../connection/pipeline.ts";
import { LOCK_MODES, type LockMode } from "../postgres/locks.ts";
import type { StatementAt } from "../report/rehearsed.ts";
import type { Relations } from "./relations.ts";

/** The state of a transaction at one moment, by the server's own word. */
export interface Moment {
  /** The statement that had ended; null before the first one, and behind the COMMIT. */
  readonly at: StatementAt | null;
  /** When the server came to the question, ms since 1970, by its clock. */
  readonly askedMs: number;
  /** When it had answered. */
  readonly answeredMs: number;
  /** Position in the write-ahead log, in bytes; null where the role may not ask. */
  readonly wal: bigint | null;
  /** The locks on relations of before that our transaction holds, by oid; null where nobody asked for them. */
  readonly locks: ReadonlyMap<string, readonly LockMode[]> | null;
  /** The present files of the relations that are locked against everybody, by oid. */
  readonly filenodes: ReadonlyMap<string, string>;
  /** The relations of before whose lock the statement makes stronger, as its text says, by oid. */
  readonly raises: ReadonlySet<string>;
}

/** Reads the answer to a question. @param relations null where it has no locks */
export function readAnswer(
  row: TextRow,
  relations: Relations | null,
): Omit<Moment, "at" | "raises"> {
  const [asked, wal = null, answered, locks, files] = row;
  const known = (list: string | null | undefined) =>
    pairs(list).filter(([oid]) => relations?.has(oid) === true);
  const held = new Map<string, readonly LockMode[]>();
  for (const [oid, mode] of known(locks)) {
    held.set(oid, [...(held.get(oid) ?? []), lockMode(mode)]);
  }
  return {
    askedMs: Number(asked) * 1_000,
    answeredMs: Number(answered) * 1_000,
    wal: wal === null ? null : position(wal),
    locks: relations === null ? null : held,
    filenodes: new Map(known(files)),
  };
}

function pairs(list: string | null | undefined): readonly (readonly [string, string])[] {
  if (list === null || list === undefined) return [];
  return list.split(",").map((pair) => {
    const [oid = "", word = ""] = pair.split(":");
    return [oid, word] as const;
  });
}

/** Reads `16/B374D848`: the upper and the lower 32 bits of a position, in hex (PostgreSQL documentation, "pg_lsn"). */
function position(lsn: string): bigint {
  const [upper = "0", lower = "0"] = lsn.split("/");
  return (BigInt(`0x${upper}`) << 32n) | BigInt(`0x${lower}`);
}

/** Reads the name of a mode as pg_locks has it: `AccessExclusiveLock` is ACCESS EXCLUSIVE. */
function lockMode(name: string): LockMode {
  const plain = name.replace(/Lock$/, "").toLowerCase();
  const found = LOCK_MODES.find((mode) => mode.replaceAll(" ", "").toLowerCase() === plain);
  if (found === undefined) throw new Error(`PostgreSQL has no table lock ${name}.`);
  return found;
}
