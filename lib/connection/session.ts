import type { Pool, PoolClient, QueryResultRow } from "@neondatabase/serverless";
import { MigratorError, type Warning } from "../errors.ts";
import { postgresFacts } from "../postgres/errors.ts";
import type { Endpoint } from "../target/endpoint.ts";
import type { Target } from "../target/target.ts";
import { pause, within } from "../wait.ts";
import type {
  Connection,
  DatabaseFacts,
  Notice,
  Rows,
  SessionObserver,
  SessionOptions,
  Whereabouts,
} from "./connection.ts";
import { createPool } from "./driver.ts";
import { connectionLost, connectTimeout, endsSession } from "./errors.ts";
import { Notices } from "./notices.ts";
import { disconnectsUnwatched, type Greeting, greeting, ownSettings } from "./opening.ts";
import { Pipeline, SendFailure, type Sending } from "./pipeline.ts";
import type { Attempts } from "./refusal.ts";
import { createWire, type Wire } from "./websocket.ts";

/** Behind the deadline a living run still cancels, records and looks. So long after it nothing of it lives, in ms. */
const AFTER_DEADLINE_MS = 30_000;

/** The longest pause before a second session is tried again. Nobody waits for it longer when the first one has ended. */
const MOST_BESIDE_PAUSE_MS = 500;

/** The time for the goodbye, in ms. */
const CLOSE_TIMEOUT_MS = 250;

/**
 * Opens one session and proves that it works. Only the first answer proves that: the driver calls a connection open before
 * the server has seen the password.
 * @throws the driver's error, or MigratorError `CONNECT_TIMEOUT`
 */
export async function openSession<Asked extends string>(
  endpoint: Endpoint,
  target: Target,
  options: SessionOptions<Asked>,
): Promise<Connection<Asked>> {
  const session = new Session(endpoint, target, options);
  try {
    return await session.open();
  } catch (thrown) {
    session.abort();
    throw thrown;
  }
}

class Session<Asked extends string> implements Connection<Asked> {
  readonly #endpoint: Endpoint;
  readonly #target: Target;
  readonly #options: SessionOptions<Asked>;
  readonly #wire: Wire;
  readonly #pool: Pool;
  #client: PoolClient | null = null;
  #greeting: Greeting | null = null;
  #answers: readonly Rows[] = [];
  #firstError: unknown = null;
  readonly #notices = new Notices();
  #interruption: MigratorError | null = null;
  #closed = false;
  /** The series that is on its way; null without one. */
  #pipeline: Pipeline | null = null;

  constructor(endpoint: Endpoint, target: Target, options: SessionOptions<Asked>) {
    this.#options = options;
    this.#endpoint = endpoint;
    this.#target = target;
    this.#wire = createWire((error) => this.#remember(error));
    this.#pool = createPool(endpoint, target, this.#wire, options);
    this.#pool.on("error", (error: unknown) => this.#remember(error));
    this.#pool.on("connect", (client: PoolClient) => this.#watch(client));
  }

  async open(): Promise<this> {
    const { timeoutMs } = this.#options;
    try {
      await within(this.#greet(), timeoutMs, () => {
        throw connectTimeout(this.#endpoint.host, timeoutMs, this.#firstError);
      });
      return this;
    } catch (thrown) {
      throw thrown instanceof MigratorError ? thrown : (this.#firstError ?? thrown);
    }
  }

  async #greet(): Promise<void> {
    this.#client = await this.#pool.connect();
    const questions: readonly string[] = Object.values(this.#options.opening);
    const first = greeting(this.#lastsMs);
    const results = await this.batch([...first, ...questions]);
    const row = results[first.length - 1]?.[0];
    if (row === undefined) throw new Error("The server answered the greeting without a row.");
    // The statement above made this row; its shape is ours.
    this.#greeting = row as unknown as Greeting;
    this.#answers = results.slice(first.length);
  }

  get #lastsMs(): number {
    return this.#options.deadline - Date.now() + AFTER_DEADLINE_MS;
  }

  get ownSettings(): string {
    return ownSettings(this.#lastsMs);
  }

  #watch(client: PoolClient): void {
    client.on("error", (error: unknown) => this.#remember(error));
    client.on("notice", ({ severity, message }) => this.#notices.hear(severity, message));
  }

  #remember(error: unknown): void {
    this.#firstError ??= error;
  }

  get client(): PoolClient {
    if (this.#client === null) throw new Error("The connection is not open.");
    return this.#client;
  }

  get #facts(): Greeting {
    if (this.#greeting === null) throw new Error("The connection is not open.");
    return this.#greeting;
  }

  get backendPid(): number {
    return this.#facts.pid;
  }

  get database(): DatabaseFacts {
    const { name, role, version } = this.#facts;
    return { host: this.#endpoint.host, name, serverVersion: version, role };
  }

  get observer(): SessionObserver | undefined {
    return this.#options.observer;
  }

  get readOnly(): boolean {
    return this.#facts.readOnly;
  }

  get warnings(): readonly Warning[] {
    return [
      ...this.#target.warnings,
      ...this.#endpoint.warnings,
      ...disconnectsUnwatched(this.#facts),
    ];
  }

  get opening(): Readonly<Record<Asked, Rows>> {
    const names = Object.keys(this.#options.opening);
    const answers = names.map((name, index) => [name, this.#answers[index]] as const);
    // The server answers each question, in their order; the names are those of the options.
    return Object.fromEntries(answers) as Record<Asked, Rows>;
  }

  async batch(statements: readonly string[]): Promise<readonly Rows[]> {
    this.assertLive();
    try {
      // For several statements the driver answers with a list, which its types do not know.
      const results: unknown = await this.client.query(statements.join(";\n"));
      return (Array.isArray(results) ? results : [results]).map(({ rows }) => rows ?? []);
    } catch (thrown) {
      throw this.#greeting === null ? thrown : this.explain(thrown);
    }
  }

  async query<Row extends object>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<readonly Row[]> {
    this.assertLive();
    return await this.#send<Row>(text, values);
  }

  async sendAll(
    series: readonly Sending[],
    onStart: (index: number) => void,
  ): Promise<readonly number[]> {
    const members = this.observer?.observe(series) ?? series;
    const pipeline = new Pipeline(members, onStart, () => this.#wire.room());
    try {
      this.assertLive();
      this.#pipeline = pipeline;
      this.client.query(pipeline);
      return await pipeline.done;
    } catch (thrown) {
      const { index, exact, cause } =
        thrown instanceof SendFailure ? thrown : new SendFailure(0, true, thrown);
      // The server cannot confirm that it has rolled back, and need not: it was never asked to commit.
      const isOpen = this.#interruption !== null && !pipeline.hasCommit;
      throw new SendFailure(index, exact, isOpen ? this.#interruption : this.explain(cause));
    } finally {
      this.#pipeline = null;
    }
  }

  async cleanUp(text: string, values: readonly unknown[] = []): Promise<void> {
    await this.#send(text, values);
  }

  async #send<Row extends object>(
    text: string,
    values: readonly unknown[],
  ): Promise<readonly Row[]> {
    try {
      const result = await this.client.query<Row & QueryResultRow>(text, [...values]);
      return result.rows ?? [];
    } catch (thrown) {
      throw this.explain(thrown);
    }
  }

  async lastWords<Result>(work: () => Promise<Result>): Promise<Result> {
    const interruption = this.#interruption;
    this.#interruption = null;
    try {
      return await work();
    } finally {
      this.#interruption ??= interruption;
    }
  }

  explain(thrown: unknown): unknown {
    if (this.#interruption !== null) return stopped(this.#interruption, thrown);
    if (thrown instanceof MigratorError) return thrown;
    const server = postgresFacts(thrown);
    if (server !== null && !endsSession(server)) return thrown;
    this.#remember(thrown);
    return connectionLost(this.#firstError);
  }

  assertLive(): void {
    if (this.#interruption !== null) throw this.#interruption;
  }

  turnTo(place: Whereabouts | null): void {
    this.#notices.turnTo(place?.migration ?? null);
    this.#options.onTurn?.(place);
  }

  notices(): readonly Notice[] {
    return this.#notices.kept;
  }

  roundTrips(): number {
    return this.#wire.roundTrips();
  }

  async interrupt(
    reason: MigratorError,
    graceMs: number,
    before?: (helper: Connection) => Promise<void>,
  ): Promise<void> {
    this.#interruption ??= reason;
    this.#pipeline?.stop();
    const dropped = setTimeout(() => this.abort(), graceMs).unref();
    this.client.once("end", () => clearTimeout(dropped));
    await this.beside(graceMs, async (helper) => {
      await before?.(helper);
      return await helper.query("select pg_catalog.pg_cancel_backend($1::int)", [this.backendPid]);
    });
  }

  async beside<Result>(
    timeoutMs: number,
    work: (helper: Connection) => Promise<Result>,
  ): Promise<Result | null> {
    const until = Date.now() + timeoutMs;
    const helpers: Session<never>[] = [];
    try {
      const working = this.#openBeside(until, helpers).then(work);
      return await within(working, timeoutMs, () => {
        helpers.at(-1)?.abort();
        return null;
      });
    } catch {
      // Work beside the run is never a reason for the run to fail.
      return null;
    } finally {
      await helpers.at(-1)?.close();
    }
  }

  /** Opens a second session. Whatever refuses it may pass while there is time. */
  async #openBeside(until: number, helpers: Session<never>[]): Promise<Connection> {
    let attempts: Attempts | null = null;
    for (;;) {
      const timeoutMs = Math.max(until - Date.now(), 0);
      const options = { ...this.#options, timeoutMs, opening: {} };
      const helper = new Session<never>(this.#endpoint, this.#target, options);
      helpers.push(helper);
      try {
        return await helper.open();
      } catch (thrown) {
        await helper.close();
        const refusal = await import("./refusal.ts");
        attempts ??= new refusal.Attempts();
        const error = refusal.connectError(thrown, this.#endpoint.host);
        const pauseMs = attempts.pauseMs(error, until - Date.now());
        if (pauseMs === null) throw error;
        await pause(Math.min(pauseMs, MOST_BESIDE_PAUSE_MS));
        if (this.#closed) throw error;
      }
    }
  }

  get announcedPid(): number | null {
    const pid: unknown = Reflect.get(this.client, "processID");
    return typeof pid === "number" ? pid : null;
  }

  abort(): void {
    this.#wire.terminate();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#client !== null) {
      this.#client.release(true);
      await within(this.#wire.goodbyeSent, CLOSE_TIMEOUT_MS, () => undefined);
    }
    this.abort();
    await this.#pool.end();
  }
}

/**
 * Returns the reason of an interruption, with the server's word as its cause. Without one nobody knows how the statement
 * has ended.
 */
function stopped(reason: MigratorError, thrown: unknown): MigratorError {
  if (thrown instanceof MigratorError) return reason;
  if (postgresFacts(thrown) !== null) {
    return new MigratorError(reason.code, reason.message, { ...reason.facts, cause: thrown });
  }
  return new MigratorError(
    reason.code,
    `${reason.message} The server did not confirm that: only the ledger knows what was committed.`,
    { ...reason.facts, unconfirmed: true },
  );
}
