import { randomUUID } from "node:crypto";
import { type Amendment, amendLedger } from "../../lib/amend/amend.ts";
import type { AmendmentRequest } from "../../lib/amend/changes.ts";
import { createLog } from "../../lib/log.ts";
import { redact } from "../../lib/report/redact.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import type { Target } from "../../lib/target/target.ts";
import { compileProject } from "../compile-project.ts";
import { type DatabaseOptions, tellRelay, withDatabase } from "../database.ts";
import { Ending, reasonOf, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { printAnswer } from "../print.ts";
import { type Project, readProject } from "../project.ts";
import { type Shown, startProgress } from "../render/progress.ts";
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
  const call: Call = { requestId, secrets, shown: null };
  const outcome = await untilEnded(amend(options, call));
  call.shown?.end();
  if (outcome instanceof Ending) {
    const report = redact(failedReport(requestId, reasonOf(outcome)), secrets);
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

/** One call of the command. */
interface Call {
  readonly requestId: string;
  /** Gets the texts that must not be printed, as soon as they are known. */
  readonly secrets: string[];
  /** Null before the project was read, and with `--json`. */
  shown: Shown | null;
}

async function amend(options: AmendCommandOptions, call: Call): Promise<Outcome> {
  const { requestId, secrets } = call;
  let project: Project | null = null;
  try {
    project = await readProject(options, true);
    call.shown = options.json ? null : await startProgress("Connecting");
    const value = await amendWith(options, project, call);
    return { value: redact(value, secrets), folder: project.folder };
  } catch (thrown) {
    const value = redact(failedReport(requestId, thrown), secrets);
    return { value, folder: project?.folder ?? null };
  }
}

async function amendWith(
  { request, yes, relay, ...options }: AmendCommandOptions,
  project: Project,
  { requestId, secrets, shown }: Call,
): Promise<Amendment> {
  const { lockTimeoutMs } = parseRequest({ lockTimeoutMs: options.lockTimeoutMs });
  const bundle = await compileProject(project);
  const amendIt = async (findTarget: () => Promise<Target>) => {
    const target = await findTarget();
    secrets.push(target.url);
    return amendLedger(request, {
      ...{ bundle, target, requestId, lockTimeoutMs, write: yes },
      log: shown?.log ?? createLog(requestId),
      ...(shown === null ? {} : { onWait: (found) => shown.waits(redact(found, secrets)) }),
    });
  };
  return withDatabase(project, relay, amendIt, (place) => tellRelay(place, shown, requestId));
}

function print(
  value: Amendment | Report,
  folder: string | null,
  { json }: AmendCommandOptions,
): void {
  printAnswer(json, {
    ...{ value, failed: !("changes" in value) },
    text: (colors, width) =>
      "changes" in value
        ? renderAmendment(value, colors, width)
        : renderAmendmentFailure(value, { folder, colors, width }),
  });
}
