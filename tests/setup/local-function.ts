import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type LambdaOptions, type LocalLambda, startLambda } from "../../local/lambda/lambda.ts";

/** Makes a function of one file of source. It is removed when the test ends. */
export async function deploySource(
  source: string,
  options: Omit<LambdaOptions, "handlerDirectory"> = {},
): Promise<LocalLambda> {
  const handlerDirectory = await mkdtemp(join(tmpdir(), "local-lambda-"));
  await writeFile(join(handlerDirectory, "index.mjs"), source);
  const lambda = startLambda({ handlerDirectory, ...options });
  onTestFinished(async () => {
    await lambda.stop();
    await rm(handlerDirectory, { recursive: true });
  });
  return lambda;
}
