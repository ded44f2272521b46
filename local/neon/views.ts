import type { Branch, Endpoint, Operation, Project } from "./project.ts";

/** Part of an answer, as JSON. */
export type Json = Readonly<Record<string, unknown>>;

/** Counters of use, which stay at zero here. */
const UNCOUNTED = {
  active_time_seconds: 0,
  compute_time_seconds: 0,
  written_data_bytes: 0,
  data_transfer_bytes: 0,
};

const whole = (time: Date) => `${time.toISOString().slice(0, 19)}Z`;

/** Returns the project as the API shows it. */
export function projectView(project: Project): Json {
  const { id, region, domain, plan, createdAt } = project;
  return {
    ...{ id, name: id, platform_id: "aws", region_id: region, proxy_host: domain },
    ...{ provisioner: "k8s-neonvm", creation_source: "console", store_passwords: true },
    ...{ owner_id: "local", pg_version: project.postgresMajor, cpu_used_sec: 0 },
    owner: {
      ...{ name: "Local", email: "local@example.com" },
      ...{ branches_limit: plan.branches, subscription_type: plan.name },
    },
    history_retention_seconds: project.historySeconds,
    ...{ branch_logical_size_limit: 0, branch_logical_size_limit_bytes: 0 },
    ...{ ...UNCOUNTED, data_storage_bytes_hour: 0 },
    ...{ created_at: whole(createdAt), updated_at: whole(createdAt) },
    ...{ consumption_period_start: whole(createdAt), consumption_period_end: whole(createdAt) },
  };
}

/** Returns a project as the API shows it in a list. */
export function projectListView(
  { region, domain, createdAt, postgresMajor }: Project,
  id: string,
): Json {
  const times = { created_at: whole(createdAt), updated_at: whole(createdAt) };
  return {
    ...{ id, name: id, platform_id: "aws", region_id: region, proxy_host: domain, ...times },
    ...{ provisioner: "k8s-neonvm", creation_source: "console", store_passwords: true },
    ...{ owner_id: "local", pg_version: postgresMajor, cpu_used_sec: 0, active_time: 0 },
    ...{ branch_logical_size_limit: 0, branch_logical_size_limit_bytes: 0 },
  };
}

/** Returns a branch as the API shows it. */
export function branchView({ id: projectId }: Project, branch: Branch): Json {
  const { parentId, parentLsn, parentTime, expiresAt, lifetimeSeconds, lastResetAt } = branch;
  return {
    ...{ id: branch.id, project_id: projectId, name: branch.name, current_state: branch.state },
    ...(branch.state !== "ready" && { pending_state: "ready" }),
    ...(parentId !== null && { parent_id: parentId }),
    ...(parentLsn !== null && { parent_lsn: parentLsn }),
    ...(parentTime !== null && { parent_timestamp: whole(parentTime) }),
    ...(expiresAt !== null && { expires_at: whole(expiresAt) }),
    ...(lifetimeSeconds !== null && { ttl_interval_seconds: lifetimeSeconds }),
    ...(lastResetAt !== null && { last_reset_at: whole(lastResetAt) }),
    ...{ default: branch.isDefault, primary: branch.isDefault, protected: branch.isProtected },
    ...{ creation_source: "console", init_source: "parent-data", ...UNCOUNTED, cpu_used_sec: 0 },
    ...{ created_at: whole(branch.createdAt), updated_at: whole(branch.updatedAt) },
    state_changed_at: whole(branch.stateChangedAt),
  };
}

/** Returns an endpoint as the API shows it. */
export function endpointView({ id: projectId, region, domain }: Project, endpoint: Endpoint): Json {
  const { id, branchId, host, minCu, maxCu, suspendSeconds, state, createdAt } = endpoint;
  return {
    ...{ id, host, project_id: projectId, branch_id: branchId, region_id: region },
    ...{ autoscaling_limit_min_cu: minCu, autoscaling_limit_max_cu: maxCu },
    ...{ type: "read_write", current_state: state, settings: { pg_settings: {} } },
    ...{ pooler_enabled: false, pooler_mode: "transaction", disabled: false },
    ...{ passwordless_access: true, creation_source: "console", proxy_host: domain },
    ...{ suspend_timeout_seconds: suspendSeconds, provisioner: "k8s-neonvm" },
    ...{ created_at: whole(createdAt), updated_at: whole(createdAt) },
  };
}

/** Returns an operation as the API shows it. */
export function operationView({ id: projectId }: Project, operation: Operation): Json {
  const { id, action, branchId, endpointId, status, error, createdAt, updatedAt } = operation;
  return {
    ...{ id, project_id: projectId, branch_id: branchId, action, status },
    ...(endpointId !== null && { endpoint_id: endpointId }),
    ...(error !== null && { error }),
    failures_count: status === "failed" ? 1 : 0,
    ...{ created_at: whole(createdAt), updated_at: whole(updatedAt) },
    total_duration_ms: updatedAt.getTime() - createdAt.getTime(),
  };
}

/** Returns the note that was left with a branch. */
export function annotationView(branch: Branch): Json {
  return {
    object: { type: "console/branch", id: branch.id },
    value: branch.annotation,
    ...{ created_at: whole(branch.createdAt), updated_at: whole(branch.createdAt) },
  };
}
