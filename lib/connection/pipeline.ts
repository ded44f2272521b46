import { MigratorError } from "../errors.ts";
import { postgresFacts } from "../postgres/errors.ts";

/** One statement to send, with its parameters. */
export interface Sending {
  readonly text: string;
  readonly values?: readonly string[];
  /** In a long series, its answer may arrive along with the answers to a few that follow. Default false. */
  readonly mayLag?: boolean;
}

/** Where a series ended; what is behind it was not executed. */
export class SendFailure extends Error {
  /** Index from 0 into what was sent: everything before it was answered. */
  readonly index: number;
  /**
   * Whether it was that very one, by the server's own word. Where the connection was lost, answers were lost with it, and
   * it may have been any behind it.
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
 * A longer series is flushed less often: each flush makes the server, the network and us handle some bytes by
 * themselves, which together costs more than a small statement does.
 */
const LONG_SERIES = 100;
/** Then so many answers may arrive together. */
const MAX_LAG = 10;

/** The part of the driver's protocol object that a query object may use. */
interface ExtendedProtocol {
  parse(query: { name: string; text: string; types: string[] }, more: boolean): void;
  bind(config: { values: string[] }, more: boolean): void;
  execute(config: object, more: boolean): void;
  flush(): void;
  sync(): void;
}

/** What the driver hands over with it when the server asks for data. */
interface CopyProtocol {
  sendCopyFail(reason: string): void;
  sync(): void;
}

/**
 * A query object for the driver's `client.query` that sends a whole series without waiting: parse, bind
 * and execute for each statement, and one sync. The server answers in order; after an error it skips
 * everything up to the sync, so a COMMIT at the end is never reached after a failure (PostgreSQL
 * documentation, "Message Flow", Pipelining).
 *
 * Never put a statement into a series that controls transactions or cannot run inside one.
 */
export class Pipeline {
  readonly #series: readonly Sending[];
  readonly #onStart: (index: number) => void;
  readonly #durationsMs: number[] = [];
  #startedAt = 0;
  #resolve: (durationsMs: readonly number[]) => void = () => undefined;
  #reject: (failure: SendFailure) => void = () => undefined;

  /**
   * Resolves to how long each statement took, in ms, from the answer before its own to its own. Of answers that
   * arrive together the first has the time of all.
   */
  readonly done: Promise<readonly number[]>;

  /** @param onStart called when the server turns to a statement: what it says next belongs to that one */
  constructor(series: readonly Sending[], onStart: (index: number) => void) {
    this.#series = series;
    this.#onStart = onStart;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: ExtendedProtocol): void {
    this.#startedAt = performance.now();
    this.#onStart(0);
    for (const [index, { text, values }] of this.#series.entries()) {
      connection.parse({ name: "", text, types: [] }, true);
      connection.bind({ values: [...(values ?? [])] }, true);
      connection.execute({}, true);
      // Without it the server keeps its answers until the sync, and they would tell no times.
      if (this.#isFlushed(index)) connection.flush();
    }
    connection.sync();
  }

  #isFlushed(index: number): boolean {
    const mayLag = this.#series[index]?.mayLag ?? false;
    return !mayLag || this.#series.length <= LONG_SERIES || (index + 1) % MAX_LAG === 0;
  }

  handleCommandComplete(): void {
    const now = performance.now();
    this.#durationsMs.push(now - this.#startedAt);
    this.#startedAt = now;
    this.#onStart(this.#durationsMs.length);
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete();
  }

  handleError(error: unknown): void {
    this.#reject(new SendFailure(this.#durationsMs.length, postgresFacts(error) !== null, error));
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#durationsMs);
  }

  /**
   * Nobody has data for a COPY FROM STDIN. What follows it in the series makes the server end the session; where
   * nothing does, it would wait for ever, and has passed over the sync.
   */
  handleCopyInResponse(connection: CopyProtocol): void {
    this.#reject(new SendFailure(this.#durationsMs.length, true, dataMissing()));
    if (this.#durationsMs.length < this.#series.length - 1) return;
    connection.sendCopyFail("a migration has no data for it");
    connection.sync();
  }

  // Rows and copied data are of no interest.
  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}
}

function dataMissing(): MigratorError {
  return new MigratorError(
    "MIGRATION_FAILED",
    "COPY … FROM STDIN waits for data, and a migration has none to send: write INSERT instead.",
  );
}
