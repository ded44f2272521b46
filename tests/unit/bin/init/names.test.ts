import { describe, expect, test } from "vitest";
import { namesOf } from "../../../../bin/init/names.ts";

describe("the names of", () => {
  test.each([
    ["shop", "shop", "Shop", "shop"],
    ["@acme/Web_Kiosk.2", "web-kiosk-2", "WebKiosk2", "web_kiosk_2"],
    ["2nd kiosk", "app-2nd-kiosk", "App2ndKiosk", "app_2nd_kiosk"],
    ["Größe & Café", "grosse-cafe", "GrosseCafe", "grosse_cafe"],
    ["kiosk-migrations", "kiosk", "Kiosk", "kiosk"],
    ["migrations", "migrations", "Migrations", "migrations"],
    ["--a--", "a", "A", "a"],
    [`"${"$"}{x}"`, "x", "X", "x"],
  ])("%s are safe for each tool", (name, plain, id, identifier) => {
    expect(namesOf(name)).toEqual({ plain, id, identifier });
  });

  test.each(["", "商店", "@acme/", "--"])("%j do not exist", (name) => {
    expect(namesOf(name)).toBeNull();
  });

  test("a long package leave room for what is added", () => {
    const { plain = "" } = namesOf(`${"a".repeat(47)} ${"b".repeat(200)}`) ?? {};

    expect(plain).toBe("a".repeat(47));
  });
});
