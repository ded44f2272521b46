import { contentSecurityPolicy } from "../../page/document.ts";
import { renderPage } from "../../page/page.ts";
import type { Report } from "../../report/report.ts";
import type { Call } from "../caller.ts";
import type { HttpAnswer } from "./answer.ts";
import { type HttpEvent, methodOf } from "./event.ts";

/** The call, and the answer that it would get as JSON. */
interface Beside {
  readonly call: Pick<Call, "bundle">;
  readonly answer: HttpAnswer;
}

/**
 * Makes the page of a report for a browser. Status and headers are those of the answer as JSON. No other page can show it in a
 * frame, and no cache keeps it.
 */
export async function pageAnswer(
  event: HttpEvent,
  report: Report,
  { call, answer }: Beside,
): Promise<HttpAnswer> {
  // A bundle that cannot be read is what the report is about: then the page has no SQL.
  const bundle = report.database === null ? null : await call.bundle().catch(() => null);
  const headers = {
    ...answer.headers,
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": `${contentSecurityPolicy()}; frame-ancestors 'none'`,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  };
  const body = methodOf(event) === "HEAD" ? "" : renderPage(report, bundle);
  return { ...answer, headers, body };
}
