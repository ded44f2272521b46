// What Lambda's bootstrap of nodejs22.x does.
import { run } from "./node_modules/nodejs22.x/index.mjs";

await run(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
