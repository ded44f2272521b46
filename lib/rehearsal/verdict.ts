import { MigratorError } from "../errors.ts";
import type { Rehearsal } from "../report/rehearsed.ts";
import type { RehearsalLimits } from "../request.ts";

/** What a rehearsal cannot show. */
export const CAVEATS: readonly string[] = [
  "Nobody else used the branch: the wait for the locks of others is not in these times.",
  "The caches of a new branch are cold, so what reads a lot may take longer here than on production.",
  "Production may change until the migrations run there.",
  "A statement outside a transaction is sampled from a second session: a lock of a few ms may be missing, and a time may be some ms too long.",
  "dblink, foreign tables, pg_net and other calls to the outside have acted for real.",
];

type Seen = Pick<Rehearsal, "standstills" | "statements">;

/** Returns the error about the first limit that does not hold; null where all do. */
export function overLimit(
  { standstills, statements }: Seen,
  { blockedMs, totalMs }: RehearsalLimits,
): MigratorError | null {
  const [worst] = standstills.filter(({ blocks }) => blocks !== "ddl");
  if (blockedMs !== null && worst !== undefined && worst.ms > blockedMs) {
    const { relation, blocks, since, ms } = worst;
    return new MigratorError(
      "REHEARSAL_LIMIT",
      `On the branch the ${blocks} of ${relation} stood still for ${Math.round(ms)} ms, from statement ${since.statement} of ${since.migration} to its COMMIT; rehearsalLimits.blockedMs allows ${blockedMs}. Production was not touched.`,
      { migration: since.migration },
    );
  }
  const total = statements.reduce((sum, { ms }) => sum + ms, 0);
  if (totalMs === null || total <= totalMs) return null;
  return new MigratorError(
    "REHEARSAL_LIMIT",
    `On the branch the statements took ${Math.round(total)} ms; rehearsalLimits.totalMs allows ${totalMs}. Production was not touched.`,
  );
}
