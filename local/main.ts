import { startPostgres } from "./postgres.ts";
import { startRelay } from "./relay.ts";

/** `npm run local`: keeps a PostgreSQL and a relay up until Ctrl-C. */
async function main(): Promise<void> {
  const postgres = await startPostgres();
  try {
    const owner = await postgres.admin.createRole("neondb_owner");
    await postgres.admin.createDatabase("neondb", { owner: owner.name });
    const { host, port } = postgres;
    const relay = await startRelay({ target: { host, port }, mode: "neon" });
    const ended = untilSignal();
    console.log(greeting(postgres.url("neondb", owner), relay.address, postgres.directory));
    await ended;
    await relay.stop();
  } finally {
    await postgres.stop();
  }
}

function greeting(url: string, relay: string, directory: string): string {
  return `PostgreSQL 18 and a relay that behaves like Neon's proxy are up. Ctrl-C ends them and deletes the data.

  export DATABASE_URL=${url}
  export NEON_WS_PROXY=${relay}

Then, for example:

  npm exec neon-migrate -- up --folder drizzle
  psql "$DATABASE_URL"

The server's log is ${directory}/server.log`;
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => resolve());
    }
  });
}

await main();
