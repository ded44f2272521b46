import { migrate } from "../migrate/migrate.ts";
import { parseRequest } from "../request.ts";
import type { Tenant } from "./check-targets.ts";
import type { FleetDependencies } from "./fleet-dependencies.ts";
import { resolveTenant } from "./tenant.ts";

/** The most tenants that are asked, and how many of them at a time. Each wakes a compute. */
const MAX_ASKED = 100;
const AT_A_TIME = 10;
/** The longest time for one of them. */
const ASK_MS = 60_000;
/** The part of the time that is left which a sample may take. */
const SAMPLE_SHARE = 0.6;

/** What came of a sample. */
export interface SampleAnswer {
  /** The ids of tenants that are not as the ledger says. */
  readonly lies: readonly string[];
  /** The ids of those that did not answer. Nobody knows anything of them. */
  readonly silent: readonly string[];
}

/**
 * Asks some of the tenants that the ledger knows as up to date whether they are: at random, and at least one. It connects to
 * their databases and writes nothing.
 * @param part the part of them to ask, from 0, which asks nobody, to 1
 */
export async function askSample(
  tenants: readonly Tenant[],
  part: number,
  dependencies: FleetDependencies,
): Promise<SampleAnswer> {
  const waiting = sampleOf(tenants, part);
  const lies: string[] = [];
  const silent: string[] = [];
  const work = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { id } = next.reference;
      const report = await ask(next, dependencies);
      // A database that is ahead of the bundle has all of it.
      if (report.status === "failed") silent.push(id);
      else if (report.status !== "up-to-date") lies.push(id);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return { lies, silent };
}

/** Returns when a sample must have ended: databases that do not answer must not keep the plan away. All in epoch ms. */
export function sampleDeadline(now: number, deadline: number): number {
  return now + (deadline - now) * SAMPLE_SHARE;
}

/** Returns some of the tenants, in a random order. */
export function sampleOf(
  tenants: readonly Tenant[],
  part: number,
  random: () => number = Math.random,
): Tenant[] {
  const count = Math.min(Math.ceil(tenants.length * part), MAX_ASKED);
  const pool = [...tenants];
  return Array.from({ length: count }, () => {
    const [picked] = pool.splice(Math.floor(random() * pool.length), 1);
    return picked;
  }).filter((each) => each !== undefined);
}

async function ask(
  { reference }: Tenant,
  { bundle, requestId, log, deadline: whole, hide, resolve }: FleetDependencies,
) {
  const deadline = Math.min(whole, Date.now() + ASK_MS);
  const patience = { until: 0, log };
  return await migrate(parseRequest({ action: "plan" }), {
    ...{ bundle, requestId, log, deadline },
    target: async () => {
      const target = await resolveTenant(reference, { resolve, patience, deadline });
      hide(target.url);
      return target;
    },
  });
}
