import type { MigratorError } from "../errors.ts";
import type { Target } from "../target/target.ts";
import { within } from "../wait.ts";
import { type ConnectOptions, connect } from "./connect.ts";
import type { Connection } from "./connection.ts";

/** What work on a connection needs beside the target: how to open it, and what happens at the deadline. */
interface WorkOptions<Asked extends string = never> extends ConnectOptions<Asked> {
  /** What the work fails with at the deadline. */
  readonly reason: MigratorError;
  /** How long, in ms, the statement that runs then has to be cancelled, before the connection is dropped. */
  readonly graceMs: number;
  /** Epoch ms by which the connection is dropped in any case. Default: none. */
  readonly dropBy?: number;
  /** Work for the second session that cancels the statement, before it does; see `Connection.interrupt`. */
  readonly beforeCancel?: (helper: Connection) => Promise<void>;
}

/**
 * Opens a connection, does work on it, and closes it, however the work ends. At the deadline the statement that runs
 * is cancelled, and the work fails with the reason in the options.
 * @throws MigratorError as `connect`, and whatever the work throws
 */
export async function withConnection<Asked extends string, Result>(
  target: Target,
  options: WorkOptions<Asked>,
  work: (connection: Connection<Asked>) => Promise<Result>,
): Promise<Result> {
  const { deadline, reason, graceMs, dropBy = Number.POSITIVE_INFINITY, beforeCancel } = options;
  const connection = await connect(target, options);
  try {
    const working = work(connection);
    return await within(working, deadline - Date.now(), () => {
      const leftMs = Math.max(Math.min(graceMs, dropBy - Date.now()), 1);
      void connection.interrupt(reason, leftMs, beforeCancel);
      return working;
    });
  } finally {
    await connection.close();
  }
}
