import {
  type CloudFormationOptions,
  type LocalCloudFormation,
  type Operation,
  startCloudFormation,
} from "../../local/cloudformation.ts";
import type { ResourceRequest } from "../../local/cloudformation-response.ts";
import { LOCAL_FUNCTION_ARN } from "../../local/lambda.ts";
import type { Job, Outcome } from "../../local/lambda-sandbox.ts";
import { closeGate, type Gate } from "./bookings.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { type AuthoredMigration, type Deployment, prepareDeployment } from "./deployment.ts";
import { untilNobodyIsLeft } from "./scene.ts";

/** One version of the function. */
export interface Version {
  readonly migrations: readonly AuthoredMigration[];
  /** Default 60,000. */
  readonly timeoutMs?: number;
  /** Beside the test's database. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A stack with one function, of which several versions exist; their processes outlive a test. */
export interface TestStack<Name extends string> {
  readonly cloudFormation: LocalCloudFormation;
  readonly database: TestDatabase;
  readonly gate: Gate;
  /** Every delivery of this test that has ended, in the order of the ends. */
  readonly ended: readonly Outcome[];
  /** Makes this version the function's code, for what is delivered from now on. Returns its template's properties. */
  use(name: Name): Promise<{ readonly MigrationsHash: string }>;
  /** The version that is the function's code. */
  current(): Deployment;
  /** Before an Update is rolled back, this version becomes the function's code. */
  restoreBeforeRollback(name: Name): void;
  /** Asks this in place of the function; null: the function. */
  askInstead(other: Asked | null): void;
  /** Puts the database back to where it was, and starts a stack. */
  reset(options?: Partial<Pick<CloudFormationOptions, "serviceToken">>): Promise<void>;
  stop(): Promise<void>;
}

/** Who is asked, with a way to the function behind it. */
export type Asked = (
  request: ResourceRequest,
  deliver: (event: unknown) => Promise<Outcome>,
) => Promise<unknown>;

/** Creates a database, and prepares the stack; `reset` starts it. */
export async function startTestStack<Name extends string>(
  versions: Readonly<Record<Name, Version>>,
): Promise<TestStack<Name>> {
  const database = await createTestDatabase();
  const gate = await closeGate(database);
  const relay = await database.startRelay({ mode: "neon" });
  const own = { DATABASE_URL: database.url, NEON_WS_PROXY: relay.address };
  const code = startCode(versions, own);
  const ended: Outcome[] = [];
  let restored: Name | null = null;
  let asked: Asked | null = null;
  let cloudFormation: LocalCloudFormation | null = null;
  const invoke = async (request: ResourceRequest): Promise<void> => {
    const deployment = code.current();
    if (asked === null) {
      ended.push(...(await deployment.deliverFromQueue(jobOf(request))));
      return;
    }
    await asked(request, async (event) => {
      const outcome = await deployment.deliver({ requestId: request.RequestId, event });
      ended.push(outcome);
      return outcome;
    });
  };
  return {
    ...code,
    get cloudFormation() {
      if (cloudFormation === null) throw new Error("The stack was not started.");
      return cloudFormation;
    },
    database,
    gate,
    ended,
    restoreBeforeRollback: (name) => {
      restored = name;
    },
    askInstead: (other) => {
      asked = other;
    },
    reset: async ({ serviceToken = LOCAL_FUNCTION_ARN } = {}) => {
      await cloudFormation?.stop();
      await untilNobodyIsLeft(database);
      await database.sql(
        "drop schema if exists drizzle cascade; drop table if exists accounts; delete from gate",
      );
      [restored, asked] = [null, null];
      ended.length = 0;
      const restoreCode = () => (restored === null ? undefined : code.use(restored));
      cloudFormation = await startCloudFormation({ invoke, serviceToken, restoreCode });
    },
    stop: async () => {
      await cloudFormation?.stop();
      await code.remove();
      await database.close();
    },
  };
}

/** The versions of one function, each prepared when it is used for the first time. */
function startCode<Name extends string>(
  versions: Readonly<Record<Name, Version>>,
  environment: Readonly<Record<string, string>>,
): Pick<TestStack<Name>, "use" | "current"> & { remove(): Promise<void> } {
  const known = new Map<Name, { readonly deployment: Deployment; readonly hash: string }>();
  let current: Deployment | null = null;
  const prepare = async (name: Name) => {
    const { migrations, timeoutMs = 60_000, environment: other = {} } = versions[name];
    const deployment = prepareDeployment({ ...environment, ...other }, timeoutMs);
    const hash = await deployment.deploy(...migrations);
    return { deployment, hash };
  };
  return {
    use: async (name) => {
      const { deployment, hash } = known.get(name) ?? (await prepare(name));
      known.set(name, { deployment, hash });
      current = deployment;
      return { MigrationsHash: hash };
    },
    current: () => {
      if (current === null) throw new Error("No version of the function is deployed.");
      return current;
    },
    remove: async () => {
      for (const { deployment } of known.values()) await deployment.remove();
    },
  };
}

/** A duplicate in Lambda's queue has the request id of the first one. */
export function jobOf(request: ResourceRequest): Job {
  return { requestId: request.RequestId, event: request };
}

/** What an operation sent and what was answered, in short. */
export function exchanged({ exchanges }: Operation): readonly unknown[] {
  return exchanges.map(({ request, status, data }) => [
    request.RequestType,
    status,
    data.status,
    data.appliedCount,
  ]);
}
