import { MigratorError } from "../errors.ts";

const MAX_PUTS = 8;
const PUT_TIMEOUT_MS = 10_000;

/**
 * The first pause between two attempts; each one doubles. Four attempts fit into the time that is kept for answering, all
 * of them into half a minute.
 */
const FIRST_PAUSE_MS = 200;

/**
 * Sends the answer to the URL that CloudFormation gave us.
 * @throws MigratorError `INTERNAL`, without the URL (a secret), so that Lambda counts an error: nobody
 *   else would learn that the stack is left waiting
 */
export async function put(url: string, body: string, deadline: number): Promise<void> {
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
