import { join } from "node:path";
import { amendLedger } from "../../../lib/amend/amend.ts";
import { openBundle } from "../../../lib/bundle/open-bundle.ts";
import { silentLog } from "../../../lib/log.ts";
import { DEFAULT_LEDGER } from "../../../lib/target/target.ts";
import type { Shot } from "./shot.ts";
import type { Stage } from "./stage.ts";
import { SETTLE_BY_HAND, type Workload } from "./workloads.ts";

/**
 * Does as a person does who reads `STEP_IN_DOUBT`: looks how far the statement came, finishes a half, and says so.
 * @returns whether there was such a doubt
 */
export async function resolveDoubt(
  stage: Stage,
  workload: Workload,
  { report }: Shot,
): Promise<boolean> {
  const { code, migration } = report?.error ?? {};
  if (code !== "STEP_IN_DOUBT" || typeof migration !== "string") return false;
  const look = stage.look();
  const notes = await look.sql("select note from entries where note in ('settling', 'settled')");
  const found = notes.map(({ note }) => note);
  if (found.length === 1) for (const statement of SETTLE_BY_HAND) await look.sql(statement);
  await look.close();
  const folder = stage.folderOf(workload);
  const bundle = openBundle(join(folder, "bundle.json"));
  const { url, relay } = stage;
  const places = { ledger: DEFAULT_LEDGER, connectTimeoutMs: 60_000, warnings: [] };
  await amendLedger(
    { kind: "resolve", tag: migration, as: found.length > 0 ? "done" : "undone" },
    {
      ...{ bundle, requestId: "doubt", write: true, lockTimeoutMs: 60_000, log: silentLog },
      target: { url, relay: relay.address, ...places },
    },
  );
  return true;
}
