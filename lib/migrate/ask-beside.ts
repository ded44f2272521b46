import { connect } from "../connection/connect.ts";
import { MigratorError } from "../errors.ts";
import { ledgerQuestion } from "../ledger/question.ts";
import type { Request } from "../request.ts";
import type { Target } from "../target/target.ts";
import { pause } from "../wait.ts";
import type { Dependencies, Status } from "./attempt.ts";
import { knownOf, makePlan } from "./make-plan.ts";
import type { Progress } from "./progress.ts";

/** A run that ended without the server's word on its last transaction. */
interface Unconfirmed {
  readonly request: Request;
  readonly target: Target;
  readonly dependencies: Dependencies;
  readonly progress: Progress;
  /** Epoch ms after which nobody asks any more. */
  readonly until: number;
}

const POLL_MS = 200;

/**
 * Asks the ledger, on a new session, what became of a transaction whose answer is missing. Its rows say that it was
 * committed. Without them it was rolled back, once its session has ended.
 * @returns the end of the run where everything was committed after all
 * @throws MigratorError the error of the run, with what was found out
 */
export async function askBeside(error: MigratorError, run: Unconfirmed): Promise<Status> {
  let lives: boolean | null = null;
  while (lives !== false && Date.now() < run.until) {
    lives = await look(run).catch(() => null);
    if (run.progress.isComplete) return "applied";
    if (lives !== false) await pause(Math.min(POLL_MS, run.until - Date.now()));
  }
  if (lives !== false) throw error;
  run.progress.settled();
  const { unconfirmed: _unconfirmed, ...facts } = error.facts;
  throw new MigratorError(
    error.code,
    `${error.message} A second session has looked since: the session has ended, and what the report lists as pending has no row in the ledger.`,
    facts,
  );
}

/** Learns what the ledger has by now. @returns whether the session that was lost still lives */
async function look({
  request,
  target,
  dependencies,
  progress,
  until,
}: Unconfirmed): Promise<boolean> {
  const { bundle, requestId, log } = dependencies;
  const opening = {
    lives: `select from pg_catalog.pg_stat_activity where pid operator(pg_catalog.=) ${progress.lastPid ?? 0}`,
    ledger: ledgerQuestion(target.ledger, knownOf(bundle)),
  };
  const connection = await connect(target, { requestId, deadline: until, log, opening });
  try {
    const { lives, ledger } = connection.opening;
    const { plan } = await progress.planned(() =>
      makePlan({ bundle, request, connection }, ledger),
    );
    progress.recovered(plan);
    return lives.length > 0;
  } finally {
    await connection.close();
  }
}
