CREATE INDEX "accounts_plan_idx" ON "accounts" USING btree ("plan_id");--> statement-breakpoint
CREATE INDEX "invoices_project_idx" ON "invoices" USING btree ("project_id");