import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { MigratorError } from "../../lib/errors.ts";
import { asRecord, asText, parseJson } from "../../lib/json.ts";
import { silentLog } from "../../lib/log.ts";
import { migrate } from "../../lib/migrate/migrate.ts";
import { redact } from "../../lib/report/redact.ts";
import type { Report } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import type { LedgerPlace } from "../../lib/target/target.ts";
import { counted } from "../../lib/text.ts";
import { compileProject } from "../compile-project.ts";
import { type DatabaseOptions, tellRelay, withDatabase } from "../database.ts";
import { folderNotFound, type Project } from "../project.ts";
import { type FoundTool, findTools } from "./tools.ts";

/** What a project has already. */
export interface Findings {
  /** The name of the package, or of the folder. */
  readonly name: string;
  /** Null where no drizzle.config file was read. */
  readonly config: string | null;
  readonly folder: string;
  /** Null where the folder is not there, or cannot be compiled. */
  readonly migrations: number | null;
  /** What is wrong with the folder; null where nothing is. */
  readonly problem: string | null;
  readonly ledger: LedgerPlace & {
    /** Where its name is from. */
    readonly from: string;
  };
  readonly database: DatabaseFinding;
  readonly tools: readonly FoundTool[];
}

/** What the database answered. */
export interface DatabaseFinding {
  /** Where the connection string is from; null where nothing has one. */
  readonly from: string | null;
  readonly state:
    | "not-named"
    /** It cannot be reached, or refuses: the message says which. */
    | "unknown"
    | "ledger-elsewhere"
    | "not-baselined"
    | "pending"
    | "up-to-date";
  /** The same in words. */
  readonly message: string;
  /** The next command; null where nothing is to be done. */
  readonly next: string | null;
}

/**
 * Looks at a project and at its database, and changes neither. A folder that cannot be compiled is a finding, and so is a
 * database that does not answer.
 */
export async function findAll(project: Project, options: DatabaseOptions): Promise<Findings> {
  const cwd = process.cwd();
  const isMissing = options.folder === undefined && !existsSync(project.folder);
  const bundle = await (isMissing
    ? Promise.reject(folderNotFound(project))
    : compileProject(project)
  ).catch(problemOf);
  const [migrations, problem] =
    typeof bundle === "string" ? [null, bundle] : [bundle.migrations.length, null];
  return {
    name: packageName(cwd),
    config: project.config?.file ?? null,
    ...{ folder: project.folder, migrations, problem },
    ledger: { ...project.ledger, from: ledgerSource(project) },
    database: typeof bundle === "string" ? notAsked(project) : await ask(project, options, bundle),
    tools: findTools(cwd),
  };
}

/** Returns the words of a failure of the compiler. Any other is thrown on. */
function problemOf(thrown: unknown): string {
  if (thrown instanceof MigratorError) return `${thrown.code}: ${thrown.message}`;
  throw thrown;
}

function notAsked({ origin: from }: Project): DatabaseFinding {
  const message = "It was not asked: the folder comes first.";
  return { from, state: from === null ? "not-named" : "unknown", message, next: null };
}

async function ask(
  project: Project,
  options: DatabaseOptions,
  bundle: Bundle,
): Promise<DatabaseFinding> {
  const secrets: string[] = [];
  const requestId = randomUUID();
  const report = await withDatabase(
    project,
    options.relay,
    (findTarget) =>
      migrate(parseRequest({ action: "status" }), {
        ...{ bundle, requestId, deadline: null, log: silentLog },
        target: async () => {
          const target = await findTarget();
          secrets.push(target.url);
          return target;
        },
      }),
    options.json ? (place) => tellRelay(place, null, requestId) : undefined,
  );
  return databaseFinding(project.origin, redact(report, secrets));
}

function packageName(cwd: string): string {
  const file = join(cwd, "package.json");
  const manifest = existsSync(file) ? parseJson(readFileSync(file, "utf8")) : null;
  return asText(asRecord(manifest).name) || basename(cwd);
}

function ledgerSource({ config, environment, fromConfig }: Project): string {
  if (fromConfig.ledger) return config?.file ?? "";
  const isNamed = [environment.LEDGER_SCHEMA, environment.LEDGER_TABLE].some((name) => name);
  return isNamed ? "the flags or the environment" : "the default";
}

function databaseFinding(from: string | null, report: Report): DatabaseFinding {
  const { error, warnings, applied, pending } = report;
  const known = error ?? warnings.find(({ code }) => code === "NOT_BASELINED");
  if (known === undefined) {
    const total = applied.length + pending.length;
    const message = `${applied.length} of ${counted(total, "migration")} applied.`;
    return pending.length > 0
      ? { from, state: "pending", message, next: "neon-migrate plan" }
      : { from, state: "up-to-date", message, next: null };
  }
  const { code, message } = known;
  if (code === "NOT_BASELINED") {
    const [, next = "neon-migrate status"] = /"(neon-migrate baseline [^"]*)"/.exec(message) ?? [];
    return { from, state: "not-baselined", message, next };
  }
  if (code === "LEDGER_ELSEWHERE") {
    const [flags = ""] = /--ledger-schema .* --ledger-table [^.]*(?=\. )/.exec(message) ?? [];
    return { from, state: "ledger-elsewhere", message, next: `neon-migrate status ${flags}` };
  }
  if (from === null) return { from, state: "not-named", message, next: null };
  return { from, state: "unknown", message: `${code}: ${message}`, next: "neon-migrate status" };
}
