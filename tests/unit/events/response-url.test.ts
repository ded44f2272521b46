import { describe, expect, test } from "vitest";
import { refuseForeignUrl } from "../../../lib/events/response-url.ts";

const PATH = "/arn%3Aaws%3Acloudformation%3A1%7CRun%7C2?X-Amz-Signature=mArKer";
const BUCKET = "cloudformation-custom-resource-response-eucentral1.s3";

/** The code of the refusal; null for a URL that is answered. */
function refusal(url: string, environment: NodeJS.ProcessEnv = {}): unknown {
  try {
    refuseForeignUrl(url, environment);
    return null;
  } catch (thrown) {
    expect(String(thrown)).not.toContain("mArKer");
    return Reflect.get(Object(thrown), "code");
  }
}

describe("a URL is answered that is one of AWS:", () => {
  test.each([
    `https://${BUCKET}-eu-central-1.amazonaws.com${PATH}`,
    `https://${BUCKET}.eu-central-1.amazonaws.com${PATH}`,
    `https://${BUCKET}.dualstack.us-east-1.amazonaws.com${PATH}`,
    `https://s3.amazonaws.com/${BUCKET}${PATH}`,
    `https://${BUCKET}.cn-north-1.amazonaws.com.cn${PATH}`,
    `https://${BUCKET}.us-gov-west-1.amazonaws.com${PATH}`,
    `https://${BUCKET}.eusc-de-east-1.amazonaws.eu${PATH}`,
    `https://${BUCKET}.us-iso-east-1.c2s.ic.gov${PATH}`,
    `https://${BUCKET}.us-isob-east-1.sc2s.sgov.gov${PATH}`,
    `https://${BUCKET}.eu-isoe-west-1.cloud.adc-e.uk${PATH}`,
    `https://${BUCKET}.eu-central-1.amazonaws.com:443${PATH}`,
    `HTTPS://${BUCKET.toUpperCase()}.EU-CENTRAL-1.AMAZONAWS.COM${PATH}`,
  ])("%s", (url) => {
    expect(refusal(url)).toBeNull();
  });
});

describe("a URL is refused that is none of AWS, or looks like one:", () => {
  test.each([
    ["no https", `http://${BUCKET}.amazonaws.com${PATH}`],
    ["another protocol", `ftp://${BUCKET}.amazonaws.com${PATH}`],
    ["a file", "file:///etc/passwd"],
    ["another host", `https://hooks.example.com${PATH}`],
    ["a host inside the network", `https://10.0.0.7${PATH}`],
    ["the metadata of a machine", `http://169.254.169.254/latest/meta-data`],
    ["this machine", `http://localhost:9001/2018-06-01/runtime/invocation/next`],
    ["an address of IPv6", `https://[::1]${PATH}`],
    ["somebody's API at AWS", `https://abc.execute-api.eu-central-1.amazonaws.com/s3.${PATH}`],
    ["somebody's machine at AWS", `https://ec2-3-1-1-1.compute-1.amazonaws.com${PATH}`],
    ["a load balancer at AWS", `https://my-s3-1.eu-central-1.elb.amazonaws.com${PATH}`],
    ["a domain beside an isolated one", `https://s3.evilc2s.ic.gov${PATH}`],
    ["AWS' domain itself", `https://amazonaws.com${PATH}`],
    ["a domain that ends alike", `https://evilamazonaws.com${PATH}`],
    ["a domain that ends alike, with a label", `https://s3.evil-amazonaws.com${PATH}`],
    ["AWS' domain in front of another", `https://s3.amazonaws.com.example.com${PATH}`],
    ["another country's domain", `https://s3.amazonaws.com.ru${PATH}`],
    ["a domain that begins alike", `https://s3.amazonaws.community${PATH}`],
    ["AWS' domain in the path", `https://example.com/s3.amazonaws.com${PATH}`],
    ["AWS' domain in the query", `https://example.com?s3.amazonaws.com/`],
    ["AWS' domain in the fragment", `https://example.com#.s3.amazonaws.com/`],
    ["AWS' domain as a user", `https://s3.amazonaws.com@example.com${PATH}`],
    ["AWS' domain as a user with a password", `https://s3.amazonaws.com:443@example.com${PATH}`],
    ["a user at AWS", `https://user:word@s3.amazonaws.com${PATH}`],
    ["a backslash in front of a user", `https://s3.amazonaws.com\\@example.com${PATH}`],
    ["a backslash for a slash", `https:\\\\example.com\\.s3.amazonaws.com/`],
    ["another port", `https://s3.amazonaws.com:8443${PATH}`],
    ["port 80", `https://s3.amazonaws.com:80${PATH}`],
    ["an empty port", `https://s3.amazonaws.com:${PATH}`],
    ["a dot at the end", `https://s3.amazonaws.com.${PATH}`],
    ["an empty label", `https://.amazonaws.com${PATH}`],
    ["two dots", `https://s3..amazonaws.com${PATH}`],
    ["a letter of another script", `https://s3.\u0430mazonaws.com${PATH}`],
    ["wide letters", `https://s3.\uff41mazonaws.com${PATH}`],
    ["a dot of another script", `https://example\u3002com/.s3.amazonaws.com/`],
    ["an ideographic dot", `https://s3.amazonaws\u3002com${PATH}`],
    ["an encoded dot", `https://example.com%2es3.amazonaws.com${PATH}`],
    ["an encoded slash", `https://example.com%2f.s3.amazonaws.com${PATH}`],
    ["a new line in the host", `https://s3.amazonaws.com\n.example.com${PATH}`],
    ["a tab in the host", `https://s3.amazonaws.com\t.example.com${PATH}`],
    ["a blank in front", ` https://s3.amazonaws.com${PATH}`],
    ["a second line", `https://example.com/\nhttps://s3.amazonaws.com${PATH}`],
    ["no slashes", `https:s3.amazonaws.com${PATH}`],
    ["one slash", `https:/s3.amazonaws.com${PATH}`],
    ["nothing", ""],
    ["what the Provider framework sends", "..."],
  ])("%s", (_what, url) => {
    expect(refusal(url)).toBe("ANSWER_REFUSED");
  });
});

const LOCAL_URL = `http://127.0.0.1:4566/${BUCKET}${PATH}`;

describe("with an endpoint of its own a function answers any URL of HTTP:", () => {
  test.each([
    { AWS_ENDPOINT_URL: "http://127.0.0.1:4566" },
    { AWS_ENDPOINT_URL: "http://localhost.localstack.cloud:4566" },
    { AWS_ENDPOINT_URL: "https://s3.amazonaws.com.example.com" },
    { AWS_ENDPOINT_URL_S3: "http://127.0.0.1:4566" },
    { AWS_ENDPOINT_URL_CLOUDFORMATION: "http://127.0.0.1:4566" },
    { AWS_ENDPOINT_URL_SECRETS_MANAGER: "http://127.0.0.1:4566" },
  ])("%j", (environment) => {
    expect(refusal(LOCAL_URL, environment)).toBeNull();
    expect(refusal("ftp://127.0.0.1/", environment)).toBe("ANSWER_REFUSED");
  });
});

describe("without one, it does not:", () => {
  test.each([
    {},
    { AWS_ENDPOINT_URL: "" },
    { AWS_ENDPOINT_URL: " " },
    { AWS_ENDPOINT_URL: undefined },
    { AWS_ENDPOINT_URL: "https://vpce-1-a.ssm.eu-central-1.vpce.amazonaws.com" },
    { AWS_ENDPOINT_URL_SSM: "https://vpce-1-a.ssm.eu-central-1.vpce.amazonaws.com" },
    { AWS_ENDPOINT_URL: "http://127.0.0.1:4566", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true" },
    { MY_AWS_ENDPOINT_URL: "http://127.0.0.1:4566" },
    { AWS_ENDPOINT_URLS: "http://127.0.0.1:4566" },
    { NEON_WS_PROXY: "127.0.0.1:4566" },
  ])("%j", (environment) => {
    expect(refusal(LOCAL_URL, environment)).toBe("ANSWER_REFUSED");
  });
});
