import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { serviceTimeoutOf } from "../../lib/events/redelivery.ts";
import {
  type CloudFormationOptions,
  type LocalCloudFormation,
  type Operation,
  type OperationOptions,
  startCloudFormation,
} from "../../local/cloudformation/cloudformation.ts";
import type { ResourceRequest } from "../../local/cloudformation/response.ts";
import type { Job, Outcome } from "../../local/lambda/sandbox.ts";
import { closeGate, type Gate } from "./bookings.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import {
  type AuthoredMigration,
  type Deployment,
  prepareDeployment,
  repeated,
  TIMEOUT_MS,
} from "./deployment.ts";
import { untilNobodyIsLeft } from "./scene.ts";
import { waitFor } from "./wait-for.ts";

/** One version of the function. */
export interface Version {
  readonly migrations: readonly AuthoredMigration[];
  /** Whether a call's time passes only when the test says so. Default: false. */
  readonly movableClock?: boolean;
  /** Settings beside those for the test's database. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A stack with one function in several versions. The processes of a version outlive a test. */
export interface TestStack<Name extends string> {
  readonly cloudFormation: LocalCloudFormation;
  readonly database: TestDatabase;
  readonly gate: Gate;
  /** Every ended delivery of this test, in the order of the ends. */
  readonly ended: readonly Outcome[];
  /** Makes this version the function's code for later deliveries. Returns the properties of its template. */
  use(name: Name): Promise<DeployedProperties>;
  /** The same, but the present code answers until a call is repeated: a call during the update of a function's code. */
  useLater(name: Name): Promise<DeployedProperties>;
  /** Returns the version that is the function's code now. */
  current(): Deployment;
  /** Deploys a version for the first time, with more properties. */
  create(name: Name, properties?: object, options?: OperationOptions): Promise<Operation>;
  /** Deploys another version. */
  update(name: Name, properties?: object, options?: OperationOptions): Promise<Operation>;
  /** Makes this version the function's code before an Update is rolled back. */
  restoreBeforeRollback(name: Name): void;
  /** Sends requests to another function in place of this one; null: to this one again. */
  askInstead(other: Asked | null): void;
  /** Empties the database, and starts another stack. */
  reset(options?: Partial<Pick<CloudFormationOptions, "serviceToken" | "express">>): Promise<void>;
}

/** The properties that the construct gives the custom resource. */
export interface DeployedProperties {
  readonly MigrationsHash: string;
  readonly ServiceTimeout: number;
}

/** The name of the one resource that `create` and `update` deploy. */
export const ID = "Migrations";

/** A function that gets the requests, with a way to the real function behind it. */
export type Asked = (
  request: ResourceRequest,
  deliver: (event: unknown) => Promise<Outcome>,
) => Promise<unknown>;

/** Makes the stack for the tests of a file. Each test begins with an empty stack. */
export function testStack<Name extends string>(
  versions: Readonly<Record<Name, Version>>,
): TestStack<Name> {
  const ended: Outcome[] = [];
  let parts: Parts<Name> | null = null;
  let cloudFormation: LocalCloudFormation | null = null;
  let restored: Name | null = null;
  let asked: Asked | null = null;
  const started = () => parts ?? expect.fail("The stack is not there yet.");
  const running = () => cloudFormation ?? expect.fail("The stack is not there yet.");

  const invoke = async (request: ResourceRequest): Promise<void> => {
    const { code } = started();
    if (asked === null) {
      await repeated(async (attempt) => {
        if (attempt > 0) await code.bringLater();
        const outcome = await code.current().deliver(jobOf(request));
        ended.push(outcome);
        return outcome;
      });
      return;
    }
    const deployment = code.current();
    await asked(request, async (event) => {
      const outcome = await deployment.deliver({ requestId: request.RequestId, event });
      ended.push(outcome);
      return outcome;
    });
  };
  const use = (name: Name) => started().code.use(name);
  const reset: TestStack<Name>["reset"] = async (options = {}) => {
    const { database, code } = started();
    await cloudFormation?.stop();
    await code.end();
    await untilNobodyIsLeft(database);
    await database.sql(
      "drop schema if exists drizzle cascade; drop table if exists accounts; delete from gate",
    );
    [restored, asked] = [null, null];
    ended.length = 0;
    const restoreCode = () => (restored === null ? undefined : use(restored));
    cloudFormation = await startCloudFormation({ invoke, restoreCode, ...options });
  };

  beforeAll(async () => {
    parts = await prepare(versions);
  });
  beforeEach(async () => {
    await reset();
    // The logs must not hold the URL: anyone who knows it may answer in our place.
    return () => expect(JSON.stringify(ended)).not.toMatch(/Signature|AWSAccessKeyId/);
  });
  afterAll(async () => {
    await cloudFormation?.stop();
    await parts?.code.remove();
    await parts?.database.close();
  });
  return {
    get cloudFormation() {
      return running();
    },
    get database() {
      return started().database;
    },
    get gate() {
      return started().gate;
    },
    ended,
    use,
    useLater: (name) => started().code.useLater(name),
    current: () => started().code.current(),
    create: async (name, properties, options) =>
      running().create(ID, { ...(await use(name)), ...properties }, options),
    update: async (name, properties, options) =>
      running().update(ID, { ...(await use(name)), ...properties }, options),
    restoreBeforeRollback: (name) => {
      restored = name;
    },
    askInstead: (other) => {
      asked = other;
    },
    reset,
  };
}

/** The parts that outlive a test. */
interface Parts<Name extends string> {
  readonly database: TestDatabase;
  readonly gate: Gate;
  readonly code: Code<Name>;
}

async function prepare<Name extends string>(
  versions: Readonly<Record<Name, Version>>,
): Promise<Parts<Name>> {
  const database = await createTestDatabase();
  const gate = await closeGate(database);
  const own = await database.functionEnvironment();
  return { database, gate, code: startCode(versions, own) };
}

type Code<Name extends string> = Pick<TestStack<Name>, "use" | "useLater" | "current"> & {
  /** Brings the code that was to come later. */
  bringLater(): Promise<void>;
  /** Ends every call that a failed test has left, with its repetitions. */
  end(): Promise<void>;
  remove(): Promise<void>;
};

/** Prepares the versions of one function, each at its first use. */
function startCode<Name extends string>(
  versions: Readonly<Record<Name, Version>>,
  environment: Readonly<Record<string, string>>,
): Code<Name> {
  const known = new Map<Name, { readonly deployment: Deployment; readonly hash: string }>();
  let current: Deployment | null = null;
  let later: Name | null = null;
  const prepare = async (name: Name) => {
    const found = known.get(name);
    if (found !== undefined) return found;
    const { migrations, movableClock = false, environment: other = {} } = versions[name];
    const deployment = prepareDeployment({ ...environment, ...other }, { movableClock });
    const prepared = { deployment, hash: await deployment.deploy(...migrations) };
    known.set(name, prepared);
    return prepared;
  };
  const use = async (name: Name) => {
    const { deployment, hash } = await prepare(name);
    [current, later] = [deployment, null];
    return propertiesFor(hash);
  };
  return {
    use,
    useLater: async (name) => {
      later = name;
      return propertiesFor((await prepare(name)).hash);
    },
    bringLater: async () => {
      if (later !== null) await use(later);
    },
    current: () => {
      if (current === null) throw new Error("No version of the function is deployed.");
      return current;
    },
    end: async () => {
      for (const { deployment } of known.values()) {
        if (deployment.underWay() === 0) continue;
        await waitFor(async () => {
          await deployment.kill();
          return deployment.underWay() === 0;
        });
      }
    },
    remove: async () => {
      for (const { deployment } of known.values()) await deployment.remove();
    },
  };
}

function propertiesFor(MigrationsHash: string): DeployedProperties {
  return { MigrationsHash, ServiceTimeout: serviceTimeoutOf(TIMEOUT_MS / 1_000) };
}

/** Makes the job of a request. A duplicate in Lambda's queue has the same request id. */
export function jobOf(request: ResourceRequest): Job {
  return { requestId: request.RequestId, event: request };
}

/** Returns the requests of an operation and their answers, in short. */
export function exchanged({ exchanges }: Operation): readonly unknown[] {
  return exchanges.map(({ request, status, data }) => [
    request.RequestType,
    status,
    data.status,
    data.appliedCount,
  ]);
}
