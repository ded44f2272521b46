import type { Connection, Rows } from "../connection/connection.ts";
import type { TextRow } from "../connection/pipeline.ts";
import type { StatementAt } from "../report/rehearsed.ts";
import { pause, within } from "../wait.ts";
import { type Moment, readAnswer } from "./moment.ts";
import type { SamplingQuestions } from "./questions.ts";
import type { Relations } from "./relations.ts";

/** The time between two samples, in ms. */
const BETWEEN_MS = 20;
/** A statement waits so long for the second session, and no longer, in ms. */
const FOR_SESSION_MS = 10_000;
/** Behind the statement the last sample may take so long, in ms. */
const FOR_LAST_MS = 5_000;
/** The longest time that a timer of Node's can wait, in ms. The statement ends before. */
const WHILE_IT_RUNS_MS = 2 ** 31 - 1;

/** What was seen of a statement outside a transaction. */
export interface Sampled {
  readonly moments: readonly Moment[];
  /** How often the locks were asked for while it ran; 0 where no second session was to be had. */
  readonly samples: number;
}

/** The needs of a sampling. */
interface Sampling {
  readonly at: StatementAt;
  readonly questions: SamplingQuestions;
  readonly relations: Relations;
}

/**
 * Runs a statement, and meanwhile asks for its session's locks from a second session to the same branch, again and again. A
 * lock that comes and goes between two samples is not seen.
 * @returns what was seen, once the statement has ended well
 * @throws whatever the statement throws
 */
export async function sampleWhile(
  connection: Connection,
  sampling: Sampling,
  run: () => Promise<void>,
): Promise<Sampled> {
  const moments: Moment[] = [];
  const ready = signal();
  const over = signal();
  const looking = connection.beside(WHILE_IT_RUNS_MS, async (helper) => {
    await look(helper, sampling, { moments, ready, over });
    return true;
  });
  await within(Promise.race([ready.given, looking]), FOR_SESSION_MS, () => over.give());
  const isWatched = moments.length > 0;
  const startedMs = performance.now();
  try {
    await run();
  } finally {
    over.give();
  }
  const elapsedMs = performance.now() - startedMs;
  const isWhole = isWatched && (await within(looking, FOR_LAST_MS, () => null)) === true;
  if (isWhole) return { moments, samples: moments.length - 2 };
  const [first = momentAt(null, Date.now() - elapsedMs)] = moments;
  const end = momentAt(sampling.at, first.answeredMs + elapsedMs);
  return { moments: [first, ...moments.slice(1), end], samples: Math.max(moments.length - 1, 0) };
}

interface Progress {
  readonly moments: Moment[];
  readonly ready: Signal;
  readonly over: Signal;
}

async function look(
  helper: Connection,
  { at, questions, relations }: Sampling,
  { moments, ready, over }: Progress,
): Promise<void> {
  const ask = async (question: string, ofStatement: StatementAt | null) => {
    const [row = {}] = await helper.query<Rows[number]>(question);
    const known = question === questions.clock ? null : relations;
    return { at: ofStatement, raises: NOTHING, ...readAnswer(textRow(row), known) };
  };
  if (over.isGiven()) return;
  moments.push(await ask(questions.clock, null));
  ready.give();
  while (!over.isGiven()) {
    moments.push(await ask(questions.locks, at));
    await Promise.race([pause(BETWEEN_MS), over.given]);
  }
  moments.push(await ask(questions.end, at));
}

const NOTHING: ReadonlySet<string> = new Set();

function textRow(row: Rows[number]): TextRow {
  const text = (key: string) => (row[key] == null ? null : String(row[key]));
  return [text("asked"), text("wal"), text("answered"), text("locks"), text("files")];
}

/** Makes a moment of our own clock. */
function momentAt(at: StatementAt | null, ms: number): Moment {
  const unknown = { wal: null, locks: new Map(), filenodes: new Map(), raises: NOTHING };
  return { at, askedMs: ms, answeredMs: ms, ...unknown };
}

interface Signal {
  readonly given: Promise<void>;
  give(): void;
  isGiven(): boolean;
}

function signal(): Signal {
  let resolve: () => void = () => undefined;
  let isGiven = false;
  const given = new Promise<void>((done) => {
    resolve = done;
  });
  return {
    given,
    give: () => {
      isGiven = true;
      resolve();
    },
    isGiven: () => isGiven,
  };
}
