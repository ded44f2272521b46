import { randomUUID } from "node:crypto";
import { type Bundle, statementText } from "../../lib/bundle/bundle.ts";
import { createLog } from "../../lib/log.ts";
import type { Dependencies, migrate } from "../../lib/migrate/migrate.ts";
import { redact } from "../../lib/report/redact.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { parseRequest, type Request } from "../../lib/request.ts";
import { caller } from "../caller.ts";
import { compileProject } from "../compile-project.ts";
import type { DatabaseOptions } from "../database.ts";
import { Ending, endWork, untilEnded, type WaysToEnd } from "../endings.ts";
import { exitCodeFor } from "../exit-code.ts";
import { keepPages, type PageOptions, provePages } from "../page.ts";
import { isOneLog, printAnswer } from "../print.ts";
import { type Project, readProject } from "../project.ts";
import type { Told } from "../render/live.ts";
import { NOTHING_SHOWN, type Shown, startProgress } from "../render/progress.ts";
import { renderReport } from "../render/report.ts";

/** The options of `up`, `plan`, `status` and `rehearse`. `parseRequest` reads the fields of the request. */
export interface RunOptions extends DatabaseOptions, PageOptions {
  readonly action: "up" | "plan" | "status" | "rehearse";
  /** `rehearse`: whether the branch stays. */
  readonly keep?: boolean;
  /** `rehearse`: its limits, in ms. */
  readonly limitBlockedMs?: string;
  readonly limitTotalMs?: string;
  readonly exitCode?: boolean;
  /** `plan`: whether the statements are shown as a whole. */
  readonly sql?: boolean;
  readonly verbose?: boolean;
  /** Whether only warnings and errors are printed. */
  readonly quiet?: boolean;
}

interface Outcome {
  readonly report: Report;
  /** Null when the project could not be read. */
  readonly folder: string | null;
  /** Null when the folder could not be compiled. */
  readonly bundle: Bundle | null;
}

/**
 * Runs `up`, `plan`, `status` or `rehearse` and prints the report.
 * @returns the exit code
 */
export async function runCommand(given: RunOptions): Promise<number> {
  const options = withSummary(given);
  const requestId = randomUUID();
  const display: Display = { shown: null };
  let ways: WaysToEnd = {
    giveUp: (reason) => failedReport(requestId, reason),
    stop: () => false,
  };
  const onStart: NonNullable<Dependencies["onStart"]> = (giveUp, stop) => {
    const tellingStop: WaysToEnd["stop"] = (reason) => {
      const isStopping = stop(reason);
      if (isStopping) display.shown?.log("run.stopping");
      return isStopping;
    };
    ways = { giveUp, stop: tellingStop };
  };
  const running = run(options, requestId, onStart, display);
  const ended = await untilEnded(running);
  const outcome = ended instanceof Ending ? await endWork(ended, running, ways) : ended;
  const told = display.shown?.end() ?? "nothing";
  const { report, ...made } =
    "report" in outcome ? outcome : { report: outcome, folder: null, bundle: null };
  print(report, made, options, told);
  const page = await keepPages(options, report, made.bundle);
  // Connection and relay may still be open. They end with the process, and the server rolls back.
  if (ended instanceof Ending) ended.exit(report);
  return page ?? exitCodeFor(report, options.exitCode === true);
}

async function run(
  options: RunOptions,
  requestId: string,
  onStart: NonNullable<Dependencies["onStart"]>,
  display: Display,
): Promise<Outcome> {
  let project: Project | null = null;
  let bundle: Bundle | null = null;
  const secrets: string[] = [];
  try {
    await provePages(options);
    // Another process evaluates the drizzle.config file. Driver and migrator load meanwhile.
    const [read, { tellRelay, withDatabase }, carryOut] = await Promise.all([
      readProject(options, true),
      import("../database.ts"),
      workOf(options),
    ]);
    project = read;
    // Not before: what reading the project has to say would be drawn over.
    const shown = await displayOf(options);
    display.shown = shown;
    const compiled = await compileProject(read);
    bundle = compiled;
    const report = await withDatabase(
      read,
      options.relay,
      (findTarget) =>
        carryOut(requestOf(options), {
          ...{ bundle: compiled, requestId, deadline: null, onStart, caller },
          target: async () => {
            const target = await findTarget();
            secrets.push(target.url);
            return target;
          },
          ...(shown === null ? { log: createLog(requestId) } : telling(shown, compiled, secrets)),
        }),
      (place) => tellRelay(place, shown, requestId),
    );
    return { report, folder: read.folder, bundle };
  } catch (thrown) {
    return { report: failedReport(requestId, thrown), folder: project?.folder ?? null, bundle };
  }
}

/** A rehearsal on GitHub writes the summary of its step by itself, unless another file is named. */
function withSummary(options: RunOptions): RunOptions {
  const file = process.env.GITHUB_STEP_SUMMARY ?? "";
  const isDue = options.action === "rehearse" && options.markdown === undefined && file !== "";
  return isDue ? { ...options, markdown: file } : options;
}

/** Returns what carries a request out. Neon's API is loaded for a rehearsal alone. */
async function workOf({ action, keep = false }: RunOptions): Promise<typeof migrate> {
  if (action !== "rehearse") return (await import("../../lib/migrate/migrate.ts")).migrate;
  const { carryOut } = await import("../../lib/rehearsal/carry-out.ts");
  return (request, dependencies) => carryOut(request, { ...dependencies, keep });
}

function requestOf({ limitBlockedMs, limitTotalMs, ...options }: RunOptions): Request {
  const limits = { blockedMs: limitBlockedMs, totalMs: limitTotalMs };
  return parseRequest({ ...options, rehearsalLimits: limits });
}

/** What a terminal shows of the run; null before there is anything, and where events are lines of JSON. */
interface Display {
  shown: Shown | null;
}

/** @returns null where events are lines of JSON */
async function displayOf({ json, quiet }: RunOptions): Promise<Shown | null> {
  if (quiet === true) return NOTHING_SHOWN;
  return json ? null : await startProgress("Connecting");
}

/** No terminal has more room for one line of a statement. */
const MAX_TEXT = 500;

/** What a run tells, for a display. Statements hold secrets at times. */
function telling(
  shown: Shown,
  { migrations }: Bundle,
  secrets: readonly string[],
): Pick<Dependencies, "log" | "onProgress" | "onWait"> {
  return {
    log: shown.log,
    onWait: (sessions) => shown.waits(redact(sessions, secrets)),
    onProgress: (_, { migration, index }) => {
      const found = migrations.find(({ tag }) => tag === migration);
      const statement = found?.statements[index];
      const isThrough = found === undefined || statement === undefined;
      shown.reached({
        migration,
        statement: isThrough ? null : index + 1,
        text: isThrough ? "" : redact(statementText(found, statement).slice(0, MAX_TEXT), secrets),
      });
    },
  };
}

function print(
  report: Report,
  made: Pick<Outcome, "folder" | "bundle">,
  { action, json, sql = false, verbose = false, quiet = false }: RunOptions,
  told: Told,
): void {
  const failed = report.status === "failed";
  // A result may go elsewhere, where nobody has read the heading and the lines below it.
  const isRead = failed || isOneLog();
  const isHeaded = isRead && told !== "nothing";
  const isListed = isRead && told === "list";
  printAnswer(json, {
    ...{ value: report, failed },
    text: (colors, width) =>
      renderReport(report, {
        ...{ action, ...made, colors, width, sql, verbose, quiet, isHeaded, isListed },
      }),
  });
}
