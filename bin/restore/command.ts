import { randomUUID } from "node:crypto";
import { MigratorError } from "../../lib/errors.ts";
import { createLog } from "../../lib/log.ts";
import { migrate } from "../../lib/migrate/migrate.ts";
import { redact } from "../../lib/report/redact.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import { restore } from "../../lib/restore/restore.ts";
import { readNeonKey, readNeonSettings } from "../../lib/target/neon-access.ts";
import type { Target } from "../../lib/target/target.ts";
import { compileProject } from "../compile-project.ts";
import { type DatabaseOptions, tellRelay, withDatabase } from "../database.ts";
import { Ending, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { printAnswer } from "../print.ts";
import { type Project, readProject } from "../project.ts";
import { type Shown, startProgress } from "../render/progress.ts";
import { type RestoreAnswer, renderRestore, renderRestoreFailure } from "./render.ts";

/** The options of `restore`. */
export interface RestoreCommandOptions extends DatabaseOptions {
  readonly before: string;
  readonly inPlace: boolean;
  readonly yes: boolean;
  readonly expiresInHours?: number;
}

/** The time for all of it, in ms: as long as a run may take. */
const WORK_MS = 900_000;

/**
 * Makes a branch with an earlier state, or puts production back to one, and then asks for the status.
 * @returns the exit code
 */
export async function restoreCommand(options: RestoreCommandOptions): Promise<number> {
  const call: Call = { requestId: randomUUID(), secrets: [], shown: null };
  const outcome = await untilEnded(answer(options, call));
  call.shown?.end();
  if (outcome instanceof Ending) {
    const report = redact(failedReport(call.requestId, reasonOf(outcome)), call.secrets);
    print(report, options);
    return outcome.exit(report);
  }
  print(outcome, options);
  return "kind" in outcome ? EXIT_CODE.done : EXIT_CODE.failed;
}

/** One call of the command. */
interface Call {
  readonly requestId: string;
  /** Gets the texts that must not be printed, as soon as they are known. */
  readonly secrets: string[];
  /** Null before the project was read, and with `--json`. */
  shown: Shown | null;
}

async function answer(options: RestoreCommandOptions, call: Call): Promise<RestoreAnswer | Report> {
  const { requestId, secrets } = call;
  try {
    const project = await readProject(options, true, { mayLackFolder: true });
    call.shown = options.json ? null : await startProgress("Reading the history");
    const { shown } = call;
    const found = await withDatabase(
      project,
      options.relay,
      (findTarget) => carryOut(options, project, call, findTarget),
      (place) => tellRelay(place, shown, requestId),
    );
    return redact(found, secrets);
  } catch (thrown) {
    return redact(failedReport(requestId, thrown), secrets);
  }
}

async function carryOut(
  { before, inPlace, yes, expiresInHours }: RestoreCommandOptions,
  project: Project,
  { requestId, secrets, shown }: Call,
  findTarget: () => Promise<Target>,
): Promise<RestoreAnswer> {
  const log = shown?.log ?? createLog(requestId);
  const deadline = Date.now() + WORK_MS;
  const target = await findTarget();
  secrets.push(target.url);
  const { key: reference, projectId, url } = readNeonSettings();
  const key = await readNeonKey(reference, { until: deadline, log });
  secrets.push(key);
  const restored = await restore(
    { before, inPlace, yes, expiresInHours: expiresInHours ?? null },
    { target, requestId, access: { key, projectId, url }, deadline, log },
  );
  const status =
    restored.kind === "restored" ? await statusOf(project, requestId, findTarget) : null;
  return { schemaVersion: 1, requestId, ...restored, status };
}

/** Asks production, as it is behind the restore, for its status. A folder that cannot be read does not undo that. */
async function statusOf(
  project: Project,
  requestId: string,
  findTarget: () => Promise<Target>,
): Promise<Report> {
  try {
    const bundle = await compileProject(project);
    const run = { bundle, target: findTarget, requestId, deadline: null, log: () => undefined };
    return await migrate(parseRequest({ action: "status" }), run);
  } catch (thrown) {
    return failedReport(requestId, thrown);
  }
}

/** What Neon has begun it ends, whether this process lives or not. */
function reasonOf({ signal, thrown }: Ending): unknown {
  if (signal === null) return thrown;
  return new MigratorError(
    "INTERRUPTED",
    `${signal} stopped this command. Where Neon has begun its work, it finishes it: look at the branches in Neon's console before you repeat it.`,
    { retryable: false },
  );
}

function print(value: RestoreAnswer | Report, { json, folder }: RestoreCommandOptions): void {
  printAnswer(json, {
    ...{ value, failed: !("kind" in value) },
    text: (colors, width) =>
      "kind" in value
        ? renderRestore(value, { folder: folder ?? "", colors, width })
        : renderRestoreFailure(value, { folder: folder ?? null, colors, width }),
  });
}
