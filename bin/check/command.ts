import { randomUUID } from "node:crypto";
import { normalize } from "node:path";
import pc from "picocolors";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { tagsSince } from "../../lib/compile/since.ts";
import { createLog, silentLog } from "../../lib/log.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import type { Target } from "../../lib/target/target.ts";
import { printableJson } from "../../lib/text.ts";
import { compileProject } from "../compile-project.ts";
import type { DatabaseOptions } from "../database.ts";
import { Ending, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { printAnswer, widthOf } from "../print.ts";
import { type Project, readProject } from "../project.ts";
import { renderReport } from "../render/report.ts";
import { annotations } from "./annotations.ts";
import { renderFindings } from "./render.ts";
import { type CheckResult, type CheckScope, checkBundle, type FailOn, toResult } from "./result.ts";

/** The options of `check`. */
export interface CheckOptions extends DatabaseOptions {
  /** A migration's tag or a git ref: only migrations that are new since then. */
  readonly since?: string;
  readonly failOn: FailOn;
  readonly sarif: boolean;
}

/**
 * Checks a folder by the rules and prints the findings.
 * @returns the exit code: 1 for a finding that is at least as severe as `--fail-on` says
 */
export async function checkCommand(options: CheckOptions): Promise<number> {
  const outcome = await untilEnded(checkFolder(options), []);
  if (!(outcome instanceof Ending)) return outcome;
  const report = failedReport(randomUUID(), outcome.thrown);
  fail(report, { folder: null, bundle: null }, options);
  return outcome.exit(report);
}

async function checkFolder(options: CheckOptions): Promise<number> {
  let folder: string | null = null;
  let bundle: Bundle | null = null;
  try {
    const project = await readProject(options, namesDatabase(options));
    folder = normalize(project.folder);
    bundle = await compileProject({ ...project, folder });
    const result = await check(options, { ...project, folder }, bundle);
    if ("status" in result) return fail(result, { folder, bundle }, options);
    await print(result, bundle, options);
    return result.failed ? EXIT_CODE.failed : EXIT_CODE.done;
  } catch (thrown) {
    return fail(failedReport(randomUUID(), thrown), { folder, bundle }, options);
  }
}

async function check(
  options: CheckOptions,
  project: Project,
  bundle: Bundle,
): Promise<CheckResult | Report> {
  const { folder } = project;
  const since = options.since === undefined ? null : await tagsSince(bundle, folder, options.since);
  const scope: CheckScope = { bundle, folder, since, failOn: options.failOn };
  if (!namesDatabase(options)) return checkBundle(scope);
  const report = await planWith(options, project, bundle);
  if (report.status === "failed") return report;
  const isChecked = (tag: string): boolean => since?.includes(tag) ?? true;
  const tags = report.pending.map(({ tag }) => tag).filter(isChecked);
  const findings = report.findings.filter(({ migration }) => isChecked(migration));
  return toResult(scope, tags, findings, report.database);
}

/** Whether the command line names a database. Neither environment nor config file counts: `check` must not reach it by accident. */
function namesDatabase({ url, secret, parameter }: CheckOptions): boolean {
  return [url, secret, parameter].some((each) => each !== undefined);
}

async function planWith(
  { json, sarif, relay }: CheckOptions,
  project: Project,
  bundle: Bundle,
): Promise<Report> {
  // Loaded on demand: most checks ask no database.
  const { tellRelay, withDatabase } = await import("../database.ts");
  const { migrate } = await import("../../lib/migrate/migrate.ts");
  const requestId = randomUUID();
  const log = json || sarif ? createLog(requestId) : silentLog;
  const plan = (target: () => Promise<Target>) =>
    // With its default, `plan` refuses a wrong order, which does not matter to the findings.
    migrate(parseRequest({ action: "plan", outOfOrder: "apply" }), {
      ...{ bundle, requestId, target, deadline: null, log },
    });
  try {
    return await withDatabase(
      project,
      relay,
      plan,
      json || sarif ? (place) => tellRelay(place, null, requestId) : undefined,
    );
  } catch (thrown) {
    return failedReport(requestId, thrown);
  }
}

async function print(
  result: CheckResult,
  bundle: Bundle,
  { json, sarif }: CheckOptions,
): Promise<void> {
  const forMachines = json || sarif;
  if (json) console.log(printableJson(result, 2));
  else if (sarif) {
    // Loaded on demand: it has all the rules in it.
    const { toSarif } = await import("./sarif.ts");
    console.log(printableJson(toSarif(result, bundle), 2));
  } else console.log(renderFindings(result, bundle, pc, widthOf(process.stdout)));
  if (process.env.GITHUB_ACTIONS !== "true") return;
  // Standard output holds the JSON or SARIF; GitHub reads standard error, too.
  const say = forMachines ? console.error : console.log;
  for (const line of annotations(result, process.env.GITHUB_WORKSPACE ?? process.cwd())) say(line);
}

function fail(
  report: Report,
  made: { readonly folder: string | null; readonly bundle: Bundle | null },
  { json, sarif }: CheckOptions,
): number {
  printAnswer(json || sarif, {
    ...{ value: report, failed: true },
    text: (colors, width) => renderReport(report, { action: "plan", ...made, colors, width }),
  });
  return EXIT_CODE.failed;
}
