import type { PoolClient } from "@neondatabase/serverless";
import type { MigratorError, Warning } from "../errors.ts";
import type { Sending } from "./pipeline.ts";

/** The beginning of the application name of every session of ours; the request id follows. */
export const APPLICATION_PREFIX = "neon-migrate/";

/** The rows of one statement. */
export type Rows = readonly Readonly<Record<string, unknown>>[];

/** Where in the migrations a session is. */
export interface Whereabouts {
  /** The migration's tag. */
  readonly migration: string;
  /** Index, from 0, of the statement that runs; behind the last one, the number of statements. */
  readonly index: number;
}

/**
 * One session on one backend: the lock, the ledger and the transactions of a run share it. `Asked` are the names of
 * the questions that went out with its login.
 */
export interface Connection<Asked extends string = never> {
  /** The server's own number for this session. On Neon the proxy makes up the number in the login. */
  readonly backendPid: number;
  readonly database: DatabaseFacts;
  /** Undefined where nobody watches. */
  readonly observer: SessionObserver | undefined;
  /** Whether this session can write at all: a replica or a read-only role cannot. */
  readonly readOnly: boolean;
  readonly warnings: readonly Warning[];
  /** The answer to each question that went out with the login. */
  readonly opening: Readonly<Record<Asked, Rows>>;
  /**
   * Sends one statement and waits for its rows.
   * @throws the driver's error where the server refused the statement; MigratorError `CONNECTION_LOST` where the
   *   connection went away, with the first thing that went wrong as its cause
   */
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** Sends several statements without parameters in one message, and waits for the rows of each. */
  batch(statements: readonly string[]): Promise<readonly Rows[]>;
  /** The pinned client, for Drizzle's session. Send through `query` wherever possible. */
  readonly client: PoolClient;
  /** The statement that makes our own settings of the session again, behind one that takes them all away. */
  readonly ownSettings: string;
  /** Turns an error of a query on `client` into the error that `query` would have thrown. */
  explain(thrown: unknown): unknown;
  /** From here on the server is at this place, and its notices belong to that migration; null: they are not kept. */
  turnTo(place: Whereabouts | null): void;
  notices(): readonly Notice[];
  roundTrips(): number;
  /**
   * Sends a series of statements without waiting, and stops at the first that fails.
   * @param onStart called with the index of the statement that the server turns to
   * @returns how long each took, in ms
   * @throws SendFailure, whose cause is the error that `query` would have thrown
   */
  sendAll(series: readonly Sending[], onStart: (index: number) => void): Promise<readonly number[]>;
  /** Like `query`, but goes out even after an interruption: a statement that cleans up must still run. */
  cleanUp(text: string, values?: readonly unknown[]): Promise<void>;
  /**
   * Stops the statement that runs: asks the server, through a second session, to cancel it, and drops the connection where
   * that does not help within `graceMs`. From here on every query fails with `reason`. Never rejects.
   * @param before work for the second session before that: nobody can see who waits but while it waits. Must not reject
   */
  interrupt(
    reason: MigratorError,
    graceMs: number,
    before?: (helper: Connection) => Promise<void>,
  ): Promise<void>;
  /**
   * Does work on a second session to the same place, and closes it behind the work.
   * @returns null where the work does not succeed within `timeoutMs`
   */
  beside<Result>(
    timeoutMs: number,
    work: (helper: Connection) => Promise<Result>,
  ): Promise<Result | null>;
  /** The process id of the login. It differs from `backendPid` where a proxy or a pooler made it up. */
  readonly announcedPid: number | null;
  /** Does work that goes out even after an interruption: a record of what has ended must still be written. */
  lastWords<Result>(work: () => Promise<Result>): Promise<Result>;
  /** @throws the reason of the interruption, if there was one */
  assertLive(): void;
  /** Drops the connection at once. The server notices within about a second. */
  abort(): void;
  /** Says goodbye without waiting for the other side. The session ends, and its lock with it. Never rejects. */
  close(): Promise<void>;
}

/** The way in which one session is opened. */
export interface SessionOptions<Asked extends string = never> {
  /** Whether the password goes out before the server asks for it, as Neon allows. */
  readonly pipelined: boolean;
  /** Shown in `pg_stat_activity` as part of the application name, so that an operator finds the run. */
  readonly requestId: string;
  /** The time until the first answer, in ms. */
  readonly timeoutMs: number;
  /** Epoch ms after which the work on the session must have stopped. */
  readonly deadline: number;
  /** Questions that go out with the login, one statement each, by name: their answers cost no round trip. */
  readonly opening: Readonly<Record<Asked, string>>;
  /** Told whenever the server turns to another statement of a migration, or to something else (null). Must not throw. */
  readonly onTurn?: (place: Whereabouts | null) => void;
  readonly observer?: SessionObserver;
}

/** Watches what a session does. Default: nobody does. */
export interface SessionObserver {
  /** Returns a series with questions among its members, which stay in their order; a question has `onRows`. */
  observe(series: readonly Sending[]): readonly Sending[];
  /** Watches a statement outside a transaction. It calls `run` once, and throws whatever that throws. */
  alone(connection: Connection, place: Whereabouts, run: () => Promise<void>): Promise<void>;
}

/** The database that answered. */
export interface DatabaseFacts {
  readonly host: string;
  readonly name: string;
  readonly serverVersion: string;
  readonly role: string;
}

/** One notice of PostgreSQL, raised while a migration ran. */
export interface Notice {
  readonly severity: string;
  readonly message: string;
  readonly migration: string | null;
}
