import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Role } from "../../local/postgres/admin.ts";
import { type LocalPostgres, startPostgres } from "../../local/postgres/postgres.ts";
import { CONTESTANTS, type Contestant, type Site } from "./contestants.ts";
import { childrenOf, endedTime, ownTime } from "./processor-time.ts";
import { median } from "./statistics.ts";
import type { Workload } from "./workload.ts";

/** The processor time of each side while one contestant applies one workload; medians in ms. */
export interface ProfileFigure {
  readonly contestant: string;
  /** The number of pending statements; 0 for a run with nothing to do. */
  readonly pending: number;
  /** The time of all backends of the run. */
  readonly serverMs: number;
  readonly clientMs: number;
  readonly relayMs: number;
}

/** The input of the measurement. */
export interface ProfileOptions {
  readonly workloads: readonly Workload[];
  readonly runs: number;
  progress(line: string): void;
}

interface Place {
  readonly postgres: LocalPostgres;
  readonly postmaster: number;
  /** The number of the server's processes while nobody is connected. */
  readonly helpers: number;
  readonly relay: ChildProcess;
  readonly role: Role;
  readonly site: Site;
}

type Times = Omit<ProfileFigure, "contestant" | "pending">;

const DATABASE = "profile";
/** A run with nothing to do takes less than the kernel's unit, so many runs are counted together. */
const RUNS_WITH_NOTHING = 31;
const SETTLE_TIMEOUT_MS = 10_000;

/** Counts the processor time of server, client and relay, without latency. Linux only: the kernel counts. */
export async function measureProfile(options: ProfileOptions): Promise<readonly ProfileFigure[]> {
  if (process.platform !== "linux") return [];
  // The time of a worker that vacuums would be counted, too.
  const postgres = await startPostgres({ settings: { autovacuum: "off" } });
  const script = fileURLToPath(new URL("./relay-process.ts", import.meta.url));
  const relay = fork(script, [String(postgres.port)], { execArgv: ["--import", "tsx"] });
  try {
    const [address] = await once(relay, "message");
    const role = await postgres.admin.createRole("profile");
    const site = { url: postgres.url(DATABASE, role), relay: String(address) };
    const pidFile = join(postgres.directory, "data", "postmaster.pid");
    const postmaster = Number.parseInt(await readFile(pidFile, "utf8"), 10);
    const [row] = await postgres.admin.sql(
      "select count(*)::int as helpers from pg_stat_activity where backend_type <> 'client backend'",
    );
    const helpers = Number(row?.helpers);
    return await profileAll({ postgres, postmaster, helpers, relay, role, site }, options);
  } finally {
    relay.disconnect();
    await postgres.stop();
  }
}

async function profileAll(
  place: Place,
  { workloads, runs, progress }: ProfileOptions,
): Promise<readonly ProfileFigure[]> {
  const [smallest] = workloads;
  if (smallest === undefined) return [];
  const taken = new Map<string, Times[]>();
  const take = async (pending: number, contestant: Contestant, times: Promise<Times>) => {
    const key = `${pending} ${contestant.name}`;
    taken.set(key, [...(taken.get(key) ?? []), await times]);
  };
  for (let run = 0; run < runs; run += 1) {
    await emptyDatabase(place);
    await CONTESTANTS[1]?.apply(smallest, place.site);
    for (const contestant of CONTESTANTS) {
      await take(0, contestant, profileNothing(place, contestant, smallest));
    }
    for (const workload of workloads) {
      for (const contestant of CONTESTANTS) {
        await emptyDatabase(place);
        const times = profile(place, () => contestant.apply(workload, place.site));
        await take(workload.statements, contestant, times);
      }
      progress(`profile of ${workload.statements} statements, run ${run + 1}`);
    }
  }
  return [0, ...workloads.map(({ statements }) => statements)].flatMap((pending) =>
    CONTESTANTS.map(({ name }) => figure(name, pending, taken.get(`${pending} ${name}`) ?? [])),
  );
}

async function profileNothing(
  place: Place,
  contestant: Contestant,
  workload: Workload,
): Promise<Times> {
  const sum = await profile(place, async () => {
    for (let run = 0; run < RUNS_WITH_NOTHING; run += 1) {
      await contestant.applyNothing(workload, place.site);
    }
  });
  return {
    serverMs: sum.serverMs / RUNS_WITH_NOTHING,
    clientMs: sum.clientMs / RUNS_WITH_NOTHING,
    relayMs: sum.relayMs / RUNS_WITH_NOTHING,
  };
}

async function profile(place: Place, work: () => Promise<void>): Promise<Times> {
  await settle(place);
  const { postmaster, relay } = place;
  const before = { server: await endedTime(postmaster), relay: await ownTime(relay.pid ?? 0) };
  const client = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(client);
  await settle(place);
  return {
    serverMs: (await endedTime(postmaster)) - before.server,
    clientMs: (user + system) / 1_000,
    relayMs: (await ownTime(relay.pid ?? 0)) - before.relay,
  };
}

async function emptyDatabase({ postgres, role }: Place): Promise<void> {
  await postgres.admin.dropDatabase(DATABASE);
  await postgres.admin.createDatabase(DATABASE, { owner: role.name });
}

/** Waits until every backend has ended: the kernel counts it only then. */
async function settle({ postmaster, helpers }: Place): Promise<void> {
  const until = Date.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    if ((await childrenOf(postmaster)).length <= helpers) return;
    if (Date.now() > until) throw new Error("A backend did not end.");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function figure(contestant: string, pending: number, taken: readonly Times[]): ProfileFigure {
  return {
    contestant,
    pending,
    serverMs: median(taken.map(({ serverMs }) => serverMs)),
    clientMs: median(taken.map(({ clientMs }) => clientMs)),
    relayMs: median(taken.map(({ relayMs }) => relayMs)),
  };
}
