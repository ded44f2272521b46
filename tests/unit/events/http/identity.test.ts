import { expect, test } from "vitest";
import { callerOf } from "../../../../lib/events/http/identity.ts";
import { recordedEvent } from "../../../setup/recorded-events.ts";

const by = (authorizer: object) => callerOf({ requestContext: { authorizer } });

test("is whom AWS has found, behind each gateway", () => {
  const events = ["function-url-post", "rest-api-post", "load-balancer-multi-value-post-async"];

  const callers = events.map((name) => callerOf(Object(recordedEvent(`http/${name}`))));

  expect(callers).toEqual([
    "arn:aws:iam::123456789012:user/deployer",
    "arn:aws:iam::123456789012:user/deployer",
    "deployer",
  ]);
});

test("is named by a token as people know them", () => {
  expect(by({ jwt: { claims: { sub: "5f", email: "ada@example.com" } } })).toBe("ada@example.com");
  expect(by({ claims: { sub: "5f", "cognito:username": "ada" } })).toBe("ada");
  expect(by({ jwt: { claims: { client_id: "pipeline" } } })).toBe("pipeline");
  expect(by({ principalId: "user|a1b2c3d4" })).toBe("user|a1b2c3d4");
});

test("is nobody where AWS did not look, whatever the caller says of itself", () => {
  const headers = { "x-amzn-oidc-identity": "admin" };

  expect(callerOf({ headers, requestContext: { http: { method: "POST" } } })).toBeNull();
  expect(by({ jwt: { claims: { email: 5 } } })).toBeNull();
});
