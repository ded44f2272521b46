import { randomBytes, randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { LOCAL_ACCOUNT } from "../aws/account.ts";
import {
  type LocalCloudFormation,
  type Operation,
  startCloudFormation,
} from "../cloudformation/cloudformation.ts";
import { type AccountFunctions, arnOf } from "./functions.ts";
import {
  inOrder,
  type Lookup,
  resolveValue,
  type Template,
  type TemplateResource,
} from "./template.ts";

/** One line of a stack's history. */
export interface StackEvent {
  readonly at: Date;
  readonly logicalId: string;
  readonly physicalId: string;
  readonly type: string;
  readonly status: string;
  readonly reason: string;
}

/** A resource that is there. */
export interface StackResource {
  readonly type: string;
  readonly physicalId: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What a stack is made with. */
export interface StackParts {
  readonly functions: AccountFunctions;
  /** Reads an object of a bucket. */
  readonly object: (bucket: string, key: string) => Buffer;
}

/** A step of an operation that failed, with CloudFormation's words for it. */
class StepFailed extends Error {}

/**
 * A stack in the account. Functions are run and custom resources are called; any other resource is taken as made. One
 * operation at a time.
 */
export class AccountStack {
  readonly id: string;
  readonly name: string;
  readonly events: StackEvent[] = [];
  readonly resources = new Map<string, StackResource>();
  status = "REVIEW_IN_PROGRESS";
  reason = "";
  template = "";
  outputs: Readonly<Record<string, string>> = {};
  readonly #parts: StackParts;
  /** The functions whose code the running operation has changed. */
  readonly #changed = new Set<string>();
  #custom: LocalCloudFormation | null = null;

  constructor(name: string, parts: StackParts) {
    this.name = name;
    this.id = `arn:aws:cloudformation:${LOCAL_ACCOUNT.region}:${LOCAL_ACCOUNT.id}:stack/${name}/${randomUUID()}`;
    this.#parts = parts;
  }

  /** Creates or updates the stack, and rolls back where that fails. */
  async deploy(text: string): Promise<void> {
    const template: Template = JSON.parse(text);
    const verb = this.status === "REVIEW_IN_PROGRESS" ? "CREATE" : "UPDATE";
    this.#changed.clear();
    this.#say(`${verb}_IN_PROGRESS`, "User Initiated");
    const before = new Map(this.resources);
    try {
      for (const id of inOrder(template)) await this.#make(id, template.Resources[id]);
      await this.#removeAll([...this.resources.keys()].filter((id) => !(id in template.Resources)));
    } catch (thrown) {
      if (!(thrown instanceof StepFailed)) throw thrown;
      await this.#rollBack(verb, before, thrown.message);
      return;
    }
    this.template = text;
    this.outputs = this.#outputsOf(template);
    this.#say(`${verb}_COMPLETE`);
  }

  async delete(): Promise<void> {
    this.#say("DELETE_IN_PROGRESS", "User Initiated");
    try {
      await this.#removeAll([...this.resources.keys()].reverse());
      this.#say("DELETE_COMPLETE");
    } catch (thrown) {
      if (!(thrown instanceof StepFailed)) throw thrown;
      this.#say("DELETE_FAILED", thrown.message);
    }
  }

  async stop(): Promise<void> {
    await this.#custom?.stop();
  }

  async #make(id: string, resource: TemplateResource | undefined): Promise<void> {
    if (resource === undefined) return;
    const { Type: type } = resource;
    const properties = Object(resolveValue(resource.Properties ?? {}, this.#lookup));
    const old = this.resources.get(id);
    if (isDeepStrictEqual(old?.properties, properties)) return;
    const verb = old === undefined ? "CREATE" : "UPDATE";
    const physicalId = old?.physicalId ?? this.#idFor(id, type, properties);
    this.#note(id, { type, physicalId, status: `${verb}_IN_PROGRESS` });
    if (type === "AWS::Lambda::Function") this.#giveCode(physicalId, properties);
    const failure = type.startsWith("Custom::")
      ? failureOf(await this.#call(id, old, properties))
      : null;
    if (failure !== null) {
      this.#note(id, { type, physicalId, status: `${verb}_FAILED`, reason: failure });
      throw new StepFailed(`The following resource(s) failed to ${verb.toLowerCase()}: [${id}]. `);
    }
    this.resources.set(id, { type, physicalId, properties });
    this.#note(id, { type, physicalId, status: `${verb}_COMPLETE` });
  }

  async #rollBack(
    verb: "CREATE" | "UPDATE",
    before: ReadonlyMap<string, StackResource>,
    reason: string,
  ): Promise<void> {
    const prefix = verb === "CREATE" ? "" : "UPDATE_";
    this.#say(`${prefix}ROLLBACK_IN_PROGRESS`, reason);
    // A custom resource has been sent back already, and the functions with it.
    this.#restoreCode();
    if (verb === "CREATE") await this.#removeAll([...this.resources.keys()].reverse());
    for (const [id, resource] of before) this.resources.set(id, resource);
    this.#say(`${prefix}ROLLBACK_COMPLETE`);
  }

  #restoreCode(): void {
    for (const name of this.#changed) this.#parts.functions.restore(name);
    this.#changed.clear();
  }

  #giveCode(name: string, properties: Readonly<Record<string, unknown>>): void {
    const { S3Bucket, S3Key } = Object(properties.Code);
    const variables = Object(Object(properties.Environment).Variables);
    if (S3Key === undefined) return;
    const isChange = this.#parts.functions.has(name);
    this.#parts.functions.deploy(name, this.#parts.object(S3Bucket, S3Key), variables);
    if (isChange) this.#changed.add(name);
  }

  async #call(id: string, old: StackResource | undefined, properties: object): Promise<Operation> {
    this.#custom ??= await startCloudFormation({
      invoke: (event) => this.#parts.functions.find(event.ServiceToken).invokeAsync(event),
      serviceToken: String(Reflect.get(properties, "ServiceToken")),
      restoreCode: () => this.#restoreCode(),
    });
    if (old === undefined) return await this.#custom.create(id, properties);
    return await this.#custom.update(id, properties);
  }

  async #removeAll(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const { type, physicalId } = this.resources.get(id) ?? { type: "", physicalId: "" };
      this.#note(id, { type, physicalId, status: "DELETE_IN_PROGRESS" });
      if (type === "AWS::Lambda::Function") this.#parts.functions.remove(physicalId);
      if (type.startsWith("Custom::")) {
        const failure = failureOf(await this.#custom?.delete(id));
        if (failure !== null) throw new StepFailed(failure);
      }
      this.resources.delete(id);
      this.#note(id, { type, physicalId, status: "DELETE_COMPLETE" });
    }
  }

  readonly #lookup: Lookup = (id, attribute) => {
    const resource = this.resources.get(id);
    if (resource === undefined) {
      throw new StepFailed(`Template error: the template has no resource ${id} to refer to. `);
    }
    const { type, physicalId } = resource;
    if (attribute === null) return physicalId;
    if (type.startsWith("Custom::")) return this.#custom?.attributes(id)?.[attribute] ?? "";
    return type === "AWS::Lambda::Function" ? arnOf(physicalId) : `arn:aws:local:::${physicalId}`;
  };

  #idFor(id: string, type: string, properties: Readonly<Record<string, unknown>>): string {
    if (type === "AWS::Lambda::Function" && typeof properties.FunctionName === "string") {
      return properties.FunctionName;
    }
    return `${this.name}-${id}-${randomBytes(6).toString("hex").toUpperCase()}`.slice(-64);
  }

  #outputsOf({ Outputs = {} }: Template): Readonly<Record<string, string>> {
    const entries = Object.entries(Outputs);
    return Object.fromEntries(
      entries.map(([id, { Value }]) => [id, String(resolveValue(Value, this.#lookup))]),
    );
  }

  #say(status: string, reason = ""): void {
    this.status = status;
    this.reason = reason;
    const type = "AWS::CloudFormation::Stack";
    this.#note(this.name, { type, physicalId: this.id, status, reason });
  }

  #note(
    logicalId: string,
    event: Omit<StackEvent, "at" | "logicalId" | "reason"> & { readonly reason?: string },
  ): void {
    this.events.push({ at: new Date(), logicalId, reason: "", ...event });
  }
}

/** CloudFormation's sentence about a custom resource that said no; null for one that did not. */
function failureOf(operation: Operation | undefined): string | null {
  const [first] = operation?.exchanges ?? [];
  if (operation === undefined || first === undefined || first.status === "SUCCESS") return null;
  return `Received response status [FAILED] from custom resource. Message returned: ${first.reason} (RequestId: ${first.request.RequestId})`;
}
