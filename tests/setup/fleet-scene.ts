import { afterAll, beforeAll } from "vitest";
import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import { asRecord, asText } from "../../lib/json.ts";
import { type LocalSecrets, startSecrets } from "../../local/aws/secrets.ts";
import { type LocalS3, startS3 } from "../../local/s3/s3.ts";
import { jumpingClock } from "../../local/step-functions/clock.ts";
import type { Execution } from "../../local/step-functions/execution.ts";
import {
  type LocalStepFunctions,
  startStepFunctions,
} from "../../local/step-functions/step-functions.ts";
import type { InvokeAnswer } from "../../local/step-functions/world.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { type Deployment, prepareDeployment } from "./deployment.ts";
import { FLEET } from "./fleet-machine.ts";
import { expectFleetReport } from "./report-schema.ts";

/** Stands between the machine and the function. @param id the tenant's; empty for a step of the fleet */
export type Between = (id: string, call: () => Promise<InvokeAnswer>) => Promise<InvokeAnswer>;

/** A run of the machine, and what the test has for it. */
export interface SceneRun {
  readonly execution: Execution;
  readonly machine: LocalStepFunctions;
}

/** The deployed function with databases of tenants, each in a parameter, and the machine that is deployed. */
export interface FleetScene {
  readonly s3: LocalS3;
  readonly secrets: LocalSecrets;
  readonly deployment: Deployment;
  database(id: string): TestDatabase;
  /** The targets of these tenants. */
  targetsOf(
    ...ids: readonly string[]
  ): readonly { readonly id: string; readonly parameter: string }[];
  /** Begins a run. */
  start(input: object, between?: Between, definition?: unknown): Promise<SceneRun>;
  /** Runs to the end, of the children too, and returns the report in the bucket. */
  run(input: object, between?: Between, definition?: unknown): Promise<FleetReport>;
  /** Asks the function for a report, as the command line does. */
  reportOn(run: string): Promise<FleetReport>;
  text(key: string): string;
}

/** Starts it for the tests of a file, and ends it behind them. */
export function useFleet(...ids: readonly string[]): FleetScene {
  const databases = new Map<string, TestDatabase>();
  const machines: LocalStepFunctions[] = [];
  let started: Pick<FleetScene, "s3" | "secrets" | "deployment"> | null = null;
  let calls = 0;
  beforeAll(async () => {
    const [s3, secrets] = await Promise.all([startS3({ buckets: ["fleet"] }), startSecrets()]);
    let relay = {};
    for (const id of ids) {
      const database = await createTestDatabase();
      databases.set(id, database);
      secrets.set(`/tenants/${id}`, database.url);
      if (databases.size === 1) {
        relay = { NEON_WS_PROXY: (await database.functionEnvironment()).NEON_WS_PROXY };
      }
    }
    const deployment = prepareDeployment({
      ...{ ...secrets.environment, ...s3.environment, ...relay },
      ...{ TARGETS: "parameter:/tenants/*", FLEET_BUCKET: "fleet" },
    });
    started = { s3, secrets, deployment };
  });
  afterAll(async () => {
    for (const machine of machines) await machine.shutDown();
    await started?.deployment.remove();
    await Promise.all([started?.s3.stop(), started?.secrets.stop()]);
    for (const database of databases.values()) await database.close();
  });
  const parts = () => {
    if (started === null) throw new Error("The fleet is not up.");
    return started;
  };
  const invoke = async (event: unknown) => {
    calls += 1;
    return await parts().deployment.deliver({ requestId: `call-${calls}`, event: Object(event) });
  };
  const scene: FleetScene = {
    get s3() {
      return parts().s3;
    },
    get secrets() {
      return parts().secrets;
    },
    get deployment() {
      return parts().deployment;
    },
    database: (id) => databases.get(id) ?? unknown(id),
    targetsOf: (...names) => names.map((id) => ({ id, parameter: `/tenants/${id}` })),
    start: async (input, between = (_, call) => call(), definition = FLEET) => {
      const machine = await startStepFunctions({
        ...{ definition, s3: scene.s3.store, clock: jumpingClock() },
        substitutions: { FunctionArn: `${scene.deployment.functionArn}:1`, Bucket: "fleet" },
        invoke: (_function, event) =>
          between(asText(asRecord(asRecord(event).target).id), () => invoke(event)),
      });
      machines.push(machine);
      return { execution: machine.start(input), machine };
    },
    run: async (input, between, definition) => {
      const { execution, machine } = await scene.start(input, between, definition);
      await machine.idle();
      return expectFleetReport(JSON.parse(scene.text(`runs/${execution.name}/report.json`)));
    },
    reportOn: async (run) => {
      const { payload } = await invoke({ "neon-migrate.fleet": { step: "report", run } });
      return expectFleetReport(payload);
    },
    text: (key) => scene.s3.store.get("fleet", key).body.toString(),
  };
  return scene;
}

function unknown(id: string): never {
  throw new Error(`There is no tenant ${id}.`);
}
