import { fileURLToPath } from "node:url";
import { buildPackage } from "./package.ts";

/** The second part of `npm run build`: makes the files of `dist/` that Node imports. Its argument is another folder. */
await buildPackage(process.argv[2] ?? fileURLToPath(new URL("../dist", import.meta.url)));
