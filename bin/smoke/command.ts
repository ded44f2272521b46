/*
 * `smoke`: the whole product, tried in the account and on the database of the user. A secret comes in, and what was expected
 * and seen goes out. It works in a stack and a schema of its own, whose names have the id of the run, and touches no other.
 */

import { randomBytes, randomUUID } from "node:crypto";
import { constants } from "node:os";
import type { Colors } from "picocolors/types.js";
import { redact } from "../../lib/report/redact.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { oneLine } from "../../lib/text.ts";
import { Ending, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { errorColors, printAnswer } from "../print.ts";
import { type ProjectOptions, readProject } from "../project.ts";
import { renderReport } from "../render/report.ts";
import { findCdk } from "./cdk.ts";
import { CLEANING, clean, everythingOf, type Left } from "./clean.ts";
import { proveDatabase } from "./database.ts";
import { flagsFor, placeOf } from "./place.ts";
import { renderSmoke } from "./render.ts";
import type { SmokeResult } from "./result.ts";
import { makeScratch, namesFor } from "./scratch.ts";
import { goSteps, type Scene, STEPS, type Step, type StepEnd, timed } from "./steps.ts";

/** The options of `smoke`. */
export interface SmokeOptions extends ProjectOptions {
  readonly kmsKey?: string;
  /** Whether to do it. */
  readonly yes: boolean;
  /** Whether stack and schema stay. */
  readonly keep: boolean;
  /** The id of a run whose stack and schema are to be removed. */
  readonly clean?: string;
  readonly verbose: boolean;
}

/** The course of one call. */
interface Course {
  /** What has ended it before its work was done; null without. */
  ending: Ending | null;
  /** The command that removes what is there; null before there is anything. */
  cleanWith: string | null;
}

/** Closing the terminal is one, too: what was made is to be removed. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Tries the product in the account of the user.
 * @returns the exit code
 */
export async function smokeCommand(options: SmokeOptions): Promise<number> {
  const course: Course = { ending: null, cleanWith: null };
  const working = smoke(options, course).catch((thrown) => failedReport(randomUUID(), thrown));
  const ended = await untilEnded(working, SIGNALS);
  if (ended instanceof Ending) end(ended, course);
  const outcome = ended instanceof Ending ? await working : ended;
  print(outcome, options);
  const signal = course.ending?.signal ?? null;
  if (signal !== null) return 128 + constants.signals[signal];
  return outcome.status === "failed" || course.ending !== null ? EXIT_CODE.failed : EXIT_CODE.done;
}

/** CloudFormation goes on without us, and deletes no stack that it is changing: the step is waited for. */
function end(ending: Ending, course: Course): void {
  course.ending = ending;
  if (course.cleanWith === null) return;
  tell(`${ending.what}: when this step has ended, everything is removed.`);
  tell(`Another signal ends this command at once. Then: ${course.cleanWith}`);
}

async function smoke(options: SmokeOptions, course: Course): Promise<SmokeResult> {
  // The folder of the project has nothing to do with it.
  const project = await readProject({ ...options, folder: "." }, true);
  const place = placeOf(project, options.kmsKey ?? null);
  const cdk = findCdk(process.cwd(), process.env.PATH ?? "");
  const isPlan = !options.yes && options.clean === undefined;
  const names = namesFor(options.clean ?? (isPlan ? "ID" : randomBytes(4).toString("hex")));
  const database = options.clean === undefined ? await proveDatabase(project) : null;
  const cleanWith = `neon-migrate smoke --clean ${names.id} ${flagsFor(place)}`;
  const facts = { ...names, database, cdk: cdk.place, cleanWith };
  if (isPlan || course.ending !== null) {
    return { schemaVersion: 1, status: "planned", ...facts, steps: [...STEPS, CLEANING], left: [] };
  }
  course.cleanWith = cleanWith;
  const scratch = makeScratch({ stack: names.stack, schema: names.schema, ...place });
  const onLine = (line: string) => {
    if (options.verbose) tell(line);
  };
  try {
    const scene: Scene = { names, scratch, cdk, project, onLine, functionArn: "" };
    const ends = await goAll(scene, options, course);
    const isPassed = ends.steps.every(({ asExpected }) => asExpected);
    return { schemaVersion: 1, status: isPassed ? "passed" : "failed", ...facts, ...ends };
  } finally {
    scratch.remove();
  }
}

async function goAll(
  scene: Scene,
  { keep, clean: cleansOnly }: SmokeOptions,
  course: Course,
): Promise<Pick<SmokeResult, "left"> & { readonly steps: readonly StepEnd[] }> {
  const total = STEPS.length + 1;
  const tellStep = ({ step }: Step, index: number) => tell(`${index}/${total}  ${step}`);
  const alive = signsOfLife();
  let steps: readonly StepEnd[] = [];
  try {
    if (cleansOnly === undefined) {
      tell(`Run ${scene.names.id}. If it is killed: ${course.cleanWith}`);
      steps = await goSteps(scene, (step, index) => {
        if (course.ending === null) tellStep(step, index);
        return course.ending === null;
      });
    }
    if (keep) return { steps, left: everythingOf(scene.names) };
    tellStep(CLEANING, total);
    let left: readonly Left[] = [];
    const cleaning = await timed(CLEANING, async () => {
      const seen = await clean(scene);
      left = seen.left;
      return seen;
    });
    return { steps: [...steps, cleaning], left };
  } finally {
    clearInterval(alive);
  }
}

/** Some build servers end a job that is silent for a few minutes, and people sooner. */
const SIGN_OF_LIFE_MS = 30_000;

function signsOfLife(): NodeJS.Timeout {
  const started = performance.now();
  const say = () => tell(`     ${Math.round((performance.now() - started) / 1_000)} s so far`);
  return setInterval(say, SIGN_OF_LIFE_MS);
}

function tell(line: string): void {
  console.error(errorColors().dim(oneLine(line)));
}

function print(outcome: SmokeResult | Report, { json }: SmokeOptions): void {
  if (!("requestId" in outcome)) {
    const text = (colors: Colors, width: number) => renderSmoke(outcome, colors, width);
    printAnswer(json, { value: outcome, failed: false, text });
    return;
  }
  const report = redact(outcome, []);
  const place = { action: "status", folder: null, bundle: null } as const;
  const text = (colors: Colors) => renderReport(report, { ...place, colors });
  printAnswer(json, { value: report, failed: true, text });
}
