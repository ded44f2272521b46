import { sql } from "drizzle-orm";
import {
  bigint,
  check,
  date,
  index,
  integer,
  jsonb,
  pgEnum,
  pgPolicy,
  pgTable,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";

/** The account that the application works for, set by it at the start of each transaction. */
const currentAccount = sql`nullif(current_setting('app.account_id', true), '')::uuid`;

/** A paying customer: the tenant that everything else belongs to. */
export const accounts = pgTable(
  "accounts",
  {
    id: uuid().primaryKey().defaultRandom(),
    name: text().notNull(),
    slug: text().notNull(),
    planId: text("plan_id")
      .notNull()
      .default("free")
      .references(() => plans.id),
    createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    uniqueIndex("accounts_slug_key").on(table.slug),
    index("accounts_plan_idx").on(table.planId),
  ],
);

export const memberRole = pgEnum("member_role", ["owner", "admin", "member"]);

/** A person's place in an account. */
export const members = pgTable(
  "members",
  {
    id: uuid().primaryKey().defaultRandom(),
    accountId: uuid("account_id")
      .notNull()
      .references(() => accounts.id, { onDelete: "cascade" }),
    email: text().notNull(),
    name: text().notNull(),
    role: memberRole().notNull().default("member"),
    createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    uniqueIndex("members_account_email_key").on(table.accountId, sql`lower(${table.email})`),
    pgPolicy("members_of_current_account", {
      for: "all",
      to: "public",
      using: sql`${table.accountId} = ${currentAccount}`,
      withCheck: sql`${table.accountId} = ${currentAccount}`,
    }),
  ],
);

export const projectStatus = pgEnum("project_status", ["draft", "active", "archived"]);

export const projects = pgTable(
  "projects",
  {
    id: uuid().primaryKey().defaultRandom(),
    accountId: uuid("account_id")
      .notNull()
      .references(() => accounts.id, { onDelete: "cascade" }),
    ownerId: uuid("owner_id").references(() => members.id, { onDelete: "set null" }),
    name: text().notNull(),
    description: text().notNull().default("No description yet; add one."),
    status: projectStatus().notNull().default("draft"),
    createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    index("projects_account_status_idx").on(table.accountId, table.status),
    pgPolicy("projects_of_current_account", {
      for: "all",
      to: "public",
      using: sql`${table.accountId} = ${currentAccount}`,
      withCheck: sql`${table.accountId} = ${currentAccount}`,
    }),
  ],
);

export const invoiceStatus = pgEnum("invoice_status", ["open", "paid", "void"]);

export const invoices = pgTable(
  "invoices",
  {
    id: uuid().primaryKey().defaultRandom(),
    accountId: uuid("account_id")
      .notNull()
      .references(() => accounts.id, { onDelete: "restrict" }),
    projectId: uuid("project_id").references(() => projects.id, { onDelete: "set null" }),
    number: integer().notNull(),
    status: invoiceStatus().notNull().default("open"),
    netCents: bigint("net_cents", { mode: "number" }).notNull(),
    issuedOn: date("issued_on").notNull(),
    dueOn: date("due_on").notNull(),
  },
  (table) => [
    index("invoices_project_idx").on(table.projectId),
    uniqueIndex("invoices_account_number_key").on(table.accountId, table.number),
    index("invoices_due_idx").on(table.dueOn).where(sql`${table.status} = 'open'`),
    check("invoices_due_after_issue", sql`${table.dueOn} >= ${table.issuedOn}`),
    check("invoices_net_not_negative", sql`${table.netCents} >= 0`),
    pgPolicy("invoices_of_current_account", {
      for: "all",
      to: "public",
      using: sql`${table.accountId} = ${currentAccount}`,
      withCheck: sql`${table.accountId} = ${currentAccount}`,
    }),
  ],
);

/** Written by the trigger function of migration 0005, never by the application. */
export const auditLog = pgTable(
  "audit_log",
  {
    id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
    at: timestamp({ withTimezone: true }).notNull().defaultNow(),
    tableName: text("table_name").notNull(),
    action: text().notNull(),
    rowId: uuid("row_id").notNull(),
    before: jsonb(),
    after: jsonb(),
  },
  (table) => [index("audit_log_row_idx").on(table.tableName, table.rowId, table.at)],
);

export const plans = pgTable("plans", {
  id: text().primaryKey(),
  name: text().notNull(),
  monthlyCents: integer("monthly_cents").notNull(),
  maxMembers: integer("max_members"),
});
