import pc from "picocolors";
import type { Report } from "../../lib/report/report.ts";
import type { Operation } from "../cloudformation/cloudformation.ts";
import type { Screen } from "./screen.ts";
import type { Added, Stage } from "./stage.ts";

/** A chapter of the story, and its expected end. Any other end makes the exit code of the demonstration 1. */
export interface Chapter {
  readonly title: string;
  readonly expected: string;
  /** Tells the chapter, and returns its end in the words of `expected`, with all that was answered. */
  play(stage: Stage, screen: Screen): Promise<{ readonly seen: string; readonly answer: object }>;
}

const CALENDAR: Added = {
  tag: "0011_add_calendar",
  sql: `CREATE TABLE calendar (day date PRIMARY KEY, weekend boolean NOT NULL);
--> statement-breakpoint
INSERT INTO calendar
  SELECT day, extract(isodow FROM day) > 5
    FROM generate_series(date '1900-01-01', date '2399-12-31', interval '1 day') AS day;`,
};

const INDEX = (how: string): Added => ({
  tag: "0012_search_accounts",
  sql: `CREATE INDEX ${how}accounts_name_idx ON accounts (name);`,
});

const TRIALS = (column: string): Added => ({
  tag: "0013_start_trials",
  sql: `CREATE TABLE trials (account_id uuid PRIMARY KEY REFERENCES accounts, ends_on date NOT NULL);
--> statement-breakpoint
INSERT INTO trials
  SELECT a.id, a.${column}::date + 30 FROM accounts a WHERE a.plan_id = 'free';`,
});

const UNIQUE = (before: string): Added => ({
  tag: "0014_unique_names",
  sql: `${before}ALTER TABLE accounts ADD CONSTRAINT accounts_name_unique UNIQUE (name);`,
});

const RENAMED = `UPDATE accounts SET name = name || ' (' || slug || ')'
  WHERE name IN (SELECT a.name FROM accounts a GROUP BY a.name HAVING count(*) > 1);
--> statement-breakpoint
`;

/** The story, from the first deployment to the one that is mended. Each chapter goes on where the one before has ended. */
export const CHAPTERS: readonly Chapter[] = [
  {
    title: "The first deployment",
    expected: "CREATE_COMPLETE applied 11, version 1",
    play: async (stage, screen) => {
      screen.say("CloudFormation creates the stack: the migrations' function, then the service.");
      const operation = await stage.deploy();
      tellOperation(screen, operation);
      await stage.sql(
        "insert into accounts (name, slug) values ('Acme', 'acme'), ('Umbrella', 'umbrella')",
      );
      const { version } = await tellService(stage, screen);
      const { status, appliedCount } = dataOf(operation);
      return {
        seen: `${operation.status} ${status} ${appliedCount}, version ${version}`,
        answer: { operation },
      };
    },
  },
  {
    title: "Nothing to do",
    expected: "up-to-date",
    play: async (stage, screen) => {
      screen.say("A pipeline calls the same function once more.");
      const report = await stage.invoke();
      tellReport(screen, "pipeline", report);
      return { seen: report.status, answer: { report } };
    },
  },
  {
    title: "Two deployments at once",
    expected: "UPDATE_COMPLETE, once applied, once up-to-date, 182621 days, 12 in the ledger",
    play: async (stage, screen) => {
      stage.write(CALENDAR);
      screen.say(
        "A new migration fills a calendar of 500 years. CloudFormation updates the stack; at the same moment a pipeline calls the same new function.",
      );
      const reports: Report[] = [];
      const operation = await stage.deploy(async () => {
        reports.push(await stage.invoke());
      });
      tellOperation(screen, operation);
      for (const report of reports) tellReport(screen, "pipeline", report);
      const { days, applied } = await countsOf(stage);
      screen.tell("database", `${days} days, each once; ${applied} rows in Drizzle's ledger`);
      const ends = [dataOf(operation).status, ...reports.map(({ status }) => status)].toSorted();
      return {
        seen: `${operation.status}, ${ends.map((end) => `once ${end}`).join(", ")}, ${days} days, ${applied} in the ledger`,
        answer: { operation, reports },
      };
    },
  },
  {
    title: "What check finds before it ships",
    expected: "1, then 0, UPDATE_COMPLETE",
    play: async (stage, screen) => {
      stage.write(INDEX(""));
      screen.say("The next migration would stop every write to the accounts while it runs.");
      const words = ["check", "--since", CALENDAR.tag];
      const before = await stage.neonMigrate(...words);
      screen.show(`$ npx neon-migrate ${words.join(" ")}`, before.output);
      stage.write(INDEX("CONCURRENTLY "));
      screen.say("Corrected as it says, checked again, and deployed:");
      const after = await stage.neonMigrate(...words);
      screen.show(`$ npx neon-migrate ${words.join(" ")}`, after.output);
      const operation = await stage.deploy();
      tellOperation(screen, operation);
      await tellService(stage, screen);
      return {
        seen: `${before.exitCode}, then ${after.exitCode}, ${operation.status}`,
        answer: { before, after, operation },
      };
    },
  },
  {
    title: "A broken migration, and the stack that goes back",
    expected: "UPDATE_ROLLBACK_COMPLETE, version 3 of 2 accounts, no table",
    play: async (stage, screen) => {
      stage.write(TRIALS("create_at"));
      screen.say("Its second statement names a column that is not there.");
      screen.show(`drizzle/${TRIALS("").tag}.sql`, TRIALS("create_at").sql);
      const operation = await stage.deploy();
      tellOperation(screen, operation);
      const { version, accounts } = await tellService(stage, screen);
      const [{ trials } = {}] = await stage.sql("select to_regclass('trials') as trials");
      const left = trials === null ? "no table" : "a table";
      screen.tell("database", `${left} is left of it: the first statement is rolled back, too`);
      return {
        seen: `${operation.status}, version ${version} of ${accounts} accounts, ${left}`,
        answer: { operation },
      };
    },
  },
  {
    title: "The same broken migration by drizzle-kit migrate, and by us",
    expected: "exit codes 1 and 1, 13 in the ledger",
    play: async (stage, screen) => {
      screen.say("The same folder, drizzle.config.ts and database.");
      const theirs = await stage.drizzleKit("migrate");
      screen.show("$ npx drizzle-kit migrate", `${theirs.output.trimEnd()}\n${exit(theirs)}`);
      if (!theirs.output.includes("create_at")) screen.say("It does not say why, nor where.");
      const ours = await stage.neonMigrate("up");
      screen.show("$ npx neon-migrate up", `${ours.output.trimEnd()}\n${exit(ours)}`);
      const { applied } = await countsOf(stage);
      return {
        seen: `exit codes ${theirs.exitCode} and ${ours.exitCode}, ${applied} in the ledger`,
        answer: { theirs, ours },
      };
    },
  },
  {
    title: "Corrected",
    expected: "UPDATE_COMPLETE, version 5, 2 trials",
    play: async (stage, screen) => {
      stage.write(TRIALS("created_at"));
      screen.say("One letter is added, and the stack is updated again.");
      const operation = await stage.deploy();
      tellOperation(screen, operation);
      const { version } = await tellService(stage, screen);
      const [{ trials } = {}] = await stage.sql("select count(*)::int as trials from trials");
      return {
        seen: `${operation.status}, version ${version}, ${trials} trials`,
        answer: { operation },
      };
    },
  },
  {
    title: "Rehearsed on a branch of production first",
    expected:
      "1, then 0, no branch left, UPDATE_COMPLETE, names Acme (acme), Acme (acme-2), Umbrella",
    play: async (stage, screen) => {
      await stage.sql("insert into accounts (name, slug) values ('Acme', 'acme-2')");
      stage.write(UNIQUE(""));
      screen.say(
        "Names shall be unique. An empty database of CI takes that; production has two of the same name. A rehearsal makes a Neon branch with production's data, applies there what is pending, and deletes it.",
      );
      const stopped = await stage.neonMigrate("rehearse");
      screen.show("$ npx neon-migrate rehearse", `${stopped.output.trimEnd()}\n${exit(stopped)}`);
      stage.write(UNIQUE(RENAMED));
      screen.say(
        "With an UPDATE ahead of it the rehearsal passes, and says who would wait, and how long:",
      );
      const passed = await stage.neonMigrate("rehearse");
      screen.show("$ npx neon-migrate rehearse", `${passed.output.trimEnd()}\n${exit(passed)}`);
      const branches = stage.branches();
      const operation = await stage.deploy();
      tellOperation(screen, operation);
      const rows = await stage.sql("select name from accounts order by name");
      const left = branches.length === 1 ? "no branch left" : branches.join(", ");
      return {
        seen: `${stopped.exitCode}, then ${passed.exitCode}, ${left}, ${operation.status}, names ${rows.map(({ name }) => name).join(", ")}`,
        answer: { stopped, passed, operation },
      };
    },
  },
  {
    title: "Who did that, and the state before it",
    expected: "0 and 0, names Acme, Acme, Umbrella on the branch",
    play: async (stage, screen) => {
      screen.say("Somebody misses the old names. The history says who changed them, and when:");
      const history = await stage.neonMigrate("history", "--limit", "2");
      screen.show("$ npx neon-migrate history --limit 2", history.output);
      screen.say("A branch with the state before that run. Production is not touched:");
      const words = ["restore", "--before", UNIQUE("").tag];
      const restored = await stage.neonMigrate(...words);
      screen.show(`$ npx neon-migrate ${words.join(" ")}`, restored.output);
      const branch = stage.branches().find((name) => name.startsWith("before-"));
      const rows = await stage.sql("select name from accounts order by name", branch);
      const names = rows.map(({ name }) => name).join(", ");
      screen.tell("on the branch", `the accounts are ${names}: rows to copy back`);
      return {
        seen: `${history.exitCode} and ${restored.exitCode}, names ${names} on the branch`,
        answer: { history, restored },
      };
    },
  },
];

const exit = ({ exitCode }: { readonly exitCode: number }) => pc.dim(`(exit code ${exitCode})`);

/** Returns the attributes of the resource that the first answer of an operation brought. */
function dataOf({ exchanges }: Operation): Readonly<Record<string, string>> {
  return exchanges[0]?.data ?? {};
}

function tellOperation(screen: Screen, operation: Operation): void {
  const { status, exchanges } = operation;
  const paint = status.includes("ROLLBACK") ? pc.yellow : pc.green;
  const { status: ending, appliedCount, latest } = dataOf(operation);
  const what =
    ending === "applied"
      ? `: ${appliedCount} applied, up to ${latest}`
      : ": another run was first, and nothing was left to do";
  const [failed] = exchanges.filter(({ reason }) => reason !== null);
  screen.tell("CloudFormation", `${paint(status)}${failed === undefined ? what : ""}`);
  if (failed?.reason) screen.tell("its reason", failed.reason);
}

function tellReport(screen: Screen, who: string, report: Report): void {
  const { status, applied, roundTrips, timings } = report;
  const waited = timings.lockMs > 50;
  const nothing = waited
    ? `nothing to do, after it had waited ${timings.lockMs} ms for the other run`
    : `nothing to do, seen in ${roundTrips} round trips to the database`;
  const end = status === "applied" ? applied.map(({ tag }) => tag).join(", ") : nothing;
  screen.tell(who, `${pc.green(status)}: ${end}`);
}

async function tellService(stage: Stage, screen: Screen): ReturnType<Stage["visit"]> {
  const answer = await stage.visit();
  screen.tell(
    "service",
    `version ${answer.version} is live, and counts ${answer.accounts} accounts`,
  );
  return answer;
}

/** Counts the days of the calendar and the rows of Drizzle's ledger. */
async function countsOf(stage: Stage): Promise<Readonly<Record<string, unknown>>> {
  const [counts = {}] = await stage.sql(
    "select (select count(*)::int from calendar) as days, (select count(*)::int from drizzle.__drizzle_migrations) as applied",
  );
  return counts;
}
