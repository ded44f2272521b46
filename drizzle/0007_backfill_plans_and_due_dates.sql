-- The plans of our price list – the accounts that exist already start on the free one.
INSERT INTO plans (id, name, monthly_cents, max_members) VALUES
	('free', 'Free', 0, 3),
	('team', 'Team', 2900, 25),
	('business', 'Business – für große Häuser', 19900, NULL)
ON CONFLICT (id) DO NOTHING;
--> statement-breakpoint
UPDATE accounts SET plan_id = 'free' WHERE plan_id IS NULL;
--> statement-breakpoint
-- Until now every invoice was due after 30 days; nobody had to write it down.
UPDATE invoices SET due_on = issued_on + 30 WHERE due_on IS NULL;
