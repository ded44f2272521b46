import { ERROR_CODES, MigratorError, toError } from "../../lib/errors.ts";
import { silentLog } from "../../lib/log.ts";
import type { Report } from "../../lib/report/report.ts";
import { callFunction } from "../invoke/call-function.ts";
import { reportIn } from "../invoke/report-in-answer.ts";
import type { Project } from "../project.ts";
import { type Cdk, type CdkEnd, runCdk } from "./cdk.ts";
import { statusOf, tablesIn } from "./database.ts";
import { type Names, type Scratch, TABLES } from "./scratch.ts";

/** The parts that every step works with. */
export interface Scene {
  readonly names: Names;
  readonly scratch: Scratch;
  readonly cdk: Cdk;
  readonly project: Project;
  /** Gets each line that CDK prints. */
  readonly onLine: (line: string) => void;
  /** Empty before the first deployment. */
  functionArn: string;
}

/** A step, before anybody has gone it. */
export interface Step {
  readonly step: string;
  /** What `seen` says where the product holds. */
  readonly expected: string;
}

/** The end of a step. */
export interface StepEnd extends Step {
  /** Null where it was not gone. */
  readonly seen: string | null;
  readonly asExpected: boolean;
  readonly seconds: number;
  /** The reason, where something else was seen: the end of CDK's output, or an error. */
  readonly details: string;
}

/** What a step has seen. */
export interface Seen {
  readonly seen: string;
  readonly details?: string;
}

interface Way extends Step {
  go(scene: Scene): Promise<Seen>;
}

const APPLIED = TABLES.length;

const WAYS: readonly Way[] = [
  {
    step: "Deploy two migrations",
    expected: `stack deployed, ${APPLIED} migrations applied`,
    go: (scene) =>
      deploy(scene, ({ outputs: { Applied, Function: functionArn = "" } }) => {
        scene.functionArn = functionArn;
        return `stack deployed, ${Applied} migrations applied`;
      }),
  },
  {
    step: "Deploy again, unchanged",
    expected: "no changes",
    go: (scene) =>
      deploy(scene, ({ output }) => (output.includes("(no changes)") ? "no changes" : "changed")),
  },
  {
    step: "Deploy a migration that fails",
    expected: "UPDATE_ROLLBACK_COMPLETE for MIGRATION_FAILED",
    go: (scene) => {
      scene.scratch.addFailing();
      return deploy(scene, () => "deployed, and nothing failed");
    },
  },
  {
    step: "Ask the function",
    expected: `${APPLIED} applied, 0 pending`,
    go: async ({ functionArn }) => {
      const { applied } = await ask(functionArn, "status");
      const { pending } = await ask(functionArn, "plan");
      return { seen: `${applied.length} applied, ${pending.length} pending` };
    },
  },
  {
    // The folder has the migration that failed.
    step: "Ask the database",
    expected: `${APPLIED} applied, 1 pending, tables ${TABLES.join(" and ")}`,
    go: async ({ project, names, scratch }) => {
      const report = await statusOf(project, names.schema, scratch.migrations);
      const { applied, pending } = unfailed(report);
      const tables = (await tablesIn(project, names.schema)).join(" and ");
      return {
        seen: `${applied.length} applied, ${pending.length} pending, tables ${tables || "none"}`,
      };
    },
  },
];

/** The steps, for somebody who wants to know them before. */
export const STEPS: readonly Step[] = WAYS.map(namesOf);

/**
 * Goes the steps one after the other, until one ends in another way than expected.
 * @param mayGoOn asked before each step, the first of which has the index 1
 * @returns the end of every step, also of those that were not gone
 */
export async function goSteps(
  scene: Scene,
  mayGoOn: (next: Step, index: number) => boolean,
): Promise<readonly StepEnd[]> {
  const ends: StepEnd[] = [];
  for (const way of WAYS) {
    const goes = ends.every(({ asExpected }) => asExpected) && mayGoOn(way, ends.length + 1);
    ends.push(goes ? await timed(way, () => way.go(scene)) : { ...notGone, ...namesOf(way) });
  }
  return ends;
}

const notGone = { seen: null, asExpected: false, seconds: 0, details: "" };

function namesOf({ step, expected }: Step): Step {
  return { step, expected };
}

/** Goes a step. A failure is what it has seen. */
export async function timed(step: Step, go: () => Promise<Seen>): Promise<StepEnd> {
  const started = performance.now();
  const { seen, details = "" } = await go().catch(seenOf);
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  const asExpected = seen === step.expected;
  return { ...namesOf(step), seen, asExpected, seconds, details: asExpected ? "" : details };
}

/** Makes of a failure what a step has seen. */
function seenOf(thrown: unknown): Seen {
  const { name, message } = toError(thrown);
  return { seen: thrown instanceof MigratorError ? thrown.code : name, details: message };
}

/** @param seen says what was seen where CDK reports success */
async function deploy(
  { cdk, scratch, onLine }: Scene,
  seen: (end: CdkEnd) => string,
): Promise<Seen> {
  const end = await runCdk(cdk, "deploy", scratch, onLine);
  return end.exitCode === 0 ? { seen: seen(end), details: lastOf(end.output) } : failed(end);
}

/** The states in which CloudFormation leaves a stack. CDK cuts the longer ones off in its list of events. */
const STATES = /\b((?:UPDATE_)?ROLLBACK_)(COMP|FAIL)/g;
const ENDINGS: Readonly<Record<string, string>> = { COMP: "COMPLETE", FAIL: "FAILED" };

/** Says how a deployment failed, by CDK's output: the state of the stack, and our code in CloudFormation's reason. */
export function failed({ output }: Pick<CdkEnd, "output">): Seen {
  const [, rollback = "", ending = ""] = [...output.matchAll(STATES)].at(-1) ?? [];
  const state = rollback === "" ? "not deployed" : `${rollback}${ENDINGS[ending]}`;
  const [, code] = /Message returned: ([A-Z_]+):/.exec(output) ?? [];
  const isOurs = ERROR_CODES.some((each) => each === code);
  return { seen: `${state}${isOurs ? ` for ${code}` : ""}`, details: lastOf(output) };
}

/** Lines that say where CDK's own code was. */
const FRAMES = /^\s*(?:at |Source Location|\(no user code|$)/;
const MAX_LINES = 12;

/** Returns the end of CDK's output: from its mark of a failure on, if there is one. */
export function lastOf(output: string): string {
  const lines = output.split("\n").filter((line) => !FRAMES.test(line));
  const mark = lines.findLastIndex((line) => line.includes("❌"));
  return lines
    .slice(mark === -1 ? -MAX_LINES : mark)
    .slice(0, MAX_LINES)
    .join("\n");
}

async function ask(functionArn: string, action: "status" | "plan"): Promise<Report> {
  const payload = JSON.stringify({ action });
  const call = { functionName: functionArn, payload, patienceMs: 60_000, log: silentLog };
  return unfailed(reportIn(await callFunction(call), functionArn));
}

/** @throws MigratorError the failure of a report */
function unfailed(report: Report): Report {
  if (report.error === undefined) return report;
  throw new MigratorError(report.error.code, report.error.message);
}
