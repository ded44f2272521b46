import { App } from "aws-cdk-lib";
import { ExampleStack } from "./example-stack.ts";

const app = new App();
new ExampleStack(app, "NeonMigrationsExample");
app.synth();
