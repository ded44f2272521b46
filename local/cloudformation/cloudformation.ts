/*
 * A stand-in for CloudFormation. Operations on a stack come in, and requests to a custom resource go out. The answers
 * come back through a bucket, and are judged by the contract. Nothing here knows migrations.
 */

import { randomBytes, randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { LOCAL_FUNCTION_ARN } from "../aws/account.ts";
import { type ResponseBucket, startBucket } from "./bucket.ts";
import {
  answersTo,
  type Change,
  type DeliveryOptions,
  type Exchange,
  exchange,
  type Sender,
  type SenderOptions,
} from "./exchange.ts";
import {
  type Properties,
  type ResourceRequest,
  stringifiedProperties,
  type Verdict,
} from "./response.ts";

/** The settings of a stack. */
export interface CloudFormationOptions extends SenderOptions {
  /** The service token of the resources. Default: the ARN of a local function. */
  readonly serviceToken?: string;
  /** Called before an Update is rolled back. CloudFormation then restores the function's old code, if it can. */
  readonly restoreCode?: () => unknown;
  /**
   * Whether operations are in Express mode (CloudFormation user guide, "express mode" and "stack failure options"): a failed
   * operation is not rolled back. What succeeded stays, a failed Update alone is taken back, while the function keeps its
   * new code, and what failed to be created is deleted by the next operation. Default: false.
   */
  readonly express?: boolean;
}

/** The settings of one operation. */
export interface OperationOptions extends DeliveryOptions {
  /** Whether another resource of the stack fails after this one has succeeded. Default: false. */
  readonly othersFail?: boolean;
}

/** One operation on the stack, with its requests in order. */
export interface Operation {
  /** The status of the stack after the operation. */
  readonly status:
    | "CREATE_COMPLETE"
    | "CREATE_FAILED"
    | "ROLLBACK_COMPLETE"
    | "ROLLBACK_FAILED"
    | "UPDATE_COMPLETE"
    | "UPDATE_FAILED"
    | "UPDATE_ROLLBACK_COMPLETE"
    | "UPDATE_ROLLBACK_FAILED"
    | "DELETE_COMPLETE"
    | "DELETE_FAILED";
  readonly exchanges: readonly Exchange[];
  /** The problems of all answers; empty when the function keeps the contract. */
  readonly problems: readonly string[];
}

/** A stand-in for CloudFormation, with one stack. Properties are stringified before they are sent. */
export interface LocalCloudFormation {
  /** The bucket for the answers, which can be told to fail. */
  readonly bucket: ResponseBucket;
  /** A failed Create is followed by a Delete with the id of its answer. */
  create(id: string, properties?: object, options?: OperationOptions): Promise<Operation>;
  /**
   * Equal properties send nothing. A failed Update is followed by another one, with the properties swapped. An Update
   * that answers with another physical id is followed by a Delete of the old one.
   */
  update(id: string, properties: object, options?: OperationOptions): Promise<Operation>;
  delete(id: string): Promise<Operation>;
  /**
   * Another resource fails while this one is being created. Once `when` settles, CloudFormation stops waiting, and
   * sends a Delete with an invented physical id. This call waits for both requests.
   */
  cancelCreate(id: string, properties: object, when: Promise<unknown>): Promise<Operation>;
  /** The same during an Update: the Update with the properties swapped comes before the first one has ended. */
  cancelUpdate(id: string, properties: object, when: Promise<unknown>): Promise<Operation>;
  /** Returns the attributes of a resource that `Fn::GetAtt` reads; null when there is no such resource. */
  attributes(id: string): Readonly<Record<string, string>> | null;
  /** Returns the physical id of a resource; null when there is no such resource. */
  physicalId(id: string): string | null;
  /** Returns every answer to a request that the bucket took, in order, judged by the contract. */
  answers(request: ResourceRequest): readonly Verdict[];
  stop(): Promise<void>;
}

interface Resource {
  readonly physicalId: string;
  readonly properties: Properties;
  readonly data: Readonly<Record<string, string>>;
}

interface Stack extends Sender {
  readonly options: CloudFormationOptions;
  readonly resources: Map<string, Resource>;
  /** What failed to be created, and waits for the next operation. */
  readonly failed: Map<string, Omit<Resource, "data">>;
}

const STACK_NAME = "local";

/** Starts the stand-in with an empty stack. */
export async function startCloudFormation(
  options: CloudFormationOptions,
): Promise<LocalCloudFormation> {
  const stack: Stack = {
    options,
    bucket: await startBucket(),
    stackId: `arn:aws:cloudformation:eu-central-1:123456789012:stack/${STACK_NAME}/${randomUUID()}`,
    serviceToken: options.serviceToken ?? LOCAL_FUNCTION_ARN,
    resources: new Map(),
    failed: new Map(),
  };
  const { bucket, resources } = stack;
  return {
    create: (id, properties = {}, delivery = {}) => create(stack, id, properties, delivery),
    update: (id, properties, delivery = {}) => update(stack, id, properties, delivery),
    delete: (id) => remove(stack, id),
    bucket,
    cancelCreate: (id, properties, when) => cancelCreate(stack, id, properties, when),
    cancelUpdate: (id, properties, when) => cancelUpdate(stack, id, properties, when),
    attributes: (id) => resources.get(id)?.data ?? null,
    physicalId: (id) => resources.get(id)?.physicalId ?? null,
    answers: (request) => answersTo(bucket, request),
    stop: () => bucket.stop(),
  };
}

async function create(
  stack: Stack,
  id: string,
  given: object,
  { othersFail = false, ...delivery }: OperationOptions,
): Promise<Operation> {
  const properties = propertiesOf(stack, given);
  const change: Change = {
    RequestType: "Create",
    LogicalResourceId: id,
    ResourceProperties: properties,
  };
  const created = await exchange(stack, change, delivery);
  const physicalId = created.physicalResourceId ?? inventedId(id);
  const { express = false } = stack.options;
  if (created.status === "SUCCESS" && (express || !othersFail)) {
    stack.resources.set(id, { physicalId, properties, data: created.data });
    const cleanedUp = await deleteFailed(stack, id);
    return operation(othersFail ? "CREATE_FAILED" : "CREATE_COMPLETE", [created, ...cleanedUp]);
  }
  if (express) {
    stack.failed.set(id, { physicalId, properties });
    return operation("CREATE_FAILED", [created]);
  }
  const undone = await sendDelete(stack, id, { physicalId, properties });
  const status = undone.status === "SUCCESS" ? "ROLLBACK_COMPLETE" : "ROLLBACK_FAILED";
  return operation(status, [created, undone]);
}

/** Deletes what an earlier operation failed to create. Whether that comes before or after the new one is not documented. */
async function deleteFailed(stack: Stack, id: string): Promise<readonly Exchange[]> {
  const failed = stack.failed.get(id);
  stack.failed.delete(id);
  return failed === undefined ? [] : [await sendDelete(stack, id, failed)];
}

async function update(
  stack: Stack,
  id: string,
  given: object,
  { othersFail = false, ...delivery }: OperationOptions,
): Promise<Operation> {
  const properties = propertiesOf(stack, given);
  const old = existing(stack, id);
  if (isDeepStrictEqual(properties, old.properties)) return operation("UPDATE_COMPLETE", []);
  const updated = await sendUpdate(stack, id, { from: old, to: properties }, delivery);
  const { express = false } = stack.options;
  if (updated.status === "FAILED" || (othersFail && !express)) {
    return rollBack(stack, id, properties, updated);
  }
  const physicalId = updated.physicalResourceId ?? old.physicalId;
  stack.resources.set(id, { physicalId, properties, data: updated.data });
  const status = othersFail ? "UPDATE_FAILED" : "UPDATE_COMPLETE";
  if (physicalId === old.physicalId) return operation(status, [updated]);
  return operation(status, [updated, await sendDelete(stack, id, old)]);
}

/** Rolls an Update back. @param updated the Update to undo; it may still be under way */
async function rollBack(
  stack: Stack,
  id: string,
  properties: Properties,
  updated: Exchange | Promise<Exchange>,
): Promise<Operation> {
  const old = existing(stack, id);
  const { express = false, restoreCode } = stack.options;
  if (!express) await restoreCode?.();
  const undoing = { from: { physicalId: old.physicalId, properties }, to: old.properties };
  const undone = await sendUpdate(stack, id, undoing);
  const rolledBack = undone.status === "SUCCESS";
  if (rolledBack) stack.resources.set(id, { ...old, data: undone.data });
  const status = rolledBack ? "UPDATE_ROLLBACK_COMPLETE" : "UPDATE_ROLLBACK_FAILED";
  return operation(express ? "UPDATE_FAILED" : status, [await updated, undone]);
}

async function remove(stack: Stack, id: string): Promise<Operation> {
  const deleted = await sendDelete(stack, id, existing(stack, id));
  if (deleted.status === "FAILED") return operation("DELETE_FAILED", [deleted]);
  stack.resources.delete(id);
  return operation("DELETE_COMPLETE", [deleted]);
}

async function cancelCreate(
  stack: Stack,
  id: string,
  given: object,
  when: Promise<unknown>,
): Promise<Operation> {
  const properties = propertiesOf(stack, given);
  const creating = exchange(stack, {
    RequestType: "Create",
    LogicalResourceId: id,
    ResourceProperties: properties,
  });
  await when;
  const deleted = await sendDelete(stack, id, { physicalId: inventedId(id), properties });
  const status = deleted.status === "SUCCESS" ? "ROLLBACK_COMPLETE" : "ROLLBACK_FAILED";
  return operation(status, [await creating, deleted]);
}

async function cancelUpdate(
  stack: Stack,
  id: string,
  given: object,
  when: Promise<unknown>,
): Promise<Operation> {
  const properties = propertiesOf(stack, given);
  const updating = sendUpdate(stack, id, { from: existing(stack, id), to: properties });
  await when;
  return rollBack(stack, id, properties, updating);
}

function sendUpdate(
  stack: Stack,
  id: string,
  step: { readonly from: Omit<Resource, "data">; readonly to: Properties },
  delivery: DeliveryOptions = {},
): Promise<Exchange> {
  const change: Change = {
    RequestType: "Update",
    LogicalResourceId: id,
    PhysicalResourceId: step.from.physicalId,
    ResourceProperties: step.to,
    OldResourceProperties: step.from.properties,
  };
  return exchange(stack, change, delivery);
}

function sendDelete(stack: Stack, id: string, old: Omit<Resource, "data">): Promise<Exchange> {
  return exchange(stack, {
    RequestType: "Delete",
    LogicalResourceId: id,
    PhysicalResourceId: old.physicalId,
    ResourceProperties: old.properties,
  });
}

function operation(status: Operation["status"], exchanges: readonly Exchange[]): Operation {
  return { status, exchanges, problems: exchanges.flatMap((each) => each.problems) };
}

function propertiesOf(stack: Stack, given: object): Properties {
  return stringifiedProperties({ ServiceToken: stack.serviceToken, ...given });
}

function existing(stack: Stack, id: string): Resource {
  const resource = stack.resources.get(id);
  if (resource === undefined) throw new Error(`The stack has no resource ${id}. Create it first.`);
  return resource;
}

/** Invents a physical id by CloudFormation's pattern for a resource that has not answered yet. */
function inventedId(id: string): string {
  return `${STACK_NAME}-${id}-${randomBytes(6).toString("hex").toUpperCase()}`;
}
