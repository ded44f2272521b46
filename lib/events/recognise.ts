import type { Dependencies, migrate } from "../migrate/migrate.ts";
import type { Report } from "../report/report.ts";
import type { Request } from "../request.ts";
import type { EventSource, InvocationContext, Undone } from "./caller.ts";
import { cloudformation } from "./cloudformation.ts";
import { codedeploy } from "./codedeploy.ts";
import { codepipeline } from "./codepipeline.ts";
import type { Continuation } from "./continuation.ts";
import { direct } from "./direct.ts";
import { ecs } from "./ecs.ts";
import { http } from "./http/http.ts";
import { httpRuns } from "./http/runs.ts";
import { queuedRun } from "./queued-run.ts";
import { isForeign, unsupported } from "./unsupported.ts";

/** An event with the source that understands it. */
export interface Recognised {
  readonly source: string;
  undone(): Undone | null;
  toRequest(context: InvocationContext): Request | null;
  carryOut(
    request: Request,
    dependencies: Dependencies,
    run: typeof migrate,
  ): Promise<Report | null>;
  /** Never throws: whatever goes wrong comes up again in `respond`. */
  prepare(): void;
  nextCall(report: Report): Continuation | null;
  respond(
    report: Report | null,
    context: InvocationContext,
    deadline: number,
    next?: Continuation | null,
  ): Promise<unknown>;
}

/** Finds the source that an event belongs to. A mark of another service outweighs any request in it. */
export function selectSource(event: unknown): Recognised {
  return (
    recognise(cloudformation, event) ??
    recognise(httpRuns, event) ??
    recognise(http, event) ??
    recognise(queuedRun, event) ??
    recognise(codepipeline, event) ??
    recognise(codedeploy, event) ??
    recognise(ecs, event) ??
    (isForeign(event) ? null : recognise(direct, event)) ??
    bind(unsupported, event)
  );
}

function recognise<Event>(source: EventSource<Event>, event: unknown): Recognised | null {
  return source.matches(event) ? bind(source, event) : null;
}

function bind<Event>(source: EventSource<Event>, event: Event): Recognised {
  return {
    source: source.name,
    undone: () => source.undone?.(event) ?? null,
    toRequest: (context) => source.toRequest(event, context),
    carryOut: (request, dependencies, run) =>
      source.carryOut?.(event, request, dependencies, run) ?? run(request, dependencies),
    prepare: () => void source.prepare?.().catch(() => undefined),
    nextCall: (report) => source.nextCall?.(event, report) ?? null,
    respond: (report, context, deadline, next = null) =>
      source.respond(event, report, context, deadline, next),
  };
}
