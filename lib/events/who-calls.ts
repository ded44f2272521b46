import type { CallerFacts } from "../request.ts";

/**
 * Describes who sent an event, for the history, by the facts that lead back to a deployment or a person. Only a run that applies
 * something loads this file. Nothing that is secret is read: an event of CodePipeline carries credentials.
 * @param source the caller's kind; see `Caller`
 */
export async function whoCalls(source: string, event: unknown): Promise<CallerFacts> {
  const facts = (await FACTS[source]?.(fieldsOf(event))) ?? {};
  const texts = Object.entries(facts).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== "",
  );
  return { source, ...Object.fromEntries(texts) };
}

type Event = Readonly<Record<string, unknown>>;

/** `recognise` has seen that it is an object, if anything. `json.ts` would become a file of the start by itself. */
function fieldsOf(value: unknown): Event {
  return (value ?? {}) as Event;
}

const FACTS: Readonly<Record<string, (event: Event) => Event | Promise<Event>>> = {
  cloudformation: ({ StackId, LogicalResourceId, RequestType }) => ({
    ...{ stack: StackId, resource: LogicalResourceId, request: RequestType },
  }),
  // The event does not name its pipeline: `aws codepipeline get-job-details` finds that by the job.
  codepipeline: (event) => {
    const { id, data } = fieldsOf(event["CodePipeline.job"]);
    const artifacts = fieldsOf(data).inputArtifacts;
    const [first] = Array.isArray(artifacts) ? artifacts : [];
    return { job: id, revision: fieldsOf(first).revision };
  },
  codedeploy: ({ DeploymentId }) => ({ deployment: DeploymentId }),
  // The first form of the payload had the fields of the deployment beside the others.
  ecs: (event) => {
    const { serviceArn, targetServiceRevisionArn } = fieldsOf(event.executionDetails ?? event);
    const { resourceArn } = event;
    return { deployment: resourceArn, service: serviceArn, revision: targetServiceRevisionArn };
  },
  http: async (event) => ({ identity: (await import("./on-use.ts")).callerOf(event) }),
  "queued-run": (event) => {
    const { id, requestedBy } = fieldsOf(event["neon-migrate.run"]);
    return { run: id, identity: requestedBy };
  },
  // Step Functions' execution, under the names by which people hand it on.
  direct: ({ executionArn, executionId, AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID: begunBy }) => ({
    execution: executionArn ?? executionId ?? begunBy,
  }),
};
