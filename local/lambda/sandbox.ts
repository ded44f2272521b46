import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The settings of one process of the function. */
export interface SandboxOptions {
  readonly nodePath: string;
  /** The runtime interface client. Default: our own, which behaves like AWS' for nodejs24.x. */
  readonly clientPath?: string;
  readonly taskRoot: string;
  /** The whole environment, without the address of the Runtime API. */
  readonly environment: Readonly<Record<string, string>>;
  readonly functionArn: string;
  readonly timeoutMs: number;
  /** Whether a call's time passes only when `leaveOnly` says so. Default: false, by the clock. */
  readonly movableClock?: boolean;
}

/** One call of the function. */
export interface Job {
  readonly requestId: string;
  readonly event: unknown;
  /** The ARN in the call. Default: the function's own. */
  readonly functionArn?: string;
  /** Gets each part of a streamed answer as it comes. False cuts the answer off, as when nobody listens any more. */
  readonly onPart?: (part: string) => boolean;
}

/** The end of one call of the function. A streamed answer is a text. */
export interface Outcome {
  readonly payload: unknown;
  readonly functionError: null | "Unhandled";
  /** From the delivery of the event to the answer. */
  readonly durationMs: number;
  /** The lines that the process wrote to standard output and standard error during the call. */
  readonly logs: readonly string[];
}

/** The limit for loading. Lambda's is ten seconds, which a slow machine may need without a fault of the function. */
const INIT_TIMEOUT_MS = 120_000;
/** The 6 MB of Lambda's quotas, with the bytes around them. */
const MAX_RESPONSE_BYTES = 6_291_556;
const RESPONSE_TOO_LARGE = {
  errorType: "Function.ResponseSizeTooLarge",
  errorMessage: `Response payload size exceeded maximum allowed payload size (${MAX_RESPONSE_BYTES} bytes).`,
};
const RUNTIME = fileURLToPath(new URL("./runtime.mjs", import.meta.url));
const CLOCK = new URL("./clock.mjs", import.meta.url).href;

interface Current {
  readonly job: Job;
  readonly settle: (payload: unknown, functionError: null | "Unhandled") => Promise<void>;
  deliveredAt: number | null;
  timer: NodeJS.Timeout;
  /** The part of a streamed answer that came before it was cut off; null for an answer that was not cut off. */
  cutOff: string | null;
}

/** One process of the function, with a Runtime API of its own. Serves one call at a time. */
export class Sandbox {
  readonly #options: SandboxOptions;
  readonly #server: Server;
  readonly #logs: string[] = [];
  #child: ChildProcess | null = null;
  #waiting: ServerResponse | null = null;
  #current: Current | null = null;
  #usable = true;
  /** How far the function's clock is ahead of ours, in ms. */
  #aheadMs = 0;

  constructor(options: SandboxOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** Whether the process lives and can take another call. */
  get usable(): boolean {
    return this.#usable;
  }

  /** Whether the function has an event that it has not answered yet. */
  get busy(): boolean {
    return (this.#current?.deliveredAt ?? null) !== null;
  }

  /** Starts the process. The first call shows whether its code can be loaded. */
  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const bound = this.#server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    const { nodePath, taskRoot, environment, clientPath = RUNTIME } = this.#options;
    const { movableClock = false } = this.#options;
    const child = spawn(nodePath, [...(movableClock ? ["--import", CLOCK] : []), clientPath], {
      cwd: taskRoot,
      env: { ...environment, AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}` },
      stdio: ["ignore", "pipe", "pipe", ...(movableClock ? ["ipc" as const] : [])],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface(stream).on("line", (line) => this.#logs.push(line));
    }
    child.on("error", (error) => this.#exited(error.message));
    child.on("exit", () => {
      this.#usable = false;
    });
    // This event comes later than "exit", when all output has been read.
    child.on("close", (code, signal) => this.#exited(exitReason(code, signal)));
  }

  /** Hands one event to the function and waits for its answer, its end, or the deadline. */
  invoke(job: Job): Promise<Outcome> {
    return new Promise((resolve) => {
      const settle: Current["settle"] = async (payload, functionError) => {
        const current = this.#current;
        if (current === null) return;
        clearTimeout(current.timer);
        this.#current = null;
        const durationMs = this.#now() - (current.deliveredAt ?? this.#now());
        this.#tellClock({ goAheadMs: this.#aheadMs });
        // Output from before the answer is in the pipe already; two turns let it be read.
        await nextTurn();
        await nextTurn();
        resolve({ payload, functionError, durationMs, logs: this.#logs.splice(0) });
      };
      const timer = setTimeout(() => this.#timedOut(INIT_TIMEOUT_MS), INIT_TIMEOUT_MS);
      this.#current = { job, settle, deliveredAt: null, timer, cutOff: null };
      if (!this.#usable) this.#exited("The process has ended.");
      this.#deliver();
    });
  }

  /** Stops the process with SIGSTOP; `false` lets it go on. It is killed when its time is over. */
  freeze(frozen = true): void {
    this.#child?.kill(frozen ? "SIGSTOP" : "SIGCONT");
  }

  /**
   * Lets the time of the present call pass until only so many ms are left; with 0 the process is killed.
   * @throws Error where no call is under way, or the time passes by the clock
   */
  leaveOnly(leftMs: number): void {
    const { movableClock = false, timeoutMs } = this.#options;
    const deliveredAt = this.#current?.deliveredAt ?? null;
    if (!movableClock || deliveredAt === null) {
      throw new Error("No call is under way whose time could be let pass.");
    }
    if (leftMs <= 0) {
      this.#timedOut(timeoutMs);
      return;
    }
    const standAt = deliveredAt + timeoutMs - leftMs;
    this.#aheadMs = standAt - Date.now();
    this.#tellClock({ standAt });
  }

  /** Kills the process and frees the port. */
  async stop(): Promise<void> {
    this.#usable = false;
    this.#child?.kill("SIGKILL");
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.replace("/2018-06-01/runtime/", "") ?? "";
    if (path === "invocation/next") {
      await this.#settleCutOff();
      this.#waiting = response;
      this.#deliver();
    } else if (request.headers["lambda-runtime-function-response-mode"] === "streaming") {
      await this.#receiveStream(request, response);
    } else {
      await this.#receive(path, await text(request), response);
    }
  }

  /** Settles a call whose answer was cut off, once the client has ended it. */
  async #settleCutOff(): Promise<void> {
    const { cutOff = null } = this.#current ?? {};
    if (cutOff !== null) await this.#current?.settle(cutOff, null);
  }

  async #receive(path: string, body: string, response: ServerResponse): Promise<void> {
    if (path === "init/error") this.#usable = false;
    const ofCurrent = path.includes(this.#current?.job.requestId ?? "none");
    const tooLarge = path.endsWith("/response") && Buffer.byteLength(body) > MAX_RESPONSE_BYTES;
    response.writeHead(tooLarge ? 413 : 202).end();
    if (!ofCurrent && path !== "init/error") return;
    const failed = tooLarge || !path.endsWith("/response");
    const payload: unknown = tooLarge ? RESPONSE_TOO_LARGE : JSON.parse(body);
    await this.#current?.settle(payload, failed ? "Unhandled" : null);
  }

  /** Takes an answer part by part. The trailers of an answer that failed half-way say so. */
  async #receiveStream(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const current = this.#current;
    if (current === null) return;
    request.setEncoding("utf8");
    let body = "";
    for await (const part of request) {
      body += String(part);
      if (current.job.onPart?.(String(part)) !== false) continue;
      current.cutOff = body;
      request.socket.destroy();
      return;
    }
    response.writeHead(202).end();
    const error = request.trailers["lambda-runtime-function-error-body"];
    if (error === undefined) await current.settle(body, null);
    else await current.settle(JSON.parse(Buffer.from(error, "base64").toString()), "Unhandled");
  }

  #deliver(): void {
    const [current, response] = [this.#current, this.#waiting];
    if (current === null || current.deliveredAt !== null || response === null) return;
    const { timeoutMs, functionArn, movableClock = false } = this.#options;
    clearTimeout(current.timer);
    current.deliveredAt = this.#now();
    if (!movableClock) current.timer = setTimeout(() => this.#timedOut(timeoutMs), timeoutMs);
    this.#waiting = null;
    response.writeHead(200, {
      "content-type": "application/json",
      "lambda-runtime-aws-request-id": current.job.requestId,
      "lambda-runtime-deadline-ms": String(current.deliveredAt + timeoutMs),
      "lambda-runtime-invoked-function-arn": current.job.functionArn ?? functionArn,
      "lambda-runtime-trace-id": "Root=1-00000000-000000000000000000000000;Sampled=0",
    });
    response.end(JSON.stringify(current.job.event ?? null));
  }

  #now(): number {
    return Date.now() + this.#aheadMs;
  }

  /** Tells `clock.mjs` the time. A process that is gone needs no clock. */
  #tellClock(word: { readonly standAt: number } | { readonly goAheadMs: number }): void {
    if (this.#child?.connected === true) this.#child.send(word, () => undefined);
  }

  #timedOut(limitMs: number): void {
    const seconds = (limitMs / 1_000).toFixed(2);
    this.#fail("Sandbox.Timedout", `Task timed out after ${seconds} seconds`);
    this.#child?.kill("SIGKILL");
  }

  #exited(reason: string): void {
    this.#fail("Runtime.ExitError", reason);
  }

  #fail(errorType: string, reason: string): void {
    this.#usable = false;
    const errorMessage = `RequestId: ${this.#current?.job.requestId} Error: ${reason}`;
    void this.#current?.settle({ errorType, errorMessage }, "Unhandled");
  }
}

function exitReason(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `Runtime exited with error: signal: ${signal}`;
  if (code === 0) return "Runtime exited without providing a reason";
  return `Runtime exited with error: exit status ${code}`;
}
