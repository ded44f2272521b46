import type { Round } from "./rounds.ts";

/**
 * Says what is wrong with rounds of one run; nothing when all is well. A migration that waits must let requests pass
 * before the session leaves for which it waits. Drizzle's round shows that without this, none passes.
 */
export function judge(rounds: readonly Round[]): readonly string[] {
  return rounds.flatMap(({ migrator, passed: { reads, writes } }) => {
    if (migrator === "drizzle" && reads + writes > 0) {
      return [`The rounds show nothing: ${reads + writes} requests passed Drizzle's migrate().`];
    }
    if (migrator === "neon-migrate" && (reads === 0 || writes === 0)) {
      return [`neon-migrate let ${reads} reads and ${writes} writes pass while it waited.`];
    }
    return [];
  });
}
