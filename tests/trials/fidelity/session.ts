import { Client } from "pg";
import type { Rows } from "../../../local/postgres/admin.ts";

/** One session over TCP, without the relay and without anything of the product. */
export interface Session {
  /** Runs one statement. @throws the driver's error */
  sql(text: string, values?: readonly unknown[]): Promise<Rows>;
  /** The driver's client, for Drizzle. */
  readonly client: Client;
  close(): Promise<void>;
}

/** Opens a session. @param url a connection string */
export async function openSession(url: string): Promise<Session> {
  const client = new Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  return {
    client,
    sql: async (text, values = []) =>
      (await client.query(text, values.length === 0 ? undefined : [...values])).rows,
    close: () => client.end(),
  };
}

/** Opens a session for some work, and closes it behind it. */
export async function withSession<Result>(
  url: string,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  const session = await openSession(url);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}
