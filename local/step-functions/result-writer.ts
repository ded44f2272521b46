import { asRecord } from "../../lib/json.ts";
import { StateError } from "./errors.ts";
import type { Execution, MapRun } from "./execution.ts";

import type { World } from "./world.ts";

/** Where the results of a map run go. */
export interface Destination {
  readonly bucket: string;
  readonly prefix: string;
}

interface ResultFile {
  readonly Key: string;
  readonly Size: number;
}

/** Reads the destination from the arguments of a ResultWriter. */
export function destinationOf(computed: unknown): Destination {
  const { Bucket, Prefix = "" } = asRecord(computed);
  return { bucket: String(Bucket), prefix: String(Prefix) };
}

/** The key of the manifest, which the result of the Map names. */
export function manifestKey(run: MapRun, { prefix }: Destination): string {
  return `${folderOf(run, prefix)}manifest.json`;
}

function folderOf(run: MapRun, prefix: string): string {
  return `${prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`}${run.id}/`;
}

/**
 * Writes the results of a map run as Step Functions does without a transformation: files with the children by their end,
 * aborted ones among the failed, and a manifest that names the files. A redrive writes them anew.
 * @param pending the inputs of the items that were not started
 * @throws StateError `States.ResultWriterFailed`
 */
export function writeResults(
  world: World,
  run: MapRun,
  to: Destination,
  pending: readonly string[],
): void {
  const ended = run.children.filter((child) => child !== undefined);
  const succeeded = ended.filter(({ status }) => status === "SUCCEEDED");
  const failed = ended.filter(({ status }) => status !== "SUCCEEDED");
  try {
    const write = (name: string, records: Iterable<object>) =>
      writeFiles(world, to.bucket, folderOf(run, to.prefix) + name, records);
    const manifest = {
      DestinationBucket: to.bucket,
      MapRunArn: run.arn,
      ResultFiles: {
        FAILED: write("FAILED", recordsOf(failed)),
        PENDING: write("PENDING", pendingRecords(pending)),
        SUCCEEDED: write("SUCCEEDED", recordsOf(succeeded)),
      },
    };
    world.s3.put(to.bucket, manifestKey(run, to), JSON.stringify(manifest));
  } catch (thrown) {
    throw new StateError(
      "States.ResultWriterFailed",
      String(Reflect.get(Object(thrown), "message")),
    );
  }
  run.resultsWritten = ended.length;
}

/** Writes a list of records into as many files as their size needs. */
function writeFiles(
  { s3, maxFileBytes }: World,
  bucket: string,
  name: string,
  records: Iterable<object>,
): readonly ResultFile[] {
  const files: ResultFile[] = [];
  let texts: string[] = [];
  let bytes = 0;
  const flush = () => {
    if (texts.length === 0) return;
    const Key = `${name}_${files.length}.json`;
    const { body } = s3.put(bucket, Key, `[${texts.join(",")}]`, {
      contentType: "application/json",
    });
    files.push({ Key, Size: body.length });
    texts = [];
    bytes = 0;
  };
  for (const record of records) {
    const text = JSON.stringify(record);
    if (bytes + text.length > maxFileBytes) flush();
    texts.push(text);
    bytes += text.length;
  }
  flush();
  return files;
}

function* recordsOf(children: readonly Execution[]): Iterable<object> {
  for (const child of children) {
    const { outputText, error, cause, stopMs = child.startMs } = child;
    yield {
      ...(cause === undefined ? {} : { Cause: cause }),
      ...(error === undefined ? {} : { Error: error }),
      ExecutionArn: child.arn,
      Input: child.inputText,
      InputDetails: { Included: true },
      Name: child.name,
      ...(outputText === undefined ? {} : { Output: outputText }),
      ...(outputText === undefined ? {} : { OutputDetails: { Included: true } }),
      RedriveCount: child.redriveCount,
      StartDate: new Date(child.startMs).toISOString(),
      StateMachineArn: child.machineArn,
      Status: child.status,
      StopDate: new Date(stopMs).toISOString(),
    };
  }
}

function* pendingRecords(inputs: readonly string[]): Iterable<object> {
  for (const Input of inputs) yield { Input, InputDetails: { Included: true }, Status: "PENDING" };
}
