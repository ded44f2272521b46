import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const A_MINUTE_MS = 60_000;

/** A number that is called this, or comes from there, is a time by the clock on the wall. */
const TIME = /\b(?:Date|performance)\.now\(|\bhrtime|\belapsed|\btook\b|\w+Ms\b(?!\()/i;
/** Time that passes only when the test says so is no matter of the machine. */
const STOPPED = /\b(?:stopClock|stopDate|useFakeTimers)\(/;
const UPPER_BOUND =
  /expect\((?<subject>(?:(?!expect\(|;\n).)*?)\)\s*\.toBeLessThan(?:OrEqual)?\(/gs;
const COMPARISON = /expect\([^;]*?\b(?:Date|performance)\.now\(\)[^;]*?<=?[^;]*?\)/g;
const USAGE = /\b(?:cpuUsage|resourceUsage)\(/g;
const TIMED =
  /\b(?<name>test|it|describe|(?:before|after)(?:All|Each)|waitFor|vi\.wait(?:For|Until))\b(?:\.\w+)*\(/g;
const SETTING = /\b(?:timeout|testTimeout|hookTimeout): *(?<value>[\w.]+)/g;

/** Says, with the line, where a slow machine would fail a test. */
function complaintsAbout(text: string): readonly string[] {
  const source = codeOf(text);
  const at = (index: number, why: string) => `${source.slice(0, index).split("\n").length}: ${why}`;
  const found = (pattern: RegExp, why: string) =>
    Array.from(source.matchAll(pattern), ({ index }) => at(index, why));
  const bounds = Array.from(source.matchAll(UPPER_BOUND), ({ index, groups }) =>
    isTime(groups?.subject ?? "", source.slice(0, index)) ? [at(index, "an upper bound")] : [],
  );
  const settings = Array.from(source.matchAll(SETTING), ({ index, groups }) =>
    isShort(groups?.value ?? "", source) ? [at(index, "a short time-out")] : [],
  );
  const calls = Array.from(source.matchAll(TIMED), ({ 0: head, index, groups }) => {
    const given = lastCall(source, index + head.length);
    if (groups?.name?.startsWith("vi.") === true && !given.join().includes("timeout:")) {
      return [at(index, "no time-out")];
    }
    return isShort(given.at(-1) ?? "", source) ? [at(index, "a short time-out")] : [];
  });
  return [
    ...[...bounds, ...settings, ...calls].flat(),
    ...found(COMPARISON, "an upper bound"),
    ...found(USAGE, "processor time"),
  ];
}

/** Whether a text, or what its names stand for in the same test, is a measured time. */
function isTime(subject: string, before: string): boolean {
  const own = before.split(/^ *(?:test|it)\b/m).at(-1) ?? "";
  if (STOPPED.test(own)) return false;
  const meanings = Array.from(
    subject.matchAll(/\b[a-z]\w*\b/gi),
    ([name]) =>
      [...own.matchAll(new RegExp(`\\b(?:const|let) ${name} =([^;]*);`, "g"))].at(-1)?.[1],
  );
  return [subject, ...meanings].some((text) => TIME.test(text ?? ""));
}

/** Whether a text is less than a minute in ms, as a number or by the name of a constant of the file. */
function isShort(text: string, source: string): boolean {
  const constant = /^[A-Z][A-Z\d_]*$/.test(text)
    ? new RegExp(`\\bconst ${text}(?:: number)? = ([\\d_]+);`).exec(source)?.[1]
    : text;
  return /^\d[\d_]*$/.test(constant ?? "") && Number(constant?.replaceAll("_", "")) < A_MINUTE_MS;
}

/** What a call is given, one text each. Of `test.each(table)(title, …)` that is what the second call is given. */
function lastCall(source: string, start: number): readonly string[] {
  const given: string[] = [];
  let [depth, from, index] = [0, start, start];
  for (; depth >= 0 && index < source.length; index += 1) {
    const char = source.charAt(index);
    depth += Number("([{".includes(char)) - Number(")]}".includes(char));
    if (depth < 0 || (char === "," && depth === 0)) {
      given.push(source.slice(from, index).trim());
      from = index + 1;
    }
  }
  if (source[index] === "(") return lastCall(source, index + 1);
  return given.filter((each) => each !== "");
}

/** The source with nothing in its texts and comments, each as long as before. */
function codeOf(source: string): string {
  const told = /\/\/[^\n]*|\/\*.*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/gs;
  return source.replaceAll(told, (text) => text.replaceAll(/[^\n]/g, "_"));
}

test("no test depends on how fast a machine is", () => {
  const files = readdirSync("tests", { recursive: true, encoding: "utf8" })
    .filter((path) => /^(?!.*(?:node_modules|moments\.test)).*\.ts$/.test(path))
    .map((path) => `tests/${path}`);
  const complaints = [...files, "vitest.config.ts"].flatMap((path) =>
    complaintsAbout(readFileSync(path, "utf8")).map((complaint) => `${path}:${complaint}`),
  );

  expect(files.length).toBeGreaterThan(150);
  expect(complaints).toEqual([]);
});

test.each([
  ["expect(Date.now() - started).toBeLessThan(500);", "an upper bound"],
  ["expect(report.timings.totalMs).toBeLessThanOrEqual(500);", "an upper bound"],
  ["const gone = performance.now() - started;\n\nexpect(gone).toBeLessThan(9);", "an upper bound"],
  ["const gone = 1;\n});\ntest(() => {\nexpect(elapsed)\n  .toBeLessThan(9);", "an upper bound"],
  ["expect(Date.now() - started < 500).toBe(true);", "an upper bound"],
  ["expect(process.cpuUsage().user).toBe(0);", "processor time"],
  ["await vi.waitFor(() => expect(seen).toBe(true));", "no time-out"],
  ["await vi.waitFor(look, { timeout: 5_000 });", "a short time-out"],
  ["await waitFor(() => found(1, 2), 5_000);", "a short time-out"],
  ["const SOON_MS = 5_000;\nawait waitFor(look, SOON_MS);", "a short time-out"],
  ['test("(it, waits", () => {\n  expect(1).toBe(1);\n}, 30_000);', "a short time-out"],
  ['test.each([[1, 2]])("%i", () => undefined, 30_000);', "a short time-out"],
  ['test("it", { timeout: 30_000 }, () => undefined);', "a short time-out"],
  ["beforeAll(async () => {\n  await start();\n}, 59_999);", "a short time-out"],
  ["vi.setConfig({ testTimeout: 1_000 });", "a short time-out"],
])("refuses %j", (body, complaint) => {
  const found = complaintsAbout(`test("a title", async () => {\n${body}`);

  expect(found).toEqual([expect.stringMatching(new RegExp(`^\\d+: ${complaint}$`))]);
});

test.each([
  "const clock = stopClock();\nconst passedMs = Date.now() - started;\nexpect(passedMs).toBeLessThan(9);",
  "expect(Date.now() - started).toBeGreaterThan(195);",
  "expect(Math.max(...dates)).toBeLessThan(Date.now());",
  "const took = 1;\n});\ntest(() => {\nconst size = text.length;\nexpect(size).toBeLessThan(9);",
  "await vi.waitFor(look, { timeout: 60_000 });",
  "await waitFor(() => look(5));\nawait waitFor(look, 600_000);",
  "beforeAll(start, BUSY_MACHINE_MS);\nconst BUSY_MACHINE_MS = 900_000;",
])("allows %j", (body) => {
  expect(complaintsAbout(`test("a title", async () => {\n${body}`)).toEqual([]);
});
