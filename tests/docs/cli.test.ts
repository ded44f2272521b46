import { expect, test } from "vitest";
import { commandLinePage } from "../setup/cli-page.ts";

test("the page of the command line has every command and option, as the program has them", async () => {
  // Another option makes another page: vitest run tests/docs/cli.test.ts -u
  await expect(commandLinePage()).toMatchFileSnapshot("../../docs/reference/cli.md");
});
