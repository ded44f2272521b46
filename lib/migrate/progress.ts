import type { Bundle, Migration } from "../bundle/bundle.ts";
import type { ReportedFinding } from "../bundle/finding.ts";
import { openWarnings } from "../bundle/folder-warning.ts";
import type { Connection, Rows, Whereabouts } from "../connection/connection.ts";
import { MigratorError, STOPS, type Warning } from "../errors.ts";
import type { Watch } from "../execute/contention.ts";
import { interruptedAt } from "../execute/error-place.ts";
import type { RunResult, RunTimes } from "../execute/execute-plan.ts";
import { describeApplied } from "../execute/executor.ts";
import { pendingFindings } from "../grade/grade-findings.ts";
import { readRestorePoint } from "../history/history.ts";
import type { ExecutorReason } from "../plan/plan.ts";
import {
  describeCut,
  describePending,
  type ReportedCut,
  type RunFacts,
  type Timings,
  toMigratorError,
} from "../report/report.ts";
import type { Planned } from "./make-plan.ts";
import { type Milestone, milestones } from "./milestone.ts";

/** The facts of a run that are known from its beginning. */
type Facts = RunFacts &
  Required<Pick<RunFacts, "applied" | "pending" | "warnings" | "notices" | "roundTrips">>;

/** Errors that come from outside of the statement that they interrupt. */
const FROM_OUTSIDE: readonly string[] = [...STOPS, "CONNECTION_LOST", "INTERNAL"];

/**
 * All that a run has learned so far, over all its attempts. Each thing that it learns has a verb here, and whatever
 * happens next, the report says this much.
 */
export class Progress {
  readonly #bundle: Bundle;
  readonly #started: number = Date.now();
  #deadline: number;
  #timings: Omit<Timings, "totalMs"> = { connectMs: 0, lockMs: 0, planMs: 0, executeMs: 0 };
  #facts: Facts;
  /** The session of the present attempt. */
  #connection: Connection | null = null;
  /** The work outside of the migrations, behind the words "It was"; null while a migration runs. */
  #doing: string | null = null;
  /** The place in the migrations where the run is, or was last, before a connection was lost for example. */
  #place: Whereabouts | null = null;
  /** Tells for whom the run waits; null before the first migration. */
  #watch: Watch | null = null;
  /** Brings the facts up to date while a plan is being carried out. */
  #update: (() => void) | null = null;
  /**
   * Tags that were pending when an attempt failed. After a lost connection only the ledger knows whether they are applied;
   * no other failure is followed by an attempt that could look.
   */
  #inDoubt = new Set<string>();
  #times: RunTimes | null = null;
  #lastPid: number | null = null;
  #lostPid: number | null = null;
  /** Whether nobody knows what became of the last transaction. */
  #isUnknown = false;
  readonly #milestone: (place: Whereabouts) => Milestone = milestones(() => this.#facts);

  constructor(bundle: Bundle, deadline: number) {
    this.#bundle = bundle;
    this.#deadline = deadline;
    this.#facts = {
      ...{ applied: [], pending: [], notices: [], roundTrips: 0 },
      warnings: openWarnings(bundle.warnings),
    };
  }

  /** Epoch ms. In the past as soon as somebody else answers for the run, which then stops. */
  get deadline(): number {
    return this.#deadline;
  }

  /** Keeps the time of each statement and of each wait; null before there is any. */
  get times(): RunTimes | null {
    return this.#times;
  }

  get timings(): Omit<Timings, "totalMs"> {
    return this.#timings;
  }

  get hasApplied(): boolean {
    return this.#facts.applied.length > 0;
  }

  /** Whether the last attempt may have committed something that only the ledger knows of. */
  get isInDoubt(): boolean {
    return this.#inDoubt.size > 0;
  }

  /** Whether something was applied, and nothing is left to apply. */
  get isComplete(): boolean {
    return this.hasApplied && this.#facts.pending.length === 0;
  }

  /** The server's number for the session of the attempt before this one; null in the first attempt. */
  get lostPid(): number | null {
    return this.#lostPid;
  }

  /** The server's number for the last session; null before the first. */
  get lastPid(): number | null {
    return this.#lastPid;
  }

  /**
   * All that is known at this moment, what the present session has to tell included. Where a transaction may have been
   * committed, or may still be, nobody can promise that a failure has left nothing behind.
   */
  facts(): RunFacts {
    const timings = { ...this.#timings, totalMs: Date.now() - this.#started };
    const facts = this.#upToDate();
    const times = this.#times?.told(facts.applied, facts.pending);
    return { ...facts, ...times, ...(this.#isUnknown ? { atomic: false } : {}), timings };
  }

  #upToDate(): Facts {
    this.#update?.();
    const { notices, roundTrips } = this.#facts;
    if (this.#connection === null) return this.#facts;
    return {
      ...this.#facts,
      notices: [...notices, ...this.#connection.notices()],
      roundTrips: roundTrips + this.#connection.roundTrips(),
    };
  }

  #learn(facts: RunFacts): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  /** Keeps warnings, each text once. */
  warned(warnings: readonly Warning[]): void {
    for (const { code, message } of warnings) {
      if (this.#facts.warnings.some((known) => known.message === message)) continue;
      this.#learn({ warnings: [...this.#facts.warnings, { code, message }] });
    }
  }

  /** Begins to count time. @returns stops that: what its first call counts is added to the time of such work */
  clock(name: keyof Omit<Timings, "totalMs">): () => void {
    const started = Date.now();
    let running = true;
    return () => {
      const sum = this.#timings[name] + Date.now() - started;
      if (running) this.#timings = { ...this.#timings, [name]: sum };
      running = false;
    };
  }

  /** From here on the times of statements and waits are kept, over all attempts. */
  keepsTimes(Times: typeof RunTimes): RunTimes {
    this.#times ??= new Times(() => Date.now() - this.#started);
    return this.#times;
  }

  /** Does work, and adds its time to the time of such work. */
  async timed<Result>(
    name: Parameters<Progress["clock"]>[0],
    work: () => Promise<Result>,
  ): Promise<Result> {
    const stop = this.clock(name);
    try {
      return await work();
    } finally {
      stop();
    }
  }

  /** The run has begun work outside of the migrations. @param doing continues the words "It was" */
  began(doing: string): void {
    this.#doing = doing;
  }

  /** The server has turned to this place in the migrations. */
  reached(place: Whereabouts): Milestone {
    this.#place = place;
    this.#doing = null;
    return this.#milestone(place);
  }

  /** An attempt has its session. */
  connected(connection: Connection): void {
    if (this.#facts.database === undefined) this.warned(connection.warnings);
    this.#learn({ database: connection.database });
    this.#connection = connection;
    this.#lostPid = this.#lastPid;
    this.#lastPid = connection.backendPid;
    this.began("planning");
  }

  /** The session of an attempt ends: what it has told is kept. */
  closed(): void {
    this.#facts = this.#upToDate();
    this.#connection = null;
  }

  /**
   * There is a plan.
   * @param make makes it; its time is kept, too
   * @param restorePoint the answer that came with the ledger; undefined where nothing will be written by the plan
   */
  async planned(make: () => Promise<Planned>, restorePoint?: Rows): Promise<Planned> {
    const started = Date.now();
    const before = readRestorePoint(restorePoint);
    // Also a ledger that cannot be planned by has been read at a time.
    if (this.#facts.restorePoint === undefined) this.#learn({ restorePoint: before });
    const { ledger, plan } = await make();
    const { executor, executorReason, drift } = plan;
    const atomic = plan.atomic && !this.hasApplied;
    if (before !== null && !this.#hasWritten(plan)) this.#learn({ restorePoint: before });
    // A migration that this run itself applies was still pending when it began.
    if (!this.hasApplied && !this.isInDoubt) this.#dropSettled(plan);
    this.warned([...ledger.warnings, ...plan.warnings]);
    this.#timings = { ...this.#timings, planMs: Date.now() - started };
    this.#learn({
      ledger: { ...ledger.place, format: ledger.format },
      ...{ executor, executorReason, drift },
      cuts: this.#cutsWith(plan),
      // A later plan has less before it, and does not take back what an earlier one has left.
      atomic: atomic && this.#facts.atomic !== false,
      latest: plan.latest,
      pending: plan.pending.map(({ migration, reasons, checkpoint }) =>
        describePending(migration, reasons, checkpoint?.done ?? 0),
      ),
      // They are about what was pending when the run began: an attempt that goes on after another has less before it.
      findings: this.#facts.findings ?? pendingFindings(plan),
    });
    return { ledger, plan };
  }

  /** Drops the warnings about the folder that do not matter any more: every migration is applied or pending. */
  #dropSettled({ pending }: Planned["plan"]): void {
    const tags = new Set(pending.map(({ migration }) => migration.tag));
    const ofFolder = new Set(this.#bundle.warnings.map(({ message }) => message));
    const others = this.#facts.warnings.filter(({ message }) => !ofFolder.has(message));
    this.#learn({
      warnings: [...openWarnings(this.#bundle.warnings, (tag) => !tags.has(tag)), ...others],
    });
  }

  /**
   * Whether this run has written before it made this plan. Without that, what others have written meanwhile comes before
   * the first write of the run.
   */
  #hasWritten(plan: Planned["plan"]): boolean {
    const doneBefore = new Map(this.#facts.pending.map(({ tag, done }) => [tag, done]));
    return (
      this.hasApplied ||
      (this.isInDoubt && plan.applied.some(({ tag }) => this.#inDoubt.has(tag))) ||
      plan.pending.some(({ migration, checkpoint }) => {
        const done = doneBefore.get(migration.tag) ?? 0;
        // A checkpoint is written ahead of a statement that stands alone.
        return (
          doneBefore.has(migration.tag) &&
          checkpoint != null &&
          (checkpoint.done > done || checkpoint.running !== null)
        );
      })
    );
  }

  /** Adds the cuts of a plan to those of the plans before it: what was committed behind these is not planned again. */
  #cutsWith({ cuts }: Planned["plan"]): readonly ReportedCut[] {
    const before = this.#facts.cuts ?? [];
    const isKnown = (cut: ReportedCut) =>
      before.some((each) => each.migration === cut.migration && each.statement === cut.statement);
    return [...before, ...cuts.map(describeCut).filter((cut) => !isKnown(cut))];
  }

  /** The ledger has rows of these migrations. A COMMIT whose answer was lost has happened exactly if it has its rows. */
  recovered(plan: Planned["plan"]): void {
    if (!this.isInDoubt) return;
    const recovered = plan.applied.filter(({ tag }) => this.#inDoubt.has(tag));
    this.#learn({ applied: [...this.#facts.applied, ...appliedByOthers(recovered)] });
    for (const { tag } of recovered) this.#inDoubt.delete(tag);
  }

  /** The answer to `status`, or a part of the answer to `plan`. */
  answered(facts: Pick<RunFacts, "applied" | "drift" | "running" | "steps">): void {
    this.#learn(facts);
  }

  /** The findings are graded by the database's catalog. */
  graded(findings: readonly ReportedFinding[]): void {
    this.#learn({ findings });
  }

  /** Our own executor would take over from Drizzle's. */
  fallsBack(executorReason: ExecutorReason): void {
    this.#learn({ executor: "statements", executorReason });
  }

  /** Somebody watches for whom the run waits. */
  watched(watch: Watch): void {
    this.#watch = watch;
  }

  /** Looks once more for whom the run waits. Never rejects. */
  async lookForBlockers(helper: Connection): Promise<void> {
    await this.#watch?.look(helper);
  }

  /** A plan is being carried out. @param soFar tells at any time how far it is */
  carriesOut(soFar: () => RunResult): void {
    const before = this.#facts;
    this.#update = () => this.#keep(soFar(), before);
  }

  /** A plan was carried out, as far as it came. */
  carriedOut({ failure }: RunResult): void {
    this.#update?.();
    this.#update = null;
    if (failure === null) return;
    this.#inDoubt = new Set(this.#facts.pending.map(({ tag }) => tag));
    const { thrown } = failure;
    this.#isUnknown = thrown instanceof MigratorError && thrown.facts.unconfirmed === true;
  }

  /** Somebody has found out what became of the last transaction. */
  settled(): void {
    this.#isUnknown = false;
    this.#inDoubt = new Set();
  }

  #keep(
    { executor, executorReason, ledger, applied, done, warnings }: RunResult,
    before: Facts,
  ): void {
    const tags = new Set(applied.map(({ tag }) => tag));
    this.#learn({
      ...{ executor, executorReason, ledger },
      applied: [...before.applied, ...applied],
      latest: applied.at(-1)?.tag ?? before.latest ?? null,
      pending: before.pending
        .filter(({ tag }) => !tags.has(tag))
        .map((each) => ({ ...each, done: done.get(each.tag) ?? each.done })),
    });
    this.warned(warnings);
  }

  /**
   * Somebody else answers for the run. Nothing more is begun, and the work that goes on loses its session: the lock is
   * free.
   * @returns the reason, with the names of those for whom the run waits
   */
  gaveUp(reason: unknown): unknown {
    this.#deadline = 0;
    this.#isUnknown ||= this.#update !== null;
    this.#connection?.abort();
    return this.#watch?.named(reason) ?? reason;
  }

  /**
   * Somebody stops the run, but waits for its report: the statement that runs is cancelled, and nothing more is begun.
   * @param graceMs the time for that, before the connection is dropped
   * @returns whether there is a session that can be stopped so
   */
  stopped(reason: MigratorError, graceMs: number): boolean {
    this.#deadline = 0;
    void this.#connection?.interrupt(reason, graceMs, (helper) => this.lookForBlockers(helper));
    return this.#connection !== null;
  }

  /** Adds to an error what the run was doing, where the error does not say that itself. */
  located(thrown: unknown): MigratorError {
    const error = toMigratorError(thrown);
    const { code, message, facts } = error;
    if (facts.migration !== undefined || !FROM_OUTSIDE.includes(code)) return error;
    const doing = this.#doing;
    const place = this.#place;
    const told =
      doing === null ? error : new MigratorError(code, `${message} It was ${doing}.`, facts);
    if (place === null) return told;
    const migration = this.#bundle.migrations.find(({ tag }) => tag === place.migration);
    if (migration === undefined) return told;
    const how = doing === null ? "It happened" : "Before, it was";
    return interruptedAt(told, migration, place.index, { how });
  }
}

function appliedByOthers(migrations: readonly Migration[]): Facts["applied"] {
  return migrations.map((migration) => describeApplied(migration, null));
}
