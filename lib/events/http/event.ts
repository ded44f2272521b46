import { isRecord } from "../../json.ts";

/** An HTTP call, as any of its gateways hands it on. */
export type HttpEvent = Readonly<Record<string, unknown>>;

/** Every value of a header, however it is spelled and however its gateway hands it on. */
export function headerValues(event: HttpEvent, name: string): readonly string[] {
  const headers = isRecord(event.multiValueHeaders) ? event.multiValueHeaders : event.headers;
  return Object.entries(isRecord(headers) ? headers : {})
    .filter(([key]) => key.toLowerCase() === name)
    .flatMap(([, value]) => value)
    .filter((value) => typeof value === "string");
}

/** Methods are case-sensitive, and AWS passes them on as they came. */
export function methodOf(event: HttpEvent): string {
  const context = event.requestContext;
  const method =
    isRecord(context) && isRecord(context.http) ? context.http.method : event.httpMethod;
  return typeof method === "string" ? method : "";
}

/** As the function sees it: without the stage, behind some gateways. */
export function pathOf({ rawPath, path }: HttpEvent): string {
  const found = rawPath ?? path;
  return typeof found === "string" ? found : "";
}

export function isLoadBalancer(event: HttpEvent): boolean {
  return isRecord(event.requestContext) && isRecord(event.requestContext.elb);
}

export function queryOf(event: HttpEvent): Readonly<Record<string, unknown>> {
  const single = event.queryStringParameters;
  const multi = event.multiValueQueryStringParameters;
  const last = Object.entries(isRecord(multi) ? multi : {}).map(([key, values]) => [
    key,
    Array.isArray(values) ? values.at(-1) : values,
  ]);
  return { ...Object.fromEntries(last), ...(isRecord(single) ? single : {}) };
}

/** Commas and semicolons part preferences and parameters, but not within a quoted text. */
const PARTS = /(?:"(?:[^"\\]|\\.)*"|[^",])+/g;

/**
 * Whether a caller prefers to be answered at once and told the outcome later: `Prefer: respond-async`, alone or
 * among others (RFC 7240). Names are read in any case; a value makes it another preference than the registered one.
 * @param values those of every `Prefer` header
 */
export function prefersAsync(values: readonly string[]): boolean {
  return values
    .flatMap((value) => value.match(PARTS) ?? [])
    .map((preference) => preference.split(";", 1)[0] ?? "")
    .some((preference) => /^\s*respond-async\s*(=\s*("")?\s*)?$/i.test(preference));
}
