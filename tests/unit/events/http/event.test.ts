import { expect, test } from "vitest";
import { prefersAsync } from "../../../../lib/events/http/event.ts";

test.each([
  ["respond-async"],
  ["Respond-Async"],
  ["respond-async, wait=10"],
  ["wait=10, respond-async"],
  ["return=minimal", "respond-async"],
  ["respond-async; priority=5"],
  ['handling="a, \\"b", respond-async'],
  ['respond-async=""'],
  [" , respond-async"],
])("is asked for the outcome later: %s", (...values) => {
  expect(prefersAsync(values)).toBe(true);
});

test.each([
  [],
  [""],
  ["wait=10"],
  ["respond-asynchronously"],
  ["respond-async=never"],
  ['foo="respond-async"'],
  ['foo="a, respond-async, b"'],
  ["foo; respond-async"],
])("is not: %s", (...values) => {
  expect(prefersAsync(values)).toBe(false);
});
