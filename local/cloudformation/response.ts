/** A request of CloudFormation to a custom resource. */
export interface ResourceRequest {
  readonly RequestType: "Create" | "Update" | "Delete";
  readonly RequestId: string;
  readonly ResponseURL: string;
  readonly StackId: string;
  readonly LogicalResourceId: string;
  readonly ResourceType: string;
  readonly ServiceToken: string;
  readonly ResourceProperties: Properties;
  readonly OldResourceProperties?: Properties;
  readonly PhysicalResourceId?: string;
}

/** A resource's properties as CloudFormation delivers them: every scalar is a string. */
export type Properties = Readonly<Record<string, unknown>>;

/** CloudFormation's judgement of an answer. */
export interface Verdict {
  readonly status: "SUCCESS" | "FAILED";
  /** The reason of a failure, in the answer's own words or in CloudFormation's about the answer. */
  readonly reason: string | null;
  /** Null when the answer names no usable id. */
  readonly physicalResourceId: string | null;
  /** The attributes that `Fn::GetAtt` reads. */
  readonly data: Readonly<Record<string, string>>;
  /** The breaches of the contract, even those that CloudFormation lets pass. */
  readonly problems: readonly string[];
}

/** The largest answer, inclusive (AWS documentation, "Custom resource response objects"). */
export const MAX_RESPONSE_BYTES = 4_096;
const MAX_PHYSICAL_ID_BYTES = 1_024;

/** Judges the body of an answer by the contract of custom resources. */
export function judge(body: string, request: ResourceRequest): Verdict {
  const answer = parse(body);
  const status = answer.Status === "SUCCESS" ? "SUCCESS" : "FAILED";
  const fatal = [
    ...(Buffer.byteLength(body) > MAX_RESPONSE_BYTES ? ["Response object is too long."] : []),
    ...statusProblems(answer),
    ...echoProblems(answer, request),
    ...physicalIdProblems(answer.PhysicalResourceId, request),
  ];
  const id = answer.PhysicalResourceId;
  const [data, dataProblems] = flatData(answer.Data);
  return {
    status: fatal.length > 0 ? "FAILED" : status,
    reason: fatal[0] ?? (status === "FAILED" ? String(answer.Reason) : null),
    physicalResourceId: typeof id === "string" && id !== "" ? id : null,
    data,
    problems: [...fatal, ...dataProblems],
  };
}

/** The judgement without an answer: CloudFormation gives up after the service timeout. */
export const NO_ANSWER: Verdict = {
  status: "FAILED",
  reason:
    "CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId.",
  physicalResourceId: null,
  data: {},
  problems: ["No answer came."],
};

/** Turns every scalar into a string, at any depth, as CloudFormation does. */
export function stringified(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(stringified);
  if (typeof value === "object" && value !== null) return stringifiedProperties(value);
  return String(value);
}

/** The same for an object. */
export function stringifiedProperties(properties: object): Properties {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [name, stringified(value)]),
  );
}

function parse(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    // The caller reports the missing fields.
    return {};
  }
}

function statusProblems({ Status, Reason }: Readonly<Record<string, unknown>>): readonly string[] {
  if (Status === "SUCCESS") return [];
  if (Status !== "FAILED") return ["Status is neither SUCCESS nor FAILED."];
  return typeof Reason === "string" && Reason !== "" ? [] : ["A FAILED answer has no Reason."];
}

function echoProblems(
  answer: Readonly<Record<string, unknown>>,
  request: ResourceRequest,
): readonly string[] {
  return (["StackId", "RequestId", "LogicalResourceId"] as const)
    .filter((name) => answer[name] !== request[name])
    .map((name) => `${name} is not the request's.`);
}

function physicalIdProblems(id: unknown, request: ResourceRequest): readonly string[] {
  if (typeof id !== "string" || id === "") return ["Invalid PhysicalResourceId"];
  if (Buffer.byteLength(id) > MAX_PHYSICAL_ID_BYTES) return ["PhysicalResourceId exceeds 1 KB."];
  const changed = request.RequestType === "Delete" && id !== request.PhysicalResourceId;
  return changed ? ["The answer to a Delete changes the PhysicalResourceId."] : [];
}

function flatData(value: unknown): [Readonly<Record<string, string>>, readonly string[]] {
  if (value === undefined) return [{}, []];
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [{}, ["Data is not an object."]];
  }
  const entries = Object.entries(value);
  const problems = entries
    .filter(([, each]) => typeof each !== "string")
    .map(([name]) => `Data.${name} is not a string.`);
  return [Object.fromEntries(entries.map(([name, each]) => [name, String(each)])), problems];
}
