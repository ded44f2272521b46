import { asRecord, asText, isRecord } from "../../json.ts";

/** An HTTP call, as any of its gateways hands it on. */
export type HttpEvent = Readonly<Record<string, unknown>>;

/** Whether an event is an HTTP call. API Gateway asks its authorizers about a call in the shape of the call itself. */
export function isHttpEvent(event: unknown): event is HttpEvent {
  if (!isRecord(event) || !isRecord(event.requestContext)) return false;
  if ("methodArn" in event || "routeArn" in event) return false;
  return typeof event.httpMethod === "string" || isRecord(event.requestContext.http);
}

/** Every value of a header, however its name is spelled and however its gateway hands it on. */
export function headerValues(event: HttpEvent, name: string): readonly string[] {
  const headers = isRecord(event.multiValueHeaders) ? event.multiValueHeaders : event.headers;
  return Object.entries(asRecord(headers))
    .filter(([key]) => key.toLowerCase() === name)
    .flatMap(([, value]) => value)
    .filter((value) => typeof value === "string");
}

/** The method. Methods are case-sensitive, and AWS passes them on as they came. */
export function methodOf({ requestContext, httpMethod }: HttpEvent): string {
  const { http } = asRecord(requestContext);
  return asText(isRecord(http) ? http.method : httpMethod);
}

/** The path as the function sees it: without the stage, behind some gateways. */
export function pathOf({ rawPath, path }: HttpEvent): string {
  return asText(rawPath ?? path);
}

/** The path of one run. The part before it belongs to the gateway. */
export const RUN_ROUTE: RegExp = /^(.*\/migrations)\/runs\/([^/]+)\/*$/;

/** Whether a load balancer hands the call on. */
export function isLoadBalancer({ requestContext }: HttpEvent): boolean {
  return isRecord(asRecord(requestContext).elb);
}

/** The parameters of the query; of several values for one name, a list, which no field takes. */
export function queryOf(event: HttpEvent): Readonly<Record<string, unknown>> {
  const all = Object.entries(asRecord(event.multiValueQueryStringParameters)).map(
    ([key, values]) => [key, Array.isArray(values) && values.length === 1 ? values[0] : values],
  );
  return { ...asRecord(event.queryStringParameters), ...Object.fromEntries(all) };
}

/** Whether the answer is a page: somebody asks who prefers HTML. A call that takes anything prefers nothing. */
export function wantsPage(event: HttpEvent): boolean {
  return /^(?:GET|HEAD)$/.test(methodOf(event)) && prefersHtml(headerValues(event, "accept"));
}

/**
 * Whether a caller prefers HTML to JSON (RFC 9110, section 12.5.1).
 * @param values the values of every `Accept` header
 */
export function prefersHtml(values: readonly string[]): boolean {
  const ranges = values.flatMap((value) => value.match(PARTS) ?? []);
  return weightOf("text/html", ranges) > weightOf("application/json", ranges);
}

/** The weight that a caller gives to a kind of content. The range that says it most exactly counts. */
function weightOf(kind: string, ranges: readonly string[]): number {
  const weights = new Map(
    ranges.map((range) => {
      const [name = "", ...parameters] = range
        .toLowerCase()
        .split(";")
        .map((each) => each.trim());
      const weight = parameters.find((each) => each.startsWith("q="))?.slice(2);
      return [name, Number(weight ?? 1)];
    }),
  );
  const [exact, any] = [weights.get(kind), weights.get(kind.replace(/\/.*/, "/*"))];
  return exact ?? any ?? weights.get("*/*") ?? 0;
}

/** The parts between commas. Commas and semicolons part preferences and parameters, but not within a quoted text. */
const PARTS = /(?:"(?:[^"\\]|\\.)*"|[^",])+/g;

/**
 * Whether a caller prefers an answer at once, and the outcome later: `Prefer: respond-async`, alone or
 * among others (RFC 7240). Names are read in any case; a value makes it another preference than the registered one.
 * @param values the values of every `Prefer` header
 */
export function prefersAsync(values: readonly string[]): boolean {
  return values
    .flatMap((value) => value.match(PARTS) ?? [])
    .map((preference) => preference.split(";", 1)[0] ?? "")
    .some((preference) => /^\s*respond-async\s*(=\s*("")?\s*)?$/i.test(preference));
}
