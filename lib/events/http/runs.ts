import { MigratorError } from "../../errors.ts";
import { RUN_ID } from "../../queued-runs/run-event.ts";
import type { Caller } from "../caller.ts";
import { httpAnswer, reportAnswer } from "./answer.ts";
import {
  type HttpEvent,
  headerValues,
  isHttpEvent,
  methodOf,
  pathOf,
  prefersAsync,
  RUN_ROUTE,
} from "./event.ts";
import { httpRequest } from "./http.ts";

/**
 * A call about a run that outlives its call: `POST /migrations` with `Prefer: respond-async` begins one, and
 * `GET /migrations/runs/{id}` tells of it. Neither runs anything here. The files they need load only for them.
 */
export function httpRuns(event: unknown): Caller | null {
  if (!isHttpEvent(event)) return null;
  const id = runIn(event);
  if (id === null && !wantsAsync(event)) return null;
  return {
    source: "http",
    request() {
      if (id === null) httpRequest(event);
      else if (methodOf(event) !== "GET") {
        throw new MigratorError("METHOD_NOT_ALLOWED", "This method is not allowed here. Use GET.");
      } else if (!RUN_ID.test(id)) {
        throw new MigratorError(
          "RUN_NOT_FOUND",
          "There is no such run: this is not the id of one.",
        );
      }
      return null;
    },
    async respond({ report, call }) {
      if (report !== null) return httpAnswer(event, reportAnswer(report, "GET"));
      const { serveRun } = await import("../on-use.ts");
      return httpAnswer(event, await serveRun(event, id, call));
    },
  };
}

function wantsAsync(event: HttpEvent): boolean {
  return (
    methodOf(event) === "POST" &&
    /\/migrations\/*$/.test(pathOf(event)) &&
    prefersAsync(headerValues(event, "prefer"))
  );
}

/** The id of the run that a call asks about, well-formed or not. */
function runIn(event: HttpEvent): string | null {
  return RUN_ROUTE.exec(pathOf(event))?.[2] ?? null;
}
