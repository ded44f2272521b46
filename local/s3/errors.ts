import { xml } from "../account/xml.ts";

/** The status and the words of each error (S3 API reference, "Error responses"). */
const ERRORS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  AccessDenied: [403, "Access Denied"],
  AuthorizationHeaderMalformed: [400, "The authorization header that you provided is not valid."],
  BadDigest: [400, "The Content-MD5 or checksum value that you specified did not match."],
  ConditionalRequestConflict: [
    409,
    "A conflicting operation occurred during the request to this resource. Retry the upload.",
  ],
  IncompleteBody: [
    400,
    "You did not provide the number of bytes specified by the Content-Length HTTP header.",
  ],
  InternalError: [500, "An internal error occurred. Try again."],
  InvalidAccessKeyId: [403, "The AWS Access Key Id you provided does not exist in our records."],
  InvalidArgument: [400, "Invalid Argument"],
  KeyTooLongError: [400, "Your key is too long."],
  MethodNotAllowed: [405, "The specified method is not allowed against this resource."],
  NoSuchBucket: [404, "The specified bucket does not exist"],
  NoSuchKey: [404, "The specified key does not exist."],
  NotImplemented: [
    501,
    "A header or query you provided implies functionality that is not implemented.",
  ],
  NotModified: [304, "Not Modified"],
  PreconditionFailed: [412, "At least one of the pre-conditions you specified did not hold"],
  RequestTimeTooSkewed: [
    403,
    "The difference between the request time and the current time is too large.",
  ],
  SignatureDoesNotMatch: [
    403,
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
  ],
  SlowDown: [503, "Please reduce your request rate."],
};

/** An error that S3 answers with. */
export class S3Error extends Error {
  readonly code: string;
  readonly status: number;
  readonly details: Readonly<Record<string, string>>;

  constructor(code: string, details: Readonly<Record<string, string>>, words?: string) {
    const [status, message] = ERRORS[code] ?? [500, "The stand-in was told to fail."];
    super(words ?? message);
    this.name = code;
    this.code = code;
    this.status = status;
    this.details = details;
  }

  /** The body of the answer. */
  xml(resource: string, requestId: string): string {
    const { code: Code, message: Message, details } = this;
    const body = { Code, Message, ...details, Resource: resource, RequestId: requestId };
    return `<?xml version="1.0" encoding="UTF-8"?>\n${xml({ Error: body })}`;
  }
}
