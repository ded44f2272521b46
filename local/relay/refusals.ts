/**
 * What Neon answers to a login that fails: texts as they were sent, with the place that says so. Neon's own source ends in
 * March 2026 (neondatabase/neon, 6a35a3e): until then its proxy sends each of them with severity ERROR and SQLSTATE XX000
 * (`proxy/src/stream.rs`). Since then users report other codes; `codes` has those.
 */

/** One text that a login is refused with. */
export interface Text {
  readonly text: string;
  /** Whether the same login may succeed later with nobody doing anything: `unclear` where the text is for both. */
  readonly passes: "yes" | "unclear" | "no" | "when another compute sleeps";
  /** Where the text is from. */
  readonly source: string;
  /** SQLSTATEs beside XX000 with which it was seen. */
  readonly codes?: readonly string[];
}

const PROXY_CONTROL_PLANE = "proxy/src/control_plane/{errors,messages}.rs";
const PROXY_AUTH = "proxy/src/auth/{mod,credentials}.rs";
const PROXY_COMPUTE = "proxy/src/compute/mod.rs: the bare text of another server";
const TOKIO = "libs/proxy/tokio-postgres2/src/error/mod.rs, with the cause behind it";
const CONTROL_PLANE = "a copy of the control plane's messages (yanakipre/bot, internal/status)";
const DOCS = "neon.com/docs/connect/connection-errors";
const POSTGRES = "PostgreSQL, src/backend";
const PGBOUNCER = "PgBouncer, src/{client,objects,janitor}.c";
const STORAGE = "pgxn/neon/{libpagestore,pagestore_smgr,communicator}.c";

const PASSING: readonly Omit<Text, "passes">[] = [
  { text: "Control plane request failed", source: PROXY_CONTROL_PLANE },
  { text: "Too many connections attempts", source: PROXY_CONTROL_PLANE },
  {
    text: "Failed to acquire permit to connect to the database. Too many database connection attempts are currently ongoing.",
    source: PROXY_CONTROL_PLANE,
  },
  { text: "Couldn't connect to compute node", source: "proxy/src/compute/mod.rs" },
  { text: "Too many connections to this endpoint. Please try again later.", source: PROXY_AUTH },
  { text: "Authentication timed out", source: PROXY_AUTH },
  { text: "Internal error", source: PROXY_AUTH },
  { text: "error communicating with the server: early eof", source: TOKIO },
  {
    text: "error communicating with the server: Connection reset by peer (os error 104)",
    source: TOKIO,
  },
  { text: "error connecting to server: Connection refused (os error 111)", source: TOKIO },
  { text: "error performing TLS handshake", source: TOKIO },
  { text: "connection closed", source: TOKIO },
  { text: "unexpected message from server", source: TOKIO },
  { text: "timeout waiting for server", source: TOKIO },
  {
    text: "You've exceeded the rate limit. Please wait a moment and try again.",
    source: CONTROL_PLANE,
  },
  { text: "Rate limit exceeded. Please try again later.", source: DOCS },
  {
    text: "Your project already has running operations. Please wait until they complete, and then try again.",
    source: CONTROL_PLANE,
  },
  {
    text: "project already has running conflicting operations, scheduling of new ones is prohibited",
    source: "Neon's API, 423",
  },
  { text: "endpoint is idle, retry request", source: "neondatabase/neon#5838" },
  { text: "The request could not be authorized due to an internal error", source: DOCS },
  { text: "the database system is starting up", source: POSTGRES, codes: ["57P03"] },
  { text: "the database system is shutting down", source: POSTGRES, codes: ["57P03"] },
  { text: "the database system is in recovery mode", source: POSTGRES, codes: ["57P03"] },
  {
    text: "the database system is not yet accepting connections",
    source: POSTGRES,
    codes: ["57P03"],
  },
  {
    text: "terminating connection due to administrator command",
    source: POSTGRES,
    codes: ["57P01"],
  },
  {
    text: "sorry, too many clients already",
    source: `${PROXY_COMPUTE}; #5368`,
    codes: ["53300"],
  },
  {
    text: "remaining connection slots are reserved for roles with the SUPERUSER attribute",
    source: DOCS,
    codes: ["53300"],
  },
  { text: 'too many connections for role "quota"', source: POSTGRES, codes: ["53300"] },
  { text: 'too many connections for database "quota"', source: POSTGRES, codes: ["53300"] },
  {
    text: "no more connections allowed (max_client_conn)",
    source: `${PGBOUNCER}; neondatabase/neon#5368`,
    codes: ["08P01"],
  },
  {
    text: "server login has been failing, cached error: connect failed (server_login_retry)",
    source: `${PGBOUNCER}; electric-sql/electric, db_connection_error.ex`,
    codes: ["08P01"],
  },
  { text: "query_wait_timeout", source: `${PGBOUNCER}; ${DOCS}`, codes: ["08P01"] },
  { text: "server conn crashed?", source: PGBOUNCER, codes: ["08P01"] },
  {
    text: "[NEON_SMGR] [shard 0] could not establish connection to pageserver",
    source: `${STORAGE}; neondatabase/neon#6505`,
    codes: ["08001"],
  },
  {
    text: "[NEON_SMGR] [shard 0] could not read block 0 in rel 1664/0/1260.0 from page server at lsn 0/01F96280",
    source: `${STORAGE}; neondatabase/neon#6740`,
    codes: ["58030"],
  },
];

const UNCLEAR: readonly Omit<Text, "passes">[] = [
  {
    text: "Control plane request failed: endpoint is temporarily unavailable. Check your quotas and/or contact our support.",
    source: `${PROXY_CONTROL_PLANE}; neondatabase/neon#5570`,
  },
  { text: "Control plane request failed: a reason that is new", source: "invented" },
  { text: "Something that nobody has seen yet", source: "invented", codes: ["53000", "NE001"] },
];

const SLOW: readonly Omit<Text, "passes">[] = [
  {
    text: "You have exceeded the limit of concurrently active endpoints. Please suspend some endpoints and try again.",
    source: `${CONTROL_PLANE}; ${DOCS}`,
    codes: ["53000"],
  },
  { text: "active endpoints limit exceeded", source: DOCS },
];

const quota = (of: string) =>
  `Your project has exceeded the ${of} quota. Upgrade your plan to increase limits.`;
const notFound = (what: string) =>
  `The requested ${what} could not be found, or you don't have access to it. Please check the provided ID and try again.`;

const FINAL: readonly Omit<Text, "passes">[] = [
  { text: "password authentication failed for user 'quota'", source: PROXY_AUTH, codes: ["28P01"] },
  { text: 'role "quota" does not exist', source: POSTGRES, codes: ["28000"] },
  { text: 'role "quota" is not permitted to log in', source: POSTGRES, codes: ["28000"] },
  {
    text: "The role you're attempting to use is protected and cannot be used for password-based authentication. Please pick a different role and try again.",
    source: CONTROL_PLANE,
  },
  { text: "Malformed password message: missing terminator", source: PROXY_AUTH },
  {
    text: 'server login has been failing, cached error: password authentication failed for user "app" (server_login_retry)',
    source: PGBOUNCER,
    codes: ["08P01"],
  },
  { text: 'database "quota" does not exist', source: POSTGRES, codes: ["3D000"] },
  {
    text: 'database "quota" is not currently accepting connections',
    source: POSTGRES,
    codes: ["55000"],
  },
  { text: 'permission denied for database "quota"', source: POSTGRES, codes: ["42501"] },
  {
    text: "Control plane request failed: endpoint cannot be found",
    source: PROXY_CONTROL_PLANE,
  },
  { text: notFound("endpoint"), source: CONTROL_PLANE },
  { text: notFound("project"), source: CONTROL_PLANE },
  { text: notFound("branch"), source: CONTROL_PLANE },
  { text: "Control plane request failed: endpoint is disabled", source: PROXY_CONTROL_PLANE },
  {
    text: "The endpoint has been disabled. Enable it using Neon API and retry.",
    source: "users' reports",
  },
  {
    text: "Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits.",
    source: CONTROL_PLANE,
    codes: ["53000", "53300"],
  },
  { text: quota("active time"), source: CONTROL_PLANE, codes: ["53000"] },
  { text: quota("written data"), source: CONTROL_PLANE, codes: ["53000"] },
  { text: quota("data transfer"), source: `${CONTROL_PLANE}; neon.com/docs`, codes: ["53000"] },
  { text: quota("logical size"), source: CONTROL_PLANE, codes: ["53000"] },
  {
    text: "Your account or project has exceeded the quota. Upgrade your plan to increase limits.",
    source: "users' reports",
    codes: ["53000"],
  },
  {
    text: "You've exceeded the compute time for this branch. Upgrade your plan to increase limits or connect to another branch.",
    source: CONTROL_PLANE,
  },
  {
    text: "could not extend file because project size limit (512 MB) has been exceeded",
    source: STORAGE,
    codes: ["53100"],
  },
  {
    text: "This IP address 192.0.2.7 is not allowed to connect to this endpoint. Please add it to the allowed list in the Neon console. Make sure to check for IPv4 or IPv6 addresses.",
    source: PROXY_AUTH,
  },
  {
    text: "This connection is trying to access this endpoint from a blocked network.",
    source: PROXY_AUTH,
  },
  {
    text: "This VPC endpoint id vpce-1 is not allowed to connect to this endpoint. Please add it to the allowed list in the Neon console.",
    source: PROXY_AUTH,
  },
  {
    text: "VPC endpoint ID is not specified. This endpoint requires a VPC endpoint ID to connect.",
    source: PROXY_AUTH,
  },
  {
    text: "Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for SNI support or pass the endpoint ID (first part of the domain name) as a parameter: '?options=endpoint%3D<endpoint-id>'. See more at https://neon.tech/sni",
    source: PROXY_AUTH,
  },
  {
    text: "Inconsistent project name inferred from SNI ('ep-one') and project option ('ep-two').",
    source: PROXY_AUTH,
  },
  {
    text: "unsupported startup parameter in options: lock_timeout. Please use unpooled connection or remove this parameter from the startup package. More details: https://neon.tech/docs/connect/connection-errors#unsupported-startup-parameter",
    source: "proxy/src/compute/mod.rs",
    codes: ["08P01"],
  },
];

/** Every text that is known, and two that are not. */
export const REFUSALS: readonly Text[] = [
  ...PASSING.map((refusal): Text => ({ ...refusal, passes: "yes" })),
  ...UNCLEAR.map((refusal): Text => ({ ...refusal, passes: "unclear" })),
  ...SLOW.map((refusal): Text => ({ ...refusal, passes: "when another compute sleeps" })),
  ...FINAL.map((refusal): Text => ({ ...refusal, passes: "no" })),
];
