import { randomUUID } from "node:crypto";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { MigratorError } from "../../lib/errors.ts";
import { createLog } from "../../lib/log.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { parseRequest, REQUEST_KEYS } from "../../lib/request.ts";
import { printable } from "../../lib/text.ts";
import { Ending, untilEnded } from "../endings.ts";
import { exitCodeFor } from "../exit-code.ts";
import { keepPages, type PageOptions, provePages } from "../page.ts";
import { isOneLog, printAnswer } from "../print.ts";
import { asReported } from "../render/as-reported.ts";
import type { Told } from "../render/live.ts";
import { NOTHING_SHOWN, type Shown, startProgress } from "../render/progress.ts";
import { renderReport } from "../render/report.ts";
import { callFunction } from "./call-function.ts";
import { lookWith } from "./errors.ts";
import { eventIn, showLogLine, tailLines } from "./function-log.ts";
import { reportIn } from "./report-in-answer.ts";

/** The options of `invoke`. `parseRequest` reads the fields of the request. */
export interface InvokeOptions extends PageOptions {
  /** Name or ARN. An alias or a version may follow behind a colon. */
  readonly functionName: string;
  readonly action: "up" | "plan" | "status";
  readonly json: boolean;
  /** Whether to follow the function's log. Default: on a terminal, and without the lines of its end that are not ours. */
  readonly tail?: boolean;
  readonly exitCode: boolean;
  /** The folder of the migrations; undefined where nobody needs their SQL. */
  readonly folder?: string;
  /** Whether the statements of a plan are shown as a whole. */
  readonly sql?: boolean;
  readonly verbose?: boolean;
  /** Whether only warnings and errors are printed. */
  readonly quiet?: boolean;
}

type LogDisplay = Pick<Shown, "log" | "say" | "end">;

/** Some build servers end a job that writes nothing for ten minutes. */
const SIGN_OF_LIFE_MS = 60_000;
/** A function in a VPC that was idle for weeks fails at its first call and wakes: 40 to 106 s were reported. */
const LEAST_PATIENCE_MS = 120_000;

/**
 * Calls a deployed function, waits for it however long it takes, and prints its report.
 * @returns the exit code
 */
export async function invokeCommand(options: InvokeOptions): Promise<number> {
  const requestId = randomUUID();
  const shown = await displayOf(options, requestId);
  const files: Files = { bundle: null };
  const running = run(options, shown, files).catch((thrown) => failedReport(requestId, thrown));
  const outcome = await untilEnded(running);
  const told = shown.end();
  if (!(outcome instanceof Ending)) return await finish(outcome, options, told, files);
  const report = failedReport(requestId, interruption(outcome, options.functionName));
  await finish(report, options, told, files);
  // The call is still open, and would keep the process waiting for the function.
  return outcome.exit(report);
}

function displayOf({ json, quiet }: InvokeOptions, requestId: string): LogDisplay | Promise<Shown> {
  if (quiet === true) return NOTHING_SHOWN;
  return json ? jsonLines(requestId) : startProgress("The function runs");
}

/** Shows lines of JSON, and a sign of life. */
function jsonLines(requestId: string): LogDisplay {
  const log = createLog(requestId);
  const started = Date.now();
  const alive = setInterval(
    () => log("invoke.waiting", { seconds: Math.round((Date.now() - started) / 1_000) }),
    SIGN_OF_LIFE_MS,
  ).unref();
  const end = () => {
    clearInterval(alive);
    return "nothing" as const;
  };
  return { log, say: (line) => console.error(printable(line)), end };
}

/** The migrations of a folder; null before it is compiled, and without one. */
interface Files {
  bundle: Bundle | null;
}

async function run(options: InvokeOptions, shown: LogDisplay, files: Files): Promise<Report> {
  const { functionName, tail, json } = options;
  await provePages(options);
  const request = parseRequest(options);
  // Before the call: a folder that cannot be read must not hide what the function has done.
  if (options.folder !== undefined) files.bundle = await compileFolder(options.folder);
  const named = REQUEST_KEYS.filter((key) => Reflect.get(options, key) !== undefined);
  const follows = tail ?? (!json && process.stderr.isTTY === true);
  const show = (line: string) => {
    if (json) shown.say(line);
    else showLogLine(line, shown);
  };
  let live = false;
  const onLine = (line: string) => {
    // A line that is no event is the report, which is printed later.
    if (eventIn(line) === null) return;
    live = true;
    show(line);
  };
  const answer = await callFunction({
    functionName,
    payload: JSON.stringify(request, [...named]),
    patienceMs: Math.max(request.lockTimeoutMs, LEAST_PATIENCE_MS),
    log: shown.log,
    ...(follows ? { onLine } : {}),
  });
  // A stream has shown these lines already, while the function ran.
  if (!live && tail === true) tailLines(answer.logTail).forEach(show);
  return reportIn(answer, functionName);
}

async function finish(
  report: Report,
  options: InvokeOptions,
  told: Told,
  files: Files,
): Promise<number> {
  const { action, json, exitCode, verbose = false, quiet = false } = options;
  const failed = report.status === "failed";
  const isRead = failed || isOneLog();
  const isHeaded = isRead && told !== "nothing";
  const isListed = isRead && told === "list";
  const bundle = files.bundle === null ? null : asReported(files.bundle, report);
  printAnswer(json, {
    ...{ value: report, failed },
    text: (colors, width) =>
      renderReport(report, {
        ...{ action, folder: null, bundle, colors, width, verbose, quiet, isHeaded, isListed },
        sql: options.sql === true,
      }),
  });
  const page = await keepPages(options, report, bundle);
  return page ?? exitCodeFor(report, exitCode);
}

/** Loaded on demand: the parser is not needed to call a function. */
async function compileFolder(folder: string): Promise<Bundle> {
  const { compileBundle } = await import("../../lib/compile/compile.ts");
  return await compileBundle(folder);
}

function interruption({ what }: Ending, functionName: string): MigratorError {
  return new MigratorError(
    "RUN_UNKNOWN",
    `${what} ended the waiting, not the run: a function that was started goes on. ${lookWith(functionName)}`,
    { retryable: true },
  );
}
