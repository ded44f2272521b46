import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { overviewOf } from "../../lib/bundle/overview.ts";
import { greeting } from "../../lib/connection/opening.ts";
import { cautiousLockQuestion } from "../../lib/ledger/lock.ts";
import { ledgerQuestion } from "../../lib/ledger/question.ts";
import { DEFAULT_LEDGER } from "../../lib/target/target.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import {
  ByteQueue,
  firstMessage,
  message,
  PROTOCOL_3,
  readMessage,
  writeParameters,
} from "../../local/relay/messages.ts";
import { median } from "./statistics.ts";

/** The cost of one question to a fresh backend, of a run with nothing to do. */
export interface BackendFigure {
  readonly contestant: string;
  readonly asked: string;
  /** Processor time of the backend's process, median in ms. */
  readonly ms: number;
}

type Part = readonly [asked: string, text: string];

const LEDGER = `"drizzle"."__drizzle_migrations"`;

/** The migrations of whose rows the ledger consists. */
const MIGRATIONS = Array.from({ length: 100 }, (_, index) => {
  const tag = String(index + 1);
  const hash = createHash("sha256").update(tag).digest("hex");
  const empty = { sql: "", statements: [], findings: [] };
  return { tag, name: tag, when: index + 1, hash, ...empty };
});

const COMPLETE = overviewOf({ layout: "0.x", migrations: MIGRATIONS }).complete;

/** The questions in their order, which matters: a question is cheaper after another one that reads the same. */
const PARTS: Readonly<Record<string, readonly Part[]>> = {
  floor: [["select 1", "select 1"]],
  ours: [
    ["settings, and what the server says of itself", greeting(900_000).join(";\n")],
    ["the lock", cautiousLockQuestion(DEFAULT_LEDGER)],
    ["which ledger, our rights, its digest", ledgerQuestion(DEFAULT_LEDGER, [COMPLETE["0.x"]])],
  ],
  Drizzle: [
    ["create schema", `CREATE SCHEMA IF NOT EXISTS "drizzle"`],
    [
      "create table",
      `CREATE TABLE IF NOT EXISTS ${LEDGER} (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)`,
    ],
    [
      "its newest row",
      `select id, hash, created_at from ${LEDGER} order by created_at desc limit 1`,
    ],
    ["begin", "begin"],
    ["commit", "commit"],
  ],
};

/** Asks each contestant's questions on a backend of its own, in turn. Linux only: the kernel counts. */
export async function measureBackend(runs: number): Promise<readonly BackendFigure[]> {
  if (process.platform !== "linux") return [];
  const postgres = await startPostgres();
  try {
    await postgres.admin.sql(`create schema drizzle`);
    await postgres.admin.sql(
      `create table ${LEDGER} (id serial primary key, hash text not null, created_at bigint)`,
    );
    await postgres.admin.sql(
      `insert into ${LEDGER} (hash, created_at) values ${MIGRATIONS.map(({ hash, when }) => `('${hash}', ${when})`).join(", ")}`,
    );
    const taken = new Map<string, number[]>();
    for (let run = 0; run < runs; run += 1) {
      for (const [contestant, parts] of Object.entries(PARTS)) {
        const times = await askFresh(new URL(postgres.url()), parts);
        for (const [index, ms] of times.entries()) {
          const key = `${contestant} ${index}`;
          taken.set(key, [...(taken.get(key) ?? []), ms]);
        }
      }
    }
    return Object.entries(PARTS).flatMap(([contestant, parts]) =>
      ["start and login", ...parts.map(([asked]) => asked)].map((asked, index) => ({
        contestant,
        asked,
        ms: median(taken.get(`${contestant} ${index}`) ?? []),
      })),
    );
  } finally {
    await postgres.stop();
  }
}

/** Returns the processor time of a backend for its start and for each part, in ms. */
async function askFresh(url: URL, parts: readonly Part[]): Promise<readonly number[]> {
  const socket = connect(Number(url.port), url.hostname);
  const answers = new ByteQueue();
  socket.on("data", (bytes) => answers.push(bytes));
  const pid = await logIn(socket, answers, url);
  const marks = [await processorMs(pid)];
  for (const [, text] of parts) {
    socket.write(message("Q", text));
    await untilReady(answers);
    marks.push(await processorMs(pid));
  }
  socket.end(message("X"));
  await once(socket, "close");
  return marks.map((mark, index) => mark - (marks[index - 1] ?? 0));
}

async function logIn(socket: Socket, answers: ByteQueue, url: URL): Promise<number> {
  const parameters = new Map([
    ["user", url.username],
    ["database", url.pathname.slice(1)],
    ["application_name", "neon-migrate/bench"],
  ]);
  const start = firstMessage(PROTOCOL_3, writeParameters(parameters));
  socket.write(Buffer.concat([start, message("p", decodeURIComponent(url.password))]));
  return await untilReady(answers);
}

/** Waits until the backend is ready. @returns the process id, if the backend has sent it */
async function untilReady(answers: ByteQueue): Promise<number> {
  let pid = 0;
  for (;;) {
    const { type, body } = await readMessage(answers);
    if (type === "E") throw new Error(body.toString());
    if (type === "K") pid = body.readInt32BE(0);
    if (type === "Z") return pid;
  }
}

/** Reads the processor time of a process: the first number, in ns (Linux, Documentation/scheduler/sched-stats). */
async function processorMs(pid: number): Promise<number> {
  const [nanoseconds] = (await readFile(`/proc/${pid}/schedstat`, "utf8")).split(" ");
  return Number(nanoseconds) / 1e6;
}
