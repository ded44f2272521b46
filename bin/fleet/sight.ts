import type { FleetPlan, PlannedWave } from "../../lib/fleet/fleet-plan.ts";
import { asRecord, asText, parseJson } from "../../lib/json.ts";
import type { Cloud, DescribedRun, MapRunCounts } from "./cloud.ts";

/** All that can be seen of a run from outside, at one moment. Its JSON is the answer of `fleet status`. */
export interface Sight {
  readonly run: string;
  readonly arn: string;
  readonly status: string;
  readonly startedAt: string;
  /** Null while it runs. */
  readonly endedAt: string | null;
  /** Why it failed, or who stopped it, as Step Functions has it; null where nothing did. */
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Null before the list is read. */
  readonly counts: FleetPlan["counts"] | null;
  readonly waves: readonly WaveSight[];
  /** Failed tenants, in the order in which they were seen; `MAX_FAILURES` of them at the most. */
  readonly failures: readonly FailedTenant[];
  /** Those under way for longest. */
  readonly slowest: readonly RunningTenant[];
}

/** One wave; its numbers are 0 before it begins. */
export interface WaveSight extends Pick<MapRunCounts, Numbers> {
  readonly name: string;
  readonly count: number;
  readonly toleratedCount: number;
  readonly state: "waiting" | "running" | "done" | "failed" | "stopped";
  readonly startedAt: string | null;
  readonly endedAt: string | null;
}

type Numbers = "pending" | "running" | "succeeded" | "failed" | "aborted";

/** A tenant that failed. */
export interface FailedTenant {
  readonly id: string;
  readonly wave: string;
  readonly code: string;
  /** The first line of the function's message. */
  readonly message: string;
}

/** A tenant under way. */
export interface RunningTenant {
  readonly id: string;
  readonly sinceMs: number;
}

/** Each is one call more; the report has all of them, by cause. */
const MAX_FAILURES = 20;
const MAX_SLOWEST = 3;
const MAX_RUNNING = 1_000;

const STATES: Readonly<Record<string, WaveSight["state"]>> = {
  RUNNING: "running",
  SUCCEEDED: "done",
  FAILED: "failed",
  ABORTED: "stopped",
};

/** Looks at one run again and again. What does not change any more is asked once. */
export class Watcher {
  readonly #cloud: Cloud;
  readonly #arn: string;
  #plan: FleetPlan | null = null;
  #functionArn: string | null = null;
  #begun: number | null = null;
  readonly #ended = new Map<string, MapRunCounts>();
  readonly #tenants = new Map<string, DescribedRun>();
  readonly #failures = new Map<string, FailedTenant>();

  constructor(cloud: Cloud, arn: string) {
    this.#cloud = cloud;
    this.#arn = arn;
  }

  /** The plan, which is there as soon as the list was read. */
  get plan(): FleetPlan | null {
    return this.#plan;
  }

  /** The function that the run calls; null before it was called. */
  get functionArn(): string | null {
    return this.#functionArn;
  }

  /** How many waves have begun, as far as it was seen; null before the first look. */
  get begun(): number | null {
    return this.#begun;
  }

  /**
   * Looks once.
   * @param closely whether single tenants are looked at, which costs a call each
   */
  async look(
    closely: boolean,
  ): Promise<{ readonly sight: Sight; readonly described: DescribedRun }> {
    const described = await this.#cloud.describe(this.#arn);
    await this.#readBeginning();
    const begun = await this.#cloud.waves(this.#arn);
    this.#begun = begun.length;
    const counts = await Promise.all(begun.map(({ arn }) => this.#countsOf(arn)));
    const planned = this.#plan?.waves ?? [];
    if (closely) {
      for (const [at, each] of counts.entries()) await this.#readFailures(each, planned[at]);
    }
    const current = counts.find(({ status }) => status === "RUNNING");
    const slowest = closely && current !== undefined ? await this.#slowestOf(current.arn) : [];
    const sight = {
      ...{ run: described.name, arn: this.#arn, status: described.status },
      ...{ startedAt: described.startedAt.toISOString(), endedAt: timeOf(described.endedAt) },
      error: errorOf(described),
      counts: this.#plan?.counts ?? null,
      waves: planned.map((wave, at) => waveOf(wave, counts[at])),
      failures: [...this.#failures.values()],
      slowest,
    };
    return { sight, described };
  }

  async #readBeginning(): Promise<void> {
    if (this.#plan !== null) return;
    const { prepared, functionArn } = await this.#cloud.beginning(this.#arn);
    this.#functionArn = functionArn;
    const { Payload } = asRecord(prepared === null ? null : parseJson(prepared));
    if (Array.isArray(asRecord(Payload).waves)) {
      // The function made it, and Step Functions keeps what it was given.
      this.#plan = Payload as FleetPlan;
    }
  }

  async #countsOf(arn: string): Promise<MapRunCounts> {
    const known = this.#ended.get(arn);
    if (known !== undefined) return known;
    const counts = await this.#cloud.counts(arn);
    if (counts.status !== "RUNNING") this.#ended.set(arn, counts);
    return counts;
  }

  async #readFailures({ arn, failed }: MapRunCounts, wave: PlannedWave | undefined): Promise<void> {
    const name = wave?.name ?? "";
    const seen = [...this.#failures.values()].filter((each) => each.wave === name).length;
    if (failed <= seen || this.#failures.size >= MAX_FAILURES) return;
    for (const status of ["FAILED", "TIMED_OUT"] as const) {
      const listed = await this.#cloud.tenants(arn, status, MAX_FAILURES);
      for (const tenant of listed.toReversed()) {
        if (this.#failures.has(tenant.arn) || this.#failures.size >= MAX_FAILURES) continue;
        const { id, error, cause } = await this.#tenant(tenant.arn);
        const message = firstLine(messageIn(cause));
        this.#failures.set(tenant.arn, { id, wave: name, code: error ?? status, message });
      }
    }
  }

  async #slowestOf(mapRunArn: string): Promise<readonly RunningTenant[]> {
    const running = await this.#cloud.tenants(mapRunArn, "RUNNING", MAX_RUNNING);
    const oldest = running
      .toSorted((one, other) => one.startedAt.getTime() - other.startedAt.getTime())
      .slice(0, MAX_SLOWEST);
    return await Promise.all(
      oldest.map(async ({ arn, startedAt }) => ({
        id: (await this.#tenant(arn)).id,
        sinceMs: Math.max(Date.now() - startedAt.getTime(), 0),
      })),
    );
  }

  async #tenant(arn: string): Promise<DescribedRun & { readonly id: string }> {
    const known = this.#tenants.get(arn) ?? (await this.#cloud.describe(arn));
    // One that is under way has its end still to come.
    this.#tenants.set(arn, known);
    const found = known.status === "RUNNING" ? await this.#again(known) : known;
    return { ...found, id: asText(asRecord(asRecord(parseJson(found.input)).target).id) };
  }

  async #again(known: DescribedRun): Promise<DescribedRun> {
    const found = await this.#cloud.describe(known.arn);
    this.#tenants.set(known.arn, found);
    return found;
  }
}

function waveOf(wave: PlannedWave, counts: MapRunCounts | undefined): WaveSight {
  const { name, count, toleratedCount } = wave;
  const { pending = count, running = 0, succeeded = 0, failed = 0, aborted = 0 } = counts ?? {};
  return {
    ...{ name, count, toleratedCount, pending, running, succeeded, failed, aborted },
    state: counts === undefined ? "waiting" : (STATES[counts.status] ?? "running"),
    startedAt: timeOf(counts?.startedAt ?? null),
    endedAt: timeOf(counts?.endedAt ?? null),
  };
}

function errorOf({ error, cause }: DescribedRun): Sight["error"] {
  if (error === null) return null;
  return { code: error, message: firstLine(messageIn(cause)) };
}

/** Lambda's cause is JSON with the message; Step Functions' own is a sentence. */
function messageIn(cause: string | null): string {
  const { errorMessage } = asRecord(parseJson(cause ?? ""));
  return typeof errorMessage === "string" ? errorMessage : (cause ?? "");
}

function firstLine(text: string): string {
  const { error } = asRecord(parseJson(text));
  const message = asText(asRecord(error).message);
  return (message === "" ? text : message).split("\n", 1)[0] ?? "";
}

function timeOf(date: Date | null): string | null {
  return date === null ? null : date.toISOString();
}
