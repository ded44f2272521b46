import { isRecord } from "../json.ts";
import type { Caller } from "./caller.ts";

/** A step of a fleet's run, which the machine has the function do. It applies nothing; see `fleet/`. */
export function fleet(event: unknown): Caller | null {
  if (!isRecord(event) || Object.keys(event).join() !== "neon-migrate.fleet") return null;
  return {
    source: "fleet",
    request: () => null,
    respond: async ({ call }) =>
      (await import("../fleet/on-use.ts")).answerStep(event["neon-migrate.fleet"], call),
  };
}
