import { MigratorError } from "../errors.ts";
import { type PostgresFacts, postgresFacts } from "../postgres/errors.ts";
import { endsSession } from "./errors.ts";

/** One statement to send, with its parameters. */
export interface Sending {
  readonly text: string;
  readonly values?: readonly string[];
  /** In a long series, its answer may arrive along with the answers to a few that follow. Default false. */
  readonly mayLag?: boolean;
  /**
   * Told the rows of the answer, as PostgreSQL writes them. A member with this is a question about the series: its time
   * counts for no statement, and indexes leave it out.
   */
  readonly onRows?: (rows: readonly TextRow[]) => void;
  /**
   * The refusal of a question counts as one of the statement behind it. Where nothing is behind, it counts as none: everything
   * else has been answered. Default: the refusal is an error of ours.
   */
  readonly isOfNext?: true;
  /**
   * The server parses a text of this name once in a series, at its first member, and keeps it in the session. Default: it
   * parses each text anew, and keeps none.
   */
  readonly name?: string;
}

/** A row of an answer: its values as text. */
export type TextRow = readonly (string | null)[];

/** A series ended early: the server has executed nothing behind this statement. */
export class SendFailure extends Error {
  /** Index, from 0, into the series: the server has answered everything before it. */
  readonly index: number;
  /**
   * Whether that very statement failed, by the server's own word. A lost connection loses answers with it: then any
   * statement behind it may have been the last.
   */
  readonly exact: boolean;

  constructor(index: number, exact: boolean, cause: unknown) {
    super(`Statement ${index} of the series failed.`, { cause });
    this.name = "SendFailure";
    this.index = index;
    this.exact = exact;
  }
}

/**
 * A longer series is flushed less often. Each flush makes the server, the network and us handle a few bytes by themselves:
 * together that costs more than a small statement.
 */
const LONG_SERIES = 100;
/** In a long series so many answers may arrive together. */
const MAX_LAG = 10;

/** The part of the driver's protocol object that a query object may use. */
interface ExtendedProtocol {
  parse(query: { name: string; text: string; types: string[] }, more: boolean): void;
  bind(config: { statement: string; values: string[] }, more: boolean): void;
  execute(config: object, more: boolean): void;
  flush(): void;
  sync(): void;
}

/** The part of it that the driver hands over when the server asks for data. */
interface CopyProtocol {
  sendCopyFail(reason: string): void;
  sync(): void;
}

/**
 * A query object for the driver's `client.query` that sends a whole series without waiting: parse, bind and execute for
 * each statement, and one sync. The server answers in order. After an error it skips everything up to the sync, so that a
 * failure never reaches a COMMIT at the end (PostgreSQL documentation, "Message Flow", Pipelining).
 *
 * A series may begin with our own `begin` and end with our own `commit`. No statement of a migration in it may control
 * transactions, or be one that cannot run inside a transaction.
 */
export class Pipeline {
  readonly #series: readonly Sending[];
  readonly #onStart: (index: number) => void;
  readonly #room: () => Promise<void> | null;
  readonly #durationsMs: number[] = [];
  /** Whether the rest of the series is of no use. */
  #isOver = false;
  #hasCommit = false;
  /** The number of answers, those to questions included. */
  #answered = 0;
  #rows: TextRow[] = [];
  #startedAt = 0;
  #resolve: (durationsMs: readonly number[]) => void = () => undefined;
  #reject: (failure: SendFailure) => void = () => undefined;

  /**
   * Resolves to the time of each statement, in ms, from the answer before its own to its own. Of answers that arrive
   * together the first has the time of all.
   */
  readonly done: Promise<readonly number[]>;

  /**
   * @param onStart called when the server turns to a statement, to which its next words belong
   * @param room says when more may be sent: a promise that resolves then, or null for at once. Default: at once
   */
  constructor(
    series: readonly Sending[],
    onStart: (index: number) => void,
    room: () => Promise<void> | null = () => null,
  ) {
    this.#series = series;
    this.#onStart = onStart;
    this.#room = room;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: ExtendedProtocol): void {
    this.#startedAt = performance.now();
    this.#onStart(0);
    this.#send(connection, 0, new Set());
  }

  /** Sends the series from this member on, as fast as the line takes it. Behind an error nothing of it is of use. */
  #send(connection: ExtendedProtocol, first: number, parsed: Set<string>): void {
    for (const [offset, { text, values, name = "" }] of this.#series.slice(first).entries()) {
      if (this.#isOver) break;
      const index = first + offset;
      this.#hasCommit ||= text === "commit";
      if (!parsed.has(name)) connection.parse({ name, text, types: [] }, true);
      if (name !== "") parsed.add(name);
      connection.bind({ statement: name, values: [...(values ?? [])] }, true);
      connection.execute({}, true);
      // Without a flush the server keeps its answers until the sync, and they would tell no times.
      if (this.#isFlushed(index)) connection.flush();
      const room = this.#room();
      if (room === null) continue;
      room
        .then(() => this.#send(connection, index + 1, parsed))
        .catch((thrown) => this.#reject(new SendFailure(this.#durationsMs.length, false, thrown)));
      return;
    }
    connection.sync();
  }

  /** Sends no more of the series. The server answers what it has, and nothing of it is committed without its COMMIT. */
  stop(): void {
    this.#isOver = true;
  }

  /** Whether our own `commit` has left the series. Before that, nothing of it can be committed. */
  get hasCommit(): boolean {
    return this.#hasCommit;
  }

  #isFlushed(index: number): boolean {
    const mayLag = this.#series[index]?.mayLag ?? false;
    return !mayLag || this.#series.length <= LONG_SERIES || (index + 1) % MAX_LAG === 0;
  }

  handleCommandComplete(): void {
    const now = performance.now();
    const { onRows } = this.#current;
    this.#answered += 1;
    if (onRows === undefined) {
      this.#durationsMs.push(now - this.#startedAt);
      this.#onStart(this.#durationsMs.length);
    } else {
      onRows(this.#rows);
      this.#rows = [];
    }
    this.#startedAt = now;
  }

  get #current(): Partial<Sending> {
    return this.#series[this.#answered] ?? {};
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete();
  }

  handleError(error: unknown): void {
    const server = postgresFacts(error);
    this.#isOver = true;
    const { onRows, isOfNext = false } = this.#current;
    const isRefused = onRows !== undefined && server !== null && !endsSession(server);
    // The driver has taken this query off its list: it will not call for the sync.
    if (isRefused && isOfNext && this.#answered === this.#series.length - 1) {
      this.#resolve(this.#durationsMs);
      return;
    }
    const isOwn = onRows !== undefined && !isOfNext;
    const index = Math.max(this.#durationsMs.length - (isOwn ? 1 : 0), 0);
    const cause = isRefused && isOwn ? questionRefused(server, error) : error;
    this.#reject(new SendFailure(index, server !== null, cause));
  }

  handleReadyForQuery(): void {
    if (this.#answered < this.#series.length) {
      const cause = new Error("The series was stopped before its end.");
      this.#reject(new SendFailure(this.#durationsMs.length, false, cause));
    }
    this.#resolve(this.#durationsMs);
  }

  /**
   * Nobody has data for a COPY FROM STDIN. A statement that follows in the series makes the server end the session. Where
   * nothing follows, the server has passed over the sync, and would wait for ever.
   */
  handleCopyInResponse(connection: CopyProtocol): void {
    this.#reject(new SendFailure(this.#durationsMs.length, true, dataMissing()));
    if (this.#answered < this.#series.length - 1) return;
    connection.sendCopyFail("a migration has no data for it");
    connection.sync();
  }

  handleDataRow({ fields }: { readonly fields: TextRow }): void {
    if (this.#current.onRows !== undefined) this.#rows.push(fields);
  }

  // The shape of rows, and copied data, are of no interest.
  handleRowDescription(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}

function questionRefused({ message, sqlstate }: PostgresFacts, cause: unknown): MigratorError {
  return new MigratorError(
    "INTERNAL",
    `The server refused the question about the locks of this transaction: ${message}`,
    { cause, sqlstate },
  );
}

function dataMissing(): MigratorError {
  return new MigratorError(
    "MIGRATION_FAILED",
    "COPY … FROM STDIN waits for data, and a migration has none to send: write INSERT instead.",
  );
}
