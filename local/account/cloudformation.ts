import { AccountStack, type StackEvent, type StackParts } from "./stack.ts";
import type { XmlValue } from "./xml.ts";

/** What CloudFormation's API knows. */
export interface CloudFormationState extends StackParts {
  readonly stacks: Map<string, AccountStack>;
  /** The templates of change sets, by the names of their stacks. */
  readonly changes: Map<string, string>;
}

/** A refusal in the Query protocol. */
export class QueryFailure extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Answers a call of CloudFormation's API, as far as CDK makes it.
 * @throws QueryFailure as the service refuses
 */
export function callCloudFormation(
  state: CloudFormationState,
  action: string,
  call: URLSearchParams,
): XmlValue {
  const operation = OPERATIONS[action];
  if (operation === undefined) throw new QueryFailure("InvalidAction", `${action} is not here.`);
  return operation(state, call);
}

const OPERATIONS: Readonly<
  Record<string, (state: CloudFormationState, call: URLSearchParams) => XmlValue>
> = {
  DescribeStacks: (state, call) => ({ Stacks: [describe(find(state, call))] }),
  GetTemplate: (state, call) => ({ TemplateBody: find(state, call).template || "{}" }),
  DescribeStackEvents: (state, call) => {
    const stack = find(state, call);
    const events = stack.events.map((event, index) => describeEvent(stack, event, index));
    return { StackEvents: events.reverse() };
  },
  ListStackResources: (state, call) => ({ StackResourceSummaries: resourcesOf(state, call) }),
  DescribeStackResources: (state, call) => ({ StackResources: resourcesOf(state, call) }),
  CreateChangeSet: createChangeSet,
  DescribeChangeSet: describeChangeSet,
  ExecuteChangeSet: (state, call) => {
    const stack = find(state, call);
    const template = state.changes.get(stack.name) ?? "{}";
    state.changes.delete(stack.name);
    void stack.deploy(template);
    return {};
  },
  DeleteChangeSet: (state, call) => {
    state.changes.delete(find(state, call).name);
    return {};
  },
  UpdateTerminationProtection: (state, call) => ({ StackId: find(state, call).id }),
  DeleteStack: (state, call) => {
    void find(state, call).delete();
    return {};
  },
};

const GONE = ["DELETE_COMPLETE"];

function find({ stacks }: CloudFormationState, call: URLSearchParams): AccountStack {
  const asked = call.get("StackName") ?? "";
  const stack = [...stacks.values()].find(({ id }) => id === asked) ?? stacks.get(asked);
  // A deleted stack has its id only.
  if (stack !== undefined && !(asked === stack.name && GONE.includes(stack.status))) return stack;
  throw new QueryFailure("ValidationError", `Stack with id ${asked} does not exist`);
}

function createChangeSet(state: CloudFormationState, call: URLSearchParams): XmlValue {
  const name = call.get("StackName") ?? "";
  const known = state.stacks.get(name);
  const isNew = known === undefined || GONE.includes(known.status);
  const stack = isNew ? new AccountStack(name, state) : known;
  if (isNew) state.stacks.set(name, stack);
  const [, bucket = "", ...key] = new URL(call.get("TemplateURL") ?? "").pathname.split("/");
  state.changes.set(name, state.object(bucket, key.join("/")).toString());
  return { Id: `arn:aws:cloudformation:changeSet/${name}`, StackId: stack.id };
}

function describeChangeSet(state: CloudFormationState, call: URLSearchParams): XmlValue {
  const { name, id, template } = find(state, call);
  const change = state.changes.get(name);
  if (change === undefined) {
    throw new QueryFailure("ChangeSetNotFound", `ChangeSet of ${name} does not exist`);
  }
  const isEmpty = change === template;
  return {
    ...{ ChangeSetName: call.get("ChangeSetName") ?? "", ChangeSetId: "local", StackName: name },
    ...{ StackId: id, Changes: [], Tags: [], Capabilities: [] },
    Status: isEmpty ? "FAILED" : "CREATE_COMPLETE",
    StatusReason: isEmpty ? "The submitted information didn't contain changes." : "",
    ExecutionStatus: isEmpty ? "UNAVAILABLE" : "AVAILABLE",
  };
}

function describe(stack: AccountStack): XmlValue {
  return {
    ...{ StackId: stack.id, StackName: stack.name, CreationTime: "2026-01-01T00:00:00Z" },
    ...{ StackStatus: stack.status, StackStatusReason: stack.reason, Parameters: [], Tags: [] },
    Outputs: Object.entries(stack.outputs).map(([OutputKey, OutputValue]) => ({
      OutputKey,
      OutputValue,
    })),
  };
}

function describeEvent({ id, name }: AccountStack, event: StackEvent, index: number): XmlValue {
  return {
    ...{ StackId: id, EventId: `${event.logicalId}-${index}`, StackName: name },
    ...{ LogicalResourceId: event.logicalId, PhysicalResourceId: event.physicalId },
    ...{ ResourceType: event.type, Timestamp: event.at.toISOString() },
    ...{ ResourceStatus: event.status, ResourceStatusReason: event.reason },
  };
}

function resourcesOf(state: CloudFormationState, call: URLSearchParams): readonly XmlValue[] {
  return [...find(state, call).resources].map(([id, { type, physicalId }]) => ({
    ...{ LogicalResourceId: id, PhysicalResourceId: physicalId, ResourceType: type },
    ...{ ResourceStatus: "CREATE_COMPLETE", LastUpdatedTimestamp: "2026-01-01T00:00:00Z" },
  }));
}
