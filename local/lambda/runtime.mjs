/**
 * The runtime client inside the function's own process. It behaves like that of nodejs24.x (source: aws-lambda-ric 4),
 * and talks to `sandbox.ts`. It is plain JavaScript, so that any Node version starts it without a loader.
 */
import { request } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const environment = process.env;
const [host, port] = environment.AWS_LAMBDA_RUNTIME_API.split(":");

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const sending = request(
      // Each call has its own connection: an idle one must not keep the event loop alive.
      { host, port, method, path: `/2018-06-01/runtime/${path}`, agent: false },
      (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("error", reject);
        response.on("end", () =>
          resolve({ headers: response.headers, body: Buffer.concat(parts).toString("utf8") }),
        );
      },
    );
    sending.on("error", reject);
    sending.end(body);
  });
}

const streaming = new WeakSet();

/** The global of AWS' client for functions that stream their answers. */
globalThis.awslambda = {
  streamifyResponse(handler) {
    streaming.add(handler);
    return handler;
  },
  HttpResponseStream: {
    /** Writes the beginning of an HTTP answer before the first write, with eight zero bytes behind it. */
    from(stream, prelude) {
      stream.setContentType("application/vnd.awslambda.http-integration-response");
      const write = stream.write.bind(stream);
      stream.write = (...first) => {
        stream.write = write;
        write(`${JSON.stringify(prelude)}${"\0".repeat(8)}`);
        return write(...first);
      };
      return stream;
    },
  },
};

/** Sends a handler's writes as they come. An error that it throws goes into the trailers. */
async function stream(handler, event, context) {
  const path = `/2018-06-01/runtime/invocation/${context.awsRequestId}/response`;
  const headers = {
    "lambda-runtime-function-response-mode": "streaming",
    "content-type": "application/octet-stream",
    "transfer-encoding": "chunked",
    trailer: "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
  };
  const output = request({ host, port, method: "POST", path, headers, agent: false });
  output.setContentType = (type) => output.setHeader("content-type", type);
  const answered = new Promise((resolve, reject) => {
    output.on("error", reject);
    output.on("response", (response) => response.on("end", resolve).resume());
  });
  try {
    await handler(event, output, context);
    await answered;
  } catch (thrown) {
    const error = describe(thrown);
    output.addTrailers({
      "Lambda-Runtime-Function-Error-Type": error.errorType,
      "Lambda-Runtime-Function-Error-Body": Buffer.from(JSON.stringify(error)).toString("base64"),
    });
    output.end();
    await answered.catch(() => undefined);
  }
}

function describe(thrown) {
  try {
    if (thrown instanceof Error) {
      const trace = thrown.stack?.split("\n") ?? [];
      return { errorType: thrown.name, errorMessage: thrown.message, trace };
    }
    return { errorType: typeof thrown, errorMessage: thrown.toString(), trace: [] };
  } catch {
    // null and undefined have no toString.
    const errorMessage =
      "callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack";
    return { errorType: "handled", errorMessage, trace: [] };
  }
}

function runtimeError(name, message) {
  return Object.assign(new Error(message), { name });
}

async function loadHandler() {
  const [file, name] = environment._HANDLER.split(".");
  const path = join(environment.LAMBDA_TASK_ROOT, `${file}.mjs`);
  const handler = (await import(pathToFileURL(path).href))[name];
  if (typeof handler !== "function") {
    throw runtimeError(
      "Runtime.HandlerNotFound",
      `${environment._HANDLER} is undefined or not exported`,
    );
  }
  if (handler.length > 2 && !streaming.has(handler)) {
    throw runtimeError(
      "Runtime.CallbackHandlerDeprecated",
      "AWS Lambda has removed support for callback-based function handlers starting with Node.js 24.",
    );
  }
  return handler;
}

function contextOf(headers) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  return {
    functionVersion: environment.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: environment.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: environment.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: environment.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: undefined,
    identity: undefined,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

function stringify(result) {
  try {
    return JSON.stringify(result === undefined ? null : result);
  } catch {
    throw runtimeError("Runtime.JSONStringifyError", "Unable to stringify response body");
  }
}

async function answer(handler, { headers, body }) {
  const context = contextOf(headers);
  if (streaming.has(handler)) {
    await stream(handler, JSON.parse(body), context);
    return;
  }
  const path = `invocation/${context.awsRequestId}`;
  const outcome = await Promise.resolve()
    .then(() => handler(JSON.parse(body), context))
    .then(stringify)
    .then(
      (result) => ["response", result],
      (thrown) => ["error", JSON.stringify(describe(thrown))],
    );
  await call("POST", `${path}/${outcome[0]}`, outcome[1]);
}

async function main() {
  try {
    const handler = await loadHandler();
    for (;;) await answer(handler, await call("GET", "invocation/next"));
  } catch (thrown) {
    // Before the first invocation, the function could not be loaded. Later, the parent process is gone.
    await call("POST", "init/error", JSON.stringify(describe(thrown))).catch(() => undefined);
    process.exit(1);
  }
}

// Not awaited: a handler that never settles then ends the process with code 0, as in Lambda.
void main();
