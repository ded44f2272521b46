import { randomBytes } from "node:crypto";
import type { Connection } from "../connection/connection.ts";
import { MigratorError } from "../errors.ts";
import { isNeonHost, parseEndpoint } from "../target/endpoint.ts";
import type { Target } from "../target/target.ts";
import { within } from "../wait.ts";
import { cautiousLockQuestion, lockQuestion } from "./lock.ts";

/** The time for the look from a second session, in ms. */
const LOOK_TIMEOUT_MS = 15_000;

/** The time for a notification on its way, in ms. */
const HEAR_TIMEOUT_MS = 2_000;

/** Returns the statement that asks for the lock within the first message, before anything is known of the way. */
export function openingLockQuestion({ url, ledger }: Target): string {
  const { host } = parseEndpoint(url);
  return isNeonHost(host) ? lockQuestion(ledger) : cautiousLockQuestion(ledger);
}

/**
 * Refuses a transaction pooler between us and the server: a pooler would hand our backend, and the lock with it, to others
 * between two statements. Process ids alone do not tell: a busy pool may by chance give us the same backend again, and the
 * second session another. So the session has to show that it is attached to its backend while it is idle: behind such a
 * pooler no session is.
 * @throws MigratorError `POOLED_CONNECTION`, also where no second session could be opened to find it out
 */
export async function refusePooler(connection: Connection): Promise<void> {
  const { host } = connection.database;
  // Neon's proxy makes process ids up, but the proxy of a direct host is no pooler.
  const genuine = connection.announcedPid === connection.backendPid;
  if (genuine || isNeonHost(host)) return;
  const attached = await connection.beside(LOOK_TIMEOUT_MS, (helper) =>
    isAttached(connection, helper),
  );
  connection.assertLive();
  if (attached === null) throw undecided(host);
  if (!attached) throw pooled(host);
}

/** Whether a notification from the second session reaches the first while that one sends nothing. */
async function isAttached(connection: Connection, helper: Connection): Promise<boolean> {
  const { backendPid, client } = connection;
  if (helper.backendPid === backendPid) return false;
  const channel = `neon_migrate_${randomBytes(8).toString("hex")}`;
  const [, answer] = await connection.batch([
    // Another backend than ours would listen for ever.
    `do $$ begin if pg_catalog.pg_backend_pid() operator(pg_catalog.=) ${backendPid} then listen ${channel}; end if; end $$`,
    `select pg_catalog.pg_backend_pid() operator(pg_catalog.=) ${backendPid} as "same"`,
  ]);
  if (answer?.[0]?.same !== true) return false;
  const heard = new Promise<boolean>((resolve) => {
    client.on("notification", (message) => {
      if (message.channel === channel) resolve(true);
    });
  });
  try {
    await helper.query("select pg_catalog.pg_notify($1::pg_catalog.text, '')", [channel]);
    return await within(heard, HEAR_TIMEOUT_MS, () => false);
  } finally {
    // Behind a pooler this may miss the backend that listens. Nobody ever calls on that channel again.
    await connection.query(`unlisten ${channel}`);
  }
}

function pooled(host: string): MigratorError {
  return new MigratorError(
    "POOLED_CONNECTION",
    `There is a transaction pooler in front of ${host}, and a session lock does not work through it. Nothing is run through it. Use the direct host of the database in the connection string.`,
  );
}

function undecided(host: string): MigratorError {
  return new MigratorError(
    "POOLED_CONNECTION",
    `There is a pooler or a proxy in front of ${host}, and no second session could be opened within ${LOOK_TIMEOUT_MS} ms that could tell whether it keeps sessions apart. Nothing is run through it. Use the direct host of the database in the connection string, or let the pooler open two sessions at once.`,
    { retryable: true },
  );
}
