import { MigratorError } from "../errors.ts";

const MAX_PUTS = 8;
const PUT_TIMEOUT_MS = 10_000;

/**
 * The first pause between two attempts; each one doubles. Four attempts fit into the time that is kept for answering, all
 * of them into half a minute.
 */
const FIRST_PAUSE_MS = 200;

/**
 * A URL of AWS: a host under one of AWS' domains (those of the sovereign cloud and of the isolated regions at the end), by
 * https, on its own port, without a user. Compared as text, so that no parser can be of another opinion.
 */
const OF_AWS =
  /^https:\/\/(?:[a-z\d-]+\.)+(?:amazonaws\.(?:com|com\.cn|eu)|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk)(?::443)?(?:[/?]|$)/i;

/** The host of S3, of a bucket or not. Others under AWS' domains are anybody's, such as an API. */
const OF_S3 = /^https:\/\/(?:[a-z\d-]+\.)?s3[.-]/i;

/** The variables by which an SDK is led to another endpoint than AWS', for all services or one. */
const ENDPOINT = /^AWS_ENDPOINT_URL(?:_[A-Z\d_]+)?$/;

/**
 * Refuses a URL for the answer that is not AWS': whoever may invoke the function could have it send a PUT to a host of
 * their choice, from inside its network. With a local endpoint, as stand-ins set one, any URL of HTTP is fine.
 * @throws MigratorError `ANSWER_REFUSED`, without the URL (a secret)
 */
export function refuseForeignUrl(url: string, environment: NodeJS.ProcessEnv = process.env): void {
  if (OF_AWS.test(url) && OF_S3.test(url)) return;
  if (/^https?:\/\//i.test(url) && hasLocalEndpoint(environment)) return;
  throw new MigratorError(
    "ANSWER_REFUSED",
    "The event asks for an answer to a URL that is not one of AWS: https, and a host of S3 under amazonaws.com. Nothing was run, and nothing was sent. Find out who invokes the function with it; for a stand-in of CloudFormation set AWS_ENDPOINT_URL.",
  );
}

/** Whether an endpoint is set that is none of AWS' own, such as that of a VPC. */
function hasLocalEndpoint(environment: NodeJS.ProcessEnv): boolean {
  if (environment.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS === "true") return false;
  return Object.entries(environment).some(
    ([name, url = ""]) => ENDPOINT.test(name) && url.trim() !== "" && !OF_AWS.test(url.trim()),
  );
}

/**
 * Sends the answer to the URL that CloudFormation gave us.
 * @throws MigratorError `ANSWER_REFUSED`, and `INTERNAL`, without the URL (a secret), so that Lambda counts an error: nobody
 *   else would learn that the stack is left waiting
 */
export async function put(url: string, body: string, deadline: number): Promise<void> {
  refuseForeignUrl(url);
  let last: Attempt = { problem: "no attempt was made", final: false };
  for (let attempt = 1; attempt <= MAX_PUTS; attempt += 1) {
    // Near the deadline half of the time is kept for another attempt: a connection may simply go silent.
    const timeoutMs = Math.min(PUT_TIMEOUT_MS, (deadline - Date.now()) / 2);
    last = await putOnce(url, Buffer.from(body), timeoutMs);
    if (last.problem === null) return;
    const pauseMs = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
    if (last.final || attempt === MAX_PUTS || Date.now() + pauseMs >= deadline) break;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  throw new MigratorError("INTERNAL", `CloudFormation could not be answered: ${last.problem}.`);
}

/** How one PUT went. */
interface Attempt {
  /** Null if nothing went wrong. */
  readonly problem: string | null;
  /** Whether another attempt would go the same way. */
  readonly final: boolean;
}

async function putOnce(url: string, body: Buffer, timeoutMs: number): Promise<Attempt> {
  try {
    const status = await statusOfPut(url, body, timeoutMs);
    if (status < 300) return { problem: null, final: true };
    // The URL has expired, or a policy forbids it: that does not change within minutes.
    return { problem: `the answer to the PUT was ${status}`, final: status === 403 };
  } catch {
    return { problem: "the PUT did not get through", final: false };
  }
}

/**
 * No `fetch`: where the connection is reset as soon as it is made, its promise sometimes never settles
 * (Node 20.20), and with nothing left to wait for the process ends without an answer. No content-type
 * either: it would break the signature.
 */
function statusOfPut(url: string, body: Buffer, timeoutMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    // Imported, `node:http` would make every start of the function load Node's whole `fetch` (a third of it).
    const protocol = url.startsWith("http:") ? "node:http" : "node:https";
    const sending = process.getBuiltinModule(protocol).request(url, {
      method: "PUT",
      headers: { "content-length": body.length },
      agent: false,
      signal: AbortSignal.timeout(Math.max(Math.floor(timeoutMs), 100)),
    });
    sending.on("error", reject);
    sending.on("response", ({ statusCode = 500 }) => {
      resolve(statusCode);
      sending.destroy();
    });
    sending.end(body);
  });
}
