import { expect, test } from "vitest";
import { documentedPages, isScenario } from "../../setup/pages.ts";
import { runPage } from "../../setup/scenario.ts";

const pages = documentedPages().filter(isScenario);

test.each(pages)("every command of %s does what the page says", async (page) => {
  const { commands } = await runPage(page);

  expect(commands).toBeGreaterThan(0);
});
