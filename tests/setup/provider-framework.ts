import { AsyncLocalStorage } from "node:async_hooks";
import { request as httpRequest, type RequestOptions } from "node:http";
import Module, { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { LOCAL_FUNCTION_ARN } from "../../local/aws/account.ts";
import type { ResourceRequest } from "../../local/cloudformation/response.ts";
import type { Outcome } from "../../local/lambda/sandbox.ts";

/** The service token of a resource for which CDK's Provider framework answers. */
export const FRAMEWORK_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:framework";

/** One request on its way through the framework. */
interface Passage {
  readonly port: string;
  readonly deliver: (event: unknown) => Promise<Outcome>;
}

const require = createRequire(import.meta.url);
const passages = new AsyncLocalStorage<Passage>();
const runtime = join(
  dirname(require.resolve("aws-cdk-lib/package.json")),
  "custom-resources/lib/provider-framework/runtime",
);

/**
 * Gives a request to the framework's own function (aws-cdk-lib, `custom-resources/provider-framework`), which passes all
 * of it on, and sends the answer itself. We replace its two ways out: the invocation, and the PUT, which here keeps the
 * port of the URL.
 */
export async function answerAsFramework(
  request: ResourceRequest,
  deliver: Passage["deliver"],
): Promise<void> {
  const { port } = new URL(request.ResponseURL);
  await passages.run({ port, deliver }, () => framework().onEvent({ ...request }));
}

function framework(): { onEvent(event: object): Promise<void> } {
  process.env.USER_ON_EVENT_FUNCTION_ARN = LOCAL_FUNCTION_ARN;
  const outbound = join(runtime, "outbound.js");
  const stub = new Module(outbound);
  stub.exports = { invokeFunction, httpRequest: putWithPort };
  stub.loaded = true;
  // Without the stub, the framework would load the AWS SDK.
  require.cache[outbound] = stub;
  require(join(runtime, "util.js")).log = () => undefined;
  return require(join(runtime, "framework.js"));
}

/** Invokes as the SDK does: a function error is no exception. */
async function invokeFunction({ Payload }: { readonly Payload: string }): Promise<object> {
  const outcome = await passages.getStore()?.deliver(JSON.parse(Payload));
  const FunctionError = outcome?.functionError ?? undefined;
  return { FunctionError, Payload: Buffer.from(JSON.stringify(outcome?.payload ?? null)) };
}

function putWithPort(options: RequestOptions, body: string): Promise<void> {
  const port = passages.getStore()?.port;
  return new Promise((resolve, reject) => {
    const sending = httpRequest({ ...options, port }, ({ statusCode = 500 }) => {
      sending.destroy();
      if (statusCode < 400) resolve();
      else reject(new Error(`Unsuccessful HTTP response: ${statusCode}`));
    });
    sending.on("error", reject);
    sending.end(body);
  });
}
