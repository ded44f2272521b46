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
import { type DatabaseOptions, openDatabase } from "../database.ts";
import { Ending, interruption, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { progressLog } from "../render/progress.ts";
import { renderAmendment, renderAmendmentFailure } from "./render.ts";

/** The options of `baseline` and `repair`. */
export interface AmendCommandOptions extends DatabaseOptions {
  readonly request: AmendmentRequest;
  readonly folder: string;
  readonly json: boolean;
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
    print(report, options);
    // Connection and relay may still be open. They end with the process, and the server rolls back.
    return outcome.exit(report);
  }
  print(outcome, options);
  return "changes" in outcome ? EXIT_CODE.done : EXIT_CODE.failed;
}

/** @param secrets gets the connection string as soon as it is known */
async function amend(
  options: AmendCommandOptions,
  requestId: string,
  secrets: string[],
): Promise<Amendment | Report> {
  const { request, folder, json, yes } = options;
  const database = openDatabase(options);
  try {
    const { lockTimeoutMs } = parseRequest({ lockTimeoutMs: options.lockTimeoutMs });
    const bundle = await compileBundle(folder);
    const target = await database.target();
    secrets.push(target.url);
    const amendment = await amendLedger(request, {
      ...{ bundle, target, requestId, lockTimeoutMs, write: yes },
      log: json ? createLog(requestId) : progressLog(),
    });
    return redact(amendment, secrets);
  } catch (thrown) {
    return redact(failedReport(requestId, thrown), secrets);
  } finally {
    await database.close();
  }
}

function print(value: Amendment | Report, { json, folder }: AmendCommandOptions): void {
  if (json) console.log(printableJson(value, 2));
  else if ("changes" in value) console.log(renderAmendment(value, pc));
  else console.log(renderAmendmentFailure(value, { folder, colors: pc }));
}
