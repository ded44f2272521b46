import { randomUUID } from "node:crypto";
import pc from "picocolors";
import { type Amendment, amendLedger } from "../../lib/amend/amend.ts";
import type { AmendmentRequest } from "../../lib/amend/changes.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { createLog } from "../../lib/log.ts";
import { redact } from "../../lib/report/redact.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import { printableJson } from "../../lib/text.ts";
import { type DatabaseOptions, withDatabase } from "../database.ts";
import { Ending, interruption, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { type Project, readProject } from "../project.ts";
import { progressLog } from "../render/progress.ts";
import { renderAmendment, renderAmendmentFailure } from "./render.ts";

/** The options of `baseline` and `repair`. */
export interface AmendCommandOptions extends DatabaseOptions {
  readonly request: AmendmentRequest;
  /** Whether to write the changes that are shown. */
  readonly yes: boolean;
  /** The wait for another run, as `parseRequest` takes it. */
  readonly lockTimeoutMs?: string;
}

/**
 * Shows the changes that put a ledger right, and writes them with `--yes`.
 * @returns the exit code
 */
export async function amendCommand(options: AmendCommandOptions): Promise<number> {
  const requestId = randomUUID();
  const secrets: string[] = [];
  const outcome = await untilEnded(amend(options, requestId, secrets));
  if (outcome instanceof Ending) {
    const report = redact(failedReport(requestId, interruption(outcome)), secrets);
    print(report, null, options);
    // Connection and relay may still be open. They end with the process, and the server rolls back.
    return outcome.exit(report);
  }
  print(outcome.value, outcome.folder, options);
  return "changes" in outcome.value ? EXIT_CODE.done : EXIT_CODE.failed;
}

interface Outcome {
  readonly value: Amendment | Report;
  /** Null when the project could not be read. */
  readonly folder: string | null;
}

/** @param secrets gets the texts that must not be printed, as soon as they are known */
async function amend(
  options: AmendCommandOptions,
  requestId: string,
  secrets: string[],
): Promise<Outcome> {
  let project: Project | null = null;
  try {
    project = await readProject(options, true);
    const value = await amendWith(options, project, requestId, secrets);
    return { value: redact(value, secrets), folder: project.folder };
  } catch (thrown) {
    const value = redact(failedReport(requestId, thrown), secrets);
    return { value, folder: project?.folder ?? null };
  }
}

async function amendWith(
  { request, json, yes, relay, ...options }: AmendCommandOptions,
  project: Project,
  requestId: string,
  secrets: string[],
): Promise<Amendment> {
  const { lockTimeoutMs } = parseRequest({ lockTimeoutMs: options.lockTimeoutMs });
  const bundle = await compileBundle(project.folder);
  return withDatabase(project, relay, async (findTarget) => {
    const target = await findTarget();
    secrets.push(target.url);
    return amendLedger(request, {
      ...{ bundle, target, requestId, lockTimeoutMs, write: yes },
      log: json ? createLog(requestId) : progressLog(),
    });
  });
}

function print(
  value: Amendment | Report,
  folder: string | null,
  { json }: AmendCommandOptions,
): void {
  if (json) console.log(printableJson(value, 2));
  else if ("changes" in value) console.log(renderAmendment(value, pc));
  else console.log(renderAmendmentFailure(value, { folder, colors: pc }));
}
