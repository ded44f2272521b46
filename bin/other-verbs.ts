/** The words by which other tools call what a command of ours does. Drizzle, Prisma, Flyway, Atlas, Knex, Rails and more. */
const VERBS: Readonly<Record<string, readonly string[]>> = {
  up: ["apply", "deploy", "latest", "migrate", "run", "sync", "update", "upgrade"],
  plan: ["diff", "dry-run", "dryrun", "pending", "preview", "show", "update-sql"],
  status: ["current", "info", "list", "ls", "state"],
  history: ["log", "runs"],
  restore: ["recover", "rewind"],
  check: ["lint", "test", "validate", "verify"],
  repair: ["fix", "force", "mend", "merge", "resolve"],
  baseline: ["adopt", "fake", "mark", "stamp"],
  init: ["configure", "eject", "scaffold", "setup"],
  bundle: ["build", "compile", "pack", "package"],
  fleet: ["all", "databases", "many", "multi-tenant", "projects", "tenants"],
  invoke: ["call", "lambda", "remote", "trigger"],
  local: ["dev", "serve", "start"],
  smoke: ["doctor", "e2e", "selftest", "smoke-test", "smoketest", "try"],
};

/** What other tools have, and we have not, with the way there is instead. */
const ELSEWHERE: readonly (readonly [readonly string[], string])[] = [
  [
    ["down", "downgrade", "revert", "rollback", "undo"],
    "There are no migrations backwards: generate one that takes the change back, and run neon-migrate up. The data from before it: neon-migrate restore.",
  ],
  [
    ["create", "generate", "make", "new", "revision"],
    "Migrations are made by Drizzle: drizzle-kit generate, and then neon-migrate up.",
  ],
  [
    ["push"],
    "neon-migrate applies migrations only: drizzle-kit generate, and then neon-migrate up. (drizzle-kit push changes a database without any.)",
  ],
  [["introspect", "pull", "studio"], "That is a command of drizzle-kit."],
  [
    ["clean", "drop", "fresh", "redo", "refresh", "reset"],
    "neon-migrate never empties a database. For one to try things on, take a branch of Neon's, or neon-migrate local.",
  ],
];

/**
 * Returns what somebody may have meant who writes a command of another tool: `migrate`, `migrate:latest`, `db:rollback`.
 * @returns null for a word that no tool has
 */
export function adviceOn(word: string): string | null {
  const whole = word.toLowerCase();
  const parts = [whole, ...whole.split(/[:-]/).reverse()];
  for (const part of parts) {
    const advice = ELSEWHERE.find(([verbs]) => verbs.includes(part))?.[1];
    if (advice !== undefined) return advice;
    const own = Object.entries(VERBS).find(
      ([name, verbs]) => name === part || verbs.includes(part),
    );
    if (own !== undefined) return `Did you mean neon-migrate ${own[0]}?`;
  }
  return null;
}
