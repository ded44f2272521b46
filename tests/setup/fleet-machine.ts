import { readFileSync } from "node:fs";
import { ObjectStore } from "../../local/s3/store.ts";
import type { StepFunctionsOptions } from "../../local/step-functions/step-functions.ts";
import type { InvokeAnswer } from "../../local/step-functions/world.ts";
import {
  BUCKET,
  FUNCTION,
  returns,
  startTestMachine,
  type TestMachine,
  throws,
} from "./state-machine.ts";

/** The machine that is deployed. */
export const FLEET: unknown = JSON.parse(readFileSync("infra/fleet.asl.json", "utf8"));

/** A wave of a stubbed plan. */
export interface Wave {
  readonly ids: readonly string[];
  readonly maxConcurrency?: number;
  readonly toleratedCount?: number;
  readonly pauseSeconds?: number;
}

/** A stubbed fleet. */
export interface StubbedFleet extends Partial<StepFunctionsOptions> {
  readonly waves: readonly Wave[];
  /** The fields of every tenant's request. Default: none. */
  readonly request?: object;
  readonly failOn?: "any" | "budget";
  readonly gone?: "error" | "skip";
  /** Answers for a tenant. Default: the report of a run that applied one migration. */
  readonly migrate?: (
    id: string,
    payload: unknown,
    functionName: string,
  ) => Promise<InvokeAnswer> | InvokeAnswer;
  /** Answers in place of the plan. Default: null, for the plan. */
  readonly refusePlan?: () => InvokeAnswer | null;
  /** Answers the question for the report. Default: a report that all are applied. */
  readonly report?: (event: unknown) => InvokeAnswer;
}

/** The machine of a fleet, and the calls that came of it. */
export interface FleetMachine extends TestMachine {
  /** The tenants in the order of the calls. */
  readonly calls: readonly string[];
  /** The payloads of all calls. */
  readonly payloads: readonly unknown[];
}

/** Starts the machine that is deployed, with stubs for what its function answers. */
export async function startFleet({
  waves,
  request = {},
  failOn = "any",
  gone = "error",
  migrate = applied,
  refusePlan = () => null,
  report = () => returns({ status: "applied", counts: {}, next: "" }),
  ...options
}: StubbedFleet): Promise<FleetMachine> {
  const store = new ObjectStore([BUCKET]);
  const calls: string[] = [];
  const payloads: unknown[] = [];
  const prepare = (run: string) => {
    const planned = waves.map((wave, index) => {
      const key = `runs/${run}/wave-${index}.jsonl`;
      store.put(BUCKET, key, wave.ids.map((id) => JSON.stringify(lineOf(id))).join("\n"));
      return {
        ...{ index, name: `wave ${index}`, key, count: wave.ids.length, rehearse: false },
        ...{ maxConcurrency: 50, toleratedCount: 0, pauseSeconds: 0, ...wave },
        ids: undefined,
      };
    });
    const plan = { run, bucket: BUCKET, prefix: `runs/${run}`, expect: { hash: "abc" } };
    return returns({ ...plan, request, failOn, gone, counts: {}, waves: planned });
  };
  const machine = await startTestMachine({
    definition: FLEET,
    substitutions: { FunctionArn: FUNCTION, Bucket: BUCKET },
    store,
    invoke: async (functionName, payload) => {
      payloads.push(payload);
      const { "neon-migrate.fleet": event, target } = Object(payload);
      if (event?.step === "prepare") return refusePlan() ?? prepare(event.run);
      if (event?.step === "report") return report(event);
      calls.push(target.id);
      return await migrate(target.id, payload, functionName);
    },
    ...options,
  });
  return { ...machine, calls, payloads };
}

function lineOf(id: string): object {
  const target = { id, parameter: `/tenants/${id}` };
  return id.startsWith("canary") ? { target, rehearsal: "first" } : { target };
}

/** The report of a run that applied one migration. */
export function applied(id: string): InvokeAnswer {
  return returns({
    ...{ target: { id }, status: "applied", applied: [{ tag: "0001" }], latest: "0001" },
    timings: { totalMs: 12 },
  });
}

/** What a failed run throws. */
export function failed(code: string): InvokeAnswer {
  return throws(code, `${code}: a tenant's run.`);
}

/** So many ids. */
export function tenants(count: number, prefix = "t"): readonly string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}${n}`);
}
