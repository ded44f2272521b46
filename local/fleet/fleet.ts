/*
 * A fleet on this machine: the state machine of `infra/fleet.asl.json`, its bucket, the built function and a database for
 * each tenant on one PostgreSQL. Everything is a part of the other folders; this puts them together as `NeonFleet` does.
 */

import { LOCAL_FUNCTION_ARN } from "../aws/account.ts";
import { type LocalSecrets, startSecrets } from "../aws/secrets.ts";
import { type Invocation, type LocalLambda, startLambda } from "../lambda/lambda.ts";
import { startLambdaService } from "../lambda/service.ts";
import type { Role } from "../postgres/admin.ts";
import type { LocalPostgres } from "../postgres/postgres.ts";
import { type LocalS3, startS3 } from "../s3/s3.ts";
import type { Clock } from "../step-functions/clock.ts";
import { invokeLocally } from "../step-functions/invoke.ts";
import { type LocalStepFunctions, startStepFunctions } from "../step-functions/step-functions.ts";
import type { Invoke } from "../step-functions/world.ts";
import { machineDefinition } from "./definition.ts";

/** What a fleet runs on. */
export interface LocalFleetOptions {
  readonly postgres: Pick<LocalPostgres, "admin" | "url">;
  /** The relay's host and port, as `NEON_WS_PROXY` has it. */
  readonly relay: string;
  /** The deployed folder: the handler with a bundle. */
  readonly handlerDirectory: string;
  /** More variables of the function. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  /** The most calls at a time. Default: Lambda's 1,000. */
  readonly concurrency?: number;
  /**
   * Stands between the machine and the function, for faults.
   * @param start makes a function of the same version with a process of its own, which the caller may kill
   */
  readonly between?: (invoke: Invoke, start: () => LocalLambda) => Invoke;
}

/** A fleet, and what a test or a person needs of it. */
export interface LocalFleet {
  readonly machine: LocalStepFunctions;
  readonly s3: LocalS3;
  readonly secrets: LocalSecrets;
  readonly bucket: string;
  /** The environment by which the command line finds all of it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Makes a database and a parameter for each tenant. @returns their targets */
  addTenants(ids: readonly string[]): Promise<readonly LocalTenant[]>;
  /** Calls the newest version of the function, as the machine does. */
  invoke(payload: unknown): Promise<Invocation>;
  /** Publishes a new version of the function. A run under way keeps the one that it began with. */
  deploy(handlerDirectory: string): void;
  stop(): Promise<void>;
}

/** A tenant: its target, and its database. */
export interface LocalTenant {
  readonly target: { readonly id: string; readonly parameter: string };
  readonly database: string;
  readonly url: string;
}

const BUCKET = "fleet";

/** Starts a fleet without tenants. */
export async function startFleet(options: LocalFleetOptions): Promise<LocalFleet> {
  const { postgres, relay, clock, concurrency, between = (same) => same } = options;
  const [s3, secrets, service] = await Promise.all([
    startS3({ buckets: [BUCKET] }),
    startSecrets(),
    startLambdaService(),
  ]);
  const environment = {
    ...secrets.environment,
    ...s3.environment,
    NEON_WS_PROXY: relay,
    TARGETS: "parameter:/tenants/*",
    FLEET_BUCKET: BUCKET,
    ...options.environment,
  };
  const versions = new Map<string, LocalLambda>();
  let newest = options.handlerDirectory;
  const spare = () => startLambda({ handlerDirectory: newest, environment });
  const publish = (handlerDirectory: string): string => {
    newest = handlerDirectory;
    const lambda = startLambda({ handlerDirectory, environment });
    const arn = `${LOCAL_FUNCTION_ARN}:${versions.size + 1}`;
    versions.set(arn, lambda);
    service.deploy(lambda, {
      aliases: [...versions.keys()].map((each) => each.split(":")[7] ?? ""),
    });
    return arn;
  };
  const definition = machineDefinition();
  const machine = await startStepFunctions({
    ...{ definition, s3: s3.store },
    substitutions: { FunctionArn: publish(options.handlerDirectory), Bucket: BUCKET },
    invoke: between(
      invokeLocally(versions, concurrency === undefined ? {} : { concurrency }),
      spare,
    ),
    ...(clock === undefined ? {} : { clock }),
  });
  return {
    ...{ machine, s3, secrets, bucket: BUCKET },
    environment: { ...service.environment, ...s3.environment, ...machine.environment },
    addTenants: async (ids) => {
      const owner = await ownerOf(postgres);
      const tenants: LocalTenant[] = [];
      for (const id of ids) tenants.push(await addTenant(postgres, secrets, owner, id));
      return tenants;
    },
    invoke: (payload) => [...versions.values()].at(-1)?.invoke(payload) ?? noVersion(),
    deploy: (handlerDirectory) =>
      machine.update(definition, { FunctionArn: publish(handlerDirectory), Bucket: BUCKET }),
    stop: async () => {
      await machine.shutDown();
      await Promise.all([...versions.values()].map((lambda) => lambda.stop()));
      for (const part of [service, s3, secrets]) await part.stop();
    },
  };
}

function noVersion(): never {
  throw new Error("No version is published.");
}

const OWNER = "tenant_owner";
const owners = new WeakMap<LocalFleetOptions["postgres"], Promise<Role>>();

/** One role owns the databases of all tenants: five hundred roles would show nothing more. */
function ownerOf(postgres: LocalFleetOptions["postgres"]): Promise<Role> {
  const known = owners.get(postgres) ?? postgres.admin.createRole(OWNER);
  owners.set(postgres, known);
  return known;
}

async function addTenant(
  { admin, url }: LocalFleetOptions["postgres"],
  secrets: LocalSecrets,
  owner: Role,
  id: string,
): Promise<LocalTenant> {
  const database = `tenant_${id}`;
  await admin.createDatabase(database, { owner: owner.name });
  const parameter = `/tenants/${id}/url`;
  secrets.set(parameter, url(database, owner));
  return { target: { id, parameter }, database, url: url(database, owner) };
}
