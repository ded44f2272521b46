/*
 * A process that rehearses. The way to a stand-in and a bundle come in as a message, and its own time goes out: how long its event loop worked, and how long it took altogether.
 */

import { performance } from "node:perf_hooks";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { silentLog } from "../../lib/log.ts";
import { rehearse } from "../../lib/rehearsal/rehearse.ts";
import { parseRequest } from "../../lib/request.ts";
import { DEFAULT_LEDGER } from "../../lib/target/target.ts";

/** What to rehearse, and how often. */
export interface RehearsalWork {
  readonly bundle: Bundle;
  readonly productionUrl: string;
  readonly relay: string;
  readonly access: { readonly key: string; readonly projectId: string; readonly url: string };
  readonly runs: number;
}

/** One rehearsal, in ms. */
export interface OwnTime {
  readonly totalMs: number;
  /** How long the event loop was not waiting. */
  readonly ownMs: number;
  readonly calls: number;
}

process.once("message", (work: RehearsalWork) => void rehearseAgain(work));

async function rehearseAgain(work: RehearsalWork): Promise<void> {
  const { bundle, productionUrl, relay, access, runs } = work;
  for (let run = 0; run < runs; run += 1) {
    const started = performance.now();
    const before = performance.eventLoopUtilization();
    const { error, rehearsal } = await rehearse(parseRequest({ action: "rehearse" }), {
      target: () => ({
        ...{ url: productionUrl, relay, ledger: DEFAULT_LEDGER },
        ...{ connectTimeoutMs: 30_000, warnings: [] },
      }),
      access: () => Promise.resolve(access),
      ...{ bundle, deadline: null, log: silentLog, requestId: `rehearsal-${run}` },
    });
    if (error !== undefined) throw new Error(`${error.code}: ${error.message}`);
    const { active } = performance.eventLoopUtilization(before);
    const told: OwnTime = {
      totalMs: performance.now() - started,
      ownMs: active,
      calls: rehearsal?.calls ?? 0,
    };
    process.send?.(told);
  }
  process.disconnect();
}
