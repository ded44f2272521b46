import type { IncomingMessage } from "node:http";
import { LOCAL_ACCOUNT } from "../aws/account.ts";

/** The facts that Lambda itself adds to a request. */
export interface Received {
  readonly requestId: string;
  readonly signed: boolean;
}

/** The types of body that are passed on as text. Everything else, a form's fields included, comes in base64. */
const TEXT =
  /^(?:text\/|application\/(?:json|xml|javascript)\b|application\/[\w.+-]+\+(?:json|xml)\b)/;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** Makes an event of payload format 2.0 (AWS Lambda documentation, "Invoking Lambda function URLs"). */
export function httpEvent(
  request: IncomingMessage,
  body: Buffer,
  { requestId, signed }: Received,
): Readonly<Record<string, unknown>> {
  const { headers, method = "GET", url = "/" } = request;
  const { pathname, search, searchParams } = new URL(url, "http://loopback");
  const { cookie, ...others } = headers;
  const domainName = headers.host ?? "";
  const isBase64Encoded = body.length > 0 && !TEXT.test(headers["content-type"] ?? "");
  const now = new Date();
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath: pathname,
    rawQueryString: search.slice(1),
    ...(cookie === undefined ? {} : { cookies: cookie.split("; ") }),
    headers: joined(others),
    ...(search === "" ? {} : { queryStringParameters: queryOf(searchParams) }),
    requestContext: {
      accountId: signed ? LOCAL_ACCOUNT.id : "anonymous",
      apiId: domainName.split(".")[0],
      ...(signed ? { authorizer: { iam: caller() } } : {}),
      domainName,
      domainPrefix: domainName.split(".")[0],
      http: {
        method,
        path: pathname,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: request.socket.remoteAddress,
        userAgent: headers["user-agent"] ?? null,
      },
      requestId,
      routeKey: "$default",
      stage: "$default",
      time: commonLogTime(now),
      timeEpoch: now.getTime(),
    },
    ...(body.length === 0 ? {} : { body: body.toString(isBase64Encoded ? "base64" : "utf8") }),
    isBase64Encoded,
  };
}

function joined(headers: IncomingMessage["headers"]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value ?? ""].flat().join(",")]),
  );
}

function queryOf(parameters: URLSearchParams): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...parameters.keys()].map((key) => [key, parameters.getAll(key).join(",")]),
  );
}

function caller() {
  return {
    accessKey: "local",
    accountId: LOCAL_ACCOUNT.id,
    callerId: "local",
    cognitoIdentity: null,
    principalOrgId: null,
    userArn: `arn:aws:iam::${LOCAL_ACCOUNT.id}:user/local`,
    userId: "local",
  };
}

function commonLogTime(date: Date): string {
  const day = String(date.getUTCDate()).padStart(2, "0");
  const time = date.toISOString().slice(11, 19);
  return `${day}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}:${time} +0000`;
}
