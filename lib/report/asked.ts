import { type CallerFacts, parseRequest, type Request } from "../request.ts";

/** The request of a run, and who sent it. */
export interface Asked {
  /** The action, and what differs from the defaults. */
  readonly request: Pick<Request, "action"> & Partial<Request>;
  /** Who sent it; null where the run had nothing to write, and where nobody knows. */
  readonly by: CallerFacts | null;
}

/** Describes a request by its action and by what differs from the defaults. */
export function describeAsked(request: Request, by: CallerFacts | null): Asked {
  const usual: object = parseRequest({ action: request.action });
  const others = Object.entries(request).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(Reflect.get(usual, name)),
  );
  return { request: { action: request.action, ...Object.fromEntries(others) }, by };
}
