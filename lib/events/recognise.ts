/*
 * Events: who calls the function, and how a caller wants its answer. An event comes in, and its caller goes out, which
 * turns the event into a request and a report into an answer. Nothing here runs a migration, and only the callers about
 * queued runs reach a database, through `queued-runs/`.
 * Each file knows one kind of event; `caller.ts` says what they have in common.
 */

import type { Caller } from "./caller.ts";
import { cloudformation } from "./cloudformation.ts";
import { codedeploy } from "./codedeploy.ts";
import { codepipeline } from "./codepipeline.ts";
import { direct } from "./direct.ts";
import { ecs } from "./ecs.ts";
import { fleet } from "./fleet.ts";
import { http } from "./http/http.ts";
import { httpRuns } from "./http/runs.ts";
import { queuedRun } from "./queued-run.ts";
import { foreign, unknown } from "./unsupported.ts";

/**
 * Finds the caller that sent an event. Every event has one: a caller that is not served gets a refusal. The mark of
 * another service outweighs any request beside it.
 */
export function recognise(event: unknown): Caller {
  return (
    cloudformation(event) ??
    httpRuns(event) ??
    http(event) ??
    queuedRun(event) ??
    fleet(event) ??
    codepipeline(event) ??
    codedeploy(event) ??
    ecs(event) ??
    foreign(event) ??
    direct(event) ??
    unknown(event)
  );
}
