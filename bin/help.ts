import { join } from "node:path";
import type { Command, Option } from "commander";
import { packageRoot } from "../lib/package-root.ts";

/** What the help of a command says beside its options. */
export interface HelpText {
  /** Command lines without the program's name, each with what it is for. */
  readonly examples: readonly (readonly [string, string])[];
  /** The variables that it reads, and what each holds. */
  readonly environment: Readonly<Record<string, string>>;
  /** The page below `docs`. */
  readonly page: string;
}

type Variables = Readonly<Record<string, string>>;

const LEDGER: Variables = {
  LEDGER_SCHEMA: "the ledger's schema",
  LEDGER_TABLE: "the ledger's table",
  LEDGER_HISTORY: "on or off: whether a history is kept beside it",
};
const REACHED: Variables = {
  NEON_WS_PROXY: "host and port of a WebSocket proxy, for a database that is not Neon's",
  CONNECT_TIMEOUT_MS: "how long to wait for the database",
};
const PROJECT: Variables = {
  DATABASE_URL: "the connection string; or one of the two that hold it:",
  DATABASE_URL_SECRET: "a secret of Secrets Manager",
  DATABASE_URL_SECRET_FIELD: "its field, where it is JSON",
  DATABASE_URL_PARAMETER: "a parameter of SSM",
  ...LEDGER,
  ...REACHED,
};
const NEON: Variables = {
  NEON_API_KEY:
    "a key of Neon's API, best one of the project alone; or one of the two that hold it:",
  NEON_API_KEY_SECRET: "a secret of Secrets Manager",
  NEON_API_KEY_PARAMETER: "a parameter of SSM",
  NEON_PROJECT_ID:
    "the project of the database; default: found by the API, where the key may list it",
};
const AWS: Variables = { AWS_REGION: "the function's region", AWS_PROFILE: "whose credentials" };

const HELP: Readonly<Record<string, HelpText>> = {
  up: {
    examples: [
      ["up", "apply what is pending, by drizzle.config.ts and .env"],
      [
        "up --url postgres://USER:PASSWORD@localhost/shop --relay",
        "on a PostgreSQL that is not Neon's",
      ],
    ],
    environment: PROJECT,
    page: "reference/cli.md",
  },
  plan: {
    examples: [
      ["plan --sql", "every statement, what it locks, and where a commit falls"],
      ["plan --exit-code", "for a script: 3 where something is pending"],
    ],
    environment: PROJECT,
    page: "reference/locks.md",
  },
  status: {
    examples: [["status", "what is applied and pending, and which run is under way"]],
    environment: PROJECT,
    page: "reference/cli.md",
  },
  rehearse: {
    examples: [
      ["rehearse", "on a branch of the database that .env names, which is deleted afterwards"],
      ["rehearse --limit-blocked-ms 2000", "end with 1 where a table stands still for longer"],
    ],
    environment: { ...PROJECT, ...NEON },
    page: "how-to/rehearse-before-deploying.md",
  },
  history: {
    examples: [
      ["history", "the last runs: who, when, how long, and what failed"],
      ["history --json --limit 500", "all that is known of them, for a program"],
    ],
    environment: PROJECT,
    page: "reference/history.md",
  },
  restore: {
    examples: [
      ["restore --before 0003_add_invoices", "a new branch with the state before that migration"],
      ["restore --before 2026-11-29T09:09:00Z --in-place", "say what going back would mean"],
      ["restore --before 2026-11-29T09:09:00Z --in-place --yes", "go back"],
    ],
    environment: { ...PROJECT, ...NEON },
    page: "how-to/undo-a-migration.md",
  },
  invoke: {
    examples: [
      ["invoke shop-migrations", "apply, in the function's network and with its rights"],
      ["invoke shop-migrations:live --action plan", "what an alias would do"],
    ],
    environment: AWS,
    page: "reference/events.md",
  },
  fleet: {
    examples: [
      [
        "fleet start --machine ARN --targets tenants.jsonl --waves acme,1%/300,100%",
        "one tenant first, 1 % then, a pause of 5 minutes, and the rest",
      ],
      ["fleet status --machine ARN", "how far it is, and who is behind; no database is asked"],
      ["fleet resume --machine ARN", "the same input again: who is through is left out"],
    ],
    environment: AWS,
    page: "how-to/migrate-a-fleet.md",
  },
  report: {
    examples: [
      ["report report.json", "what a run that was kept has said"],
      ["report report.json --html run.html", "the same as a page"],
      ['report report.json --markdown "$GITHUB_STEP_SUMMARY"', "the same in GitHub's summary"],
    ],
    environment: {},
    page: "how-to/read-a-report-as-a-page.md",
  },
  init: {
    examples: [
      ["init", "what there is in this project, and in its database"],
      ["init --for terraform", "the file that deploys its migrations, as a diff"],
      ["init --for terraform --yes", "write it"],
    ],
    environment: PROJECT,
    page: "reference/configuration.md",
  },
  check: {
    examples: [
      ["check --since origin/main", "in a pull request: only what is new"],
      [
        "check --url postgres://USER:PASSWORD@HOST/DATABASE",
        "graded by the size and the use of the tables",
      ],
    ],
    environment: { ...LEDGER, ...REACHED },
    page: "reference/rules.md",
  },
  baseline: {
    examples: [
      ["baseline --to 0007_last_one_that_is_there", "show what would count as applied"],
      ["baseline --to 0007_last_one_that_is_there --yes", "write it"],
    ],
    environment: PROJECT,
    page: "reference/baseline-and-repair.md",
  },
  repair: {
    examples: [
      ["repair --accept 0003_reformatted", "show what would be written for a changed file"],
      ["repair --resolve 0004_index --as done --yes", "say how a statement in doubt has ended"],
    ],
    environment: PROJECT,
    page: "reference/baseline-and-repair.md",
  },
  bundle: {
    examples: [["bundle", "write the function's code to the folder asset"]],
    environment: LEDGER,
    page: "reference/construct.md",
  },
  local: {
    examples: [["local", "until Ctrl-C; nothing stays"]],
    environment: LEDGER,
    page: "how-to/try-it-on-your-machine.md",
  },
  smoke: {
    examples: [
      ["smoke --secret shop/database-url", "what it would make, and whether all is there for it"],
      ["smoke --secret shop/database-url --yes", "do it"],
    ],
    environment: {
      DATABASE_URL_SECRET: "a secret of Secrets Manager",
      DATABASE_URL_SECRET_FIELD: "its field, where it is JSON",
      DATABASE_URL_PARAMETER: "a parameter of SSM",
      AWS_REGION: "the region",
      AWS_PROFILE: "whose credentials",
    },
    page: "how-to/smoke-test.md",
  },
  completion: {
    examples: [
      ["completion bash", "for bash: add to ~/.bashrc  source <(neon-migrate completion bash)"],
      ["completion zsh", "for zsh: add to ~/.zshrc  source <(neon-migrate completion zsh)"],
      ["completion fish", "for fish: write it to ~/.config/fish/completions/neon-migrate.fish"],
    ],
    environment: {},
    page: "reference/configuration.md",
  },
};

/** Returns what the help of a command says beside its options; null where it says nothing. */
export function helpOf(command: string): HelpText | null {
  return HELP[command] ?? null;
}

/** Adds to each command its examples, variables and page, and to its errors how to ask for them. */
export function addHelp(program: Command): void {
  const docs = join(packageRoot(), "docs");
  program.addHelpText(
    "after",
    `\nExamples:\n${linesOf(HELP.up?.examples ?? [])}\n\nDocumentation: ${docs}`,
  );
  for (const command of program.commands) {
    const name = command.name();
    command.configureHelp({ optionDescription });
    command.showHelpAfterError(`Run neon-migrate ${name} --help for its options and an example.`);
    const help = HELP[name];
    if (help !== undefined) command.addHelpText("after", textOf(help, docs));
  }
}

function textOf({ examples, environment, page }: HelpText, docs: string): string {
  const variables = Object.entries(environment).map(
    ([name, what]) => `  ${name.padEnd(27)}${what}`,
  );
  const heading = environment === AWS ? "Environment:" : "Environment, also from .env:";
  return [
    ...["", "Examples:", linesOf(examples), ""],
    ...(variables.length === 0 ? [] : [heading, ...variables, ""]),
    `Documentation: ${join(docs, page)}`,
  ].join("\n");
}

/** Describes an option: its flags show the choices, and a switch is off where it is not there. */
function optionDescription({ description, defaultValue }: Option): string {
  const isTold = typeof defaultValue === "string" && !description.includes("default: ");
  return isTold ? `${description} (default: ${defaultValue})` : description;
}

function linesOf(examples: HelpText["examples"]): string {
  return examples.map(([words, what]) => `  # ${what}\n  neon-migrate ${words}`).join("\n");
}
