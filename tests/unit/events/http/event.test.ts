import { expect, test } from "vitest";
import { prefersAsync, prefersHtml } from "../../../../lib/events/http/event.ts";

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

test.each([
  ["text/html"],
  ["TEXT/HTML;charset=utf-8"],
  ["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
  ["application/json;q=0.5, text/html;q=0.6"],
  ["application/json;q=0", "*/*"],
  ["text/*, application/json; q=0.9"],
])("prefers a page: %s", (...values) => {
  expect(prefersHtml(values)).toBe(true);
});

test.each([
  [],
  [""],
  ["*/*"],
  ["application/json"],
  ["text/html, application/json"],
  ["text/html;q=0, */*"],
  ["text/html;q=none, */*;q=0.1"],
  ["application/json, text/html;q=0.9"],
  ["text/plain"],
  ["image/avif,image/webp,*/*;q=0.8"],
])("does not: %s", (...values) => {
  expect(prefersHtml(values)).toBe(false);
});
