import type { Tenant } from "./check-targets.ts";
import type { PlannedWave } from "./fleet-plan.ts";
import type { AskedWave, FleetRequest } from "./fleet-request.ts";
import { fleetInvalid } from "./read-request.ts";

/** A wave with its tenants, before it is a file. */
export interface CutWave extends Omit<PlannedWave, "index" | "key" | "rehearse"> {
  readonly tenants: readonly Tenant[];
}

/** The part of a request that says how waves are cut. */
export type WaveRequest = Pick<FleetRequest, "waves" | "maxConcurrency" | "tolerated" | "perHost">;

/**
 * Cuts the tenants that are due into waves. Those that nobody names go in the order of their ids. A wave without anybody is
 * left out, and so is its pause.
 * @param known the ids of all tenants of the list, due or not
 * @throws MigratorError `FLEET_INVALID` for a name that no tenant has, and for tenants that no wave has
 */
export function cutWaves(
  due: readonly Tenant[],
  known: ReadonlySet<string>,
  request: WaveRequest,
): readonly CutWave[] {
  const named = new Set(request.waves.flatMap((wave) => ("tenants" in wave ? wave.tenants : [])));
  const unknown = [...named].find((id) => !known.has(id));
  if (unknown !== undefined) {
    throw fleetInvalid(
      `waves names the tenant ${JSON.stringify(unknown)}, which is not in the list.`,
    );
  }
  const byId = new Map(due.map((tenant) => [tenant.reference.id, tenant]));
  const rest = due
    .filter(({ reference }) => !named.has(reference.id))
    .toSorted((a, b) => compareIds(a.reference.id, b.reference.id));
  const waves: CutWave[] = [];
  for (const wave of request.waves) {
    const tenants = take(wave, byId, rest, due.length);
    waves.push(...withinHosts(wave, tenants, request));
  }
  if (rest.length > 0) {
    throw fleetInvalid(
      `The waves leave ${rest.length} tenants over, ${JSON.stringify(rest[0]?.reference.id)} first. End them with {"percent":100}.`,
    );
  }
  return waves.map((wave, index) => {
    const before = waves.slice(0, index).filter(({ name }) => name === wave.name).length;
    return before === 0 ? wave : { ...wave, name: `${wave.name} (${before + 1})` };
  });
}

/** Takes the tenants of a wave out of those that are left. */
function take(
  wave: AskedWave,
  byId: Map<string, Tenant>,
  rest: Tenant[],
  total: number,
): readonly Tenant[] {
  if ("tenants" in wave) {
    return wave.tenants.flatMap((id) => {
      const tenant = byId.get(id);
      byId.delete(id);
      return tenant === undefined ? [] : [tenant];
    });
  }
  const count = "count" in wave ? wave.count : Math.ceil((total * wave.percent) / 100);
  return rest.splice(0, count);
}

/**
 * Makes a planned wave of each, or two where `perHost` is set: the tenants of computes that would get more than their cap go
 * first, so many at a time as one compute may get, whatever computes they are on. All others follow with the concurrency of
 * the wave. A map starts its children in no order that could be relied on, so nothing but its concurrency holds a cap.
 */
function withinHosts(
  wave: AskedWave,
  tenants: readonly Tenant[],
  { maxConcurrency, tolerated, perHost }: WaveRequest,
): readonly CutWave[] {
  const asked = Math.max(tolerated.count, Math.floor((tenants.length * tolerated.percent) / 100));
  // A wave of which nobody came through is within no budget: a canary would be none.
  const budget = Math.max(Math.min(asked, tenants.length - 1), 0);
  const hosts = new Map<string | null, number>();
  for (const { reference } of tenants) {
    const host = hostOf(reference);
    hosts.set(host, (hosts.get(host) ?? 0) + 1);
  }
  const isCrowded = (tenant: Tenant) => {
    const host = hostOf(tenant.reference);
    return perHost !== null && host !== null && (hosts.get(host) ?? 0) > perHost;
  };
  const crowded = tenants.filter(isCrowded);
  const others = tenants.filter((tenant) => !isCrowded(tenant));
  const name = nameOf(wave);
  const ofCrowded = Math.round((budget * crowded.length) / Math.max(tenants.length, 1));
  const parts = [
    {
      name: others.length > 0 ? `${name}, shared` : name,
      ...{ tenants: crowded, most: perHost ?? maxConcurrency, toleratedCount: ofCrowded },
    },
    { name, tenants: others, most: maxConcurrency, toleratedCount: budget - ofCrowded },
  ].filter(({ tenants: part }) => part.length > 0);
  return parts.map((part, index) => ({
    ...{ name: part.name, tenants: part.tenants, count: part.tenants.length },
    maxConcurrency: Math.min(part.most, maxConcurrency),
    toleratedCount: part.toleratedCount,
    pauseSeconds: index === parts.length - 1 ? wave.pauseSeconds : 0,
  }));
}

/** The compute of a tenant, as far as its reference tells it; null where only the connection string would. */
function hostOf(reference: Tenant["reference"]): string | null {
  if ("neon" in reference) return `${reference.neon.project}/${reference.neon.branch ?? ""}`;
  return "database" in reference ? "own" : null;
}

const MAX_NAME = 24;

function nameOf(wave: AskedWave): string {
  if ("percent" in wave) return `${wave.percent} %`;
  if ("count" in wave) return `${wave.count}`;
  const [first = ""] = wave.tenants;
  const more = wave.tenants.length - 1;
  const name = first.length > MAX_NAME ? `${first.slice(0, MAX_NAME - 1)}…` : first;
  return more === 0 ? name : `${name} and ${more} more`;
}

function compareIds(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
