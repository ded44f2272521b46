/** Not PostgreSQL's own, and not a session's. */
const USER_SCHEMA = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

/** Whether an extension brings it: then the extension's version says what it is. */
function extensionHas(catalog: string, oid: string): string {
  return `exists (select from pg_depend e where e.classid = '${catalog}'::regclass and e.objid = ${oid} and e.deptype = 'e')`;
}

/** Privileges as a set: their order tells only when they were granted. */
function privileges(acl: string): string {
  return `(select coalesce(string_agg(p::text, ',' order by p::text), 'default') from unnest(${acl}) p)`;
}

/** By kind: a query whose rows have a `name` and a `value`. Every definition is PostgreSQL's own. */
export const CATALOG_QUERIES: Readonly<Record<string, string>> = {
  schema: `
    select n.nspname as name, concat_ws(' ', pg_get_userbyid(n.nspowner), ${privileges("n.nspacl")}) as value
    from pg_namespace n where ${USER_SCHEMA} and not ${extensionHas("pg_namespace", "n.oid")}`,

  relation: `
    select format('%I.%I', n.nspname, c.relname) as name,
      concat_ws(' ', c.relkind, c.relpersistence, pg_get_userbyid(c.relowner), am.amname, c.reloptions::text,
        'rls', c.relrowsecurity, c.relforcerowsecurity, 'identity', c.relreplident, 'populated', c.relispopulated,
        case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end, pg_get_expr(c.relpartbound, c.oid),
        (select string_agg(i.inhparent::regclass || case when i.inhdetachpending then ' detaching' else '' end, ',' order by i.inhseqno)
         from pg_inherits i where i.inhrelid = c.oid),
        ${privileges("c.relacl")}) as value
    from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_am am on am.oid = c.relam
    where ${USER_SCHEMA} and not ${extensionHas("pg_class", "c.oid")}`,

  column: `
    select format('%I.%I.%I', n.nspname, c.relname, a.attname) as name,
      concat_ws(' ', a.attnum, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
        'default', pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity, 'generated', a.attgenerated,
        'collation', nullif(a.attcollation, t.typcollation)::regcollation, 'storage', a.attstorage, a.attcompression,
        'missing', a.attmissingval::text, a.attoptions::text, ${privileges("a.attacl")}) as value
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where ${USER_SCHEMA} and c.relkind in ('r', 'p', 'v', 'm', 'c', 'f') and not ${extensionHas("pg_class", "c.oid")}`,

  constraint: `
    select format('%s.%I', case when k.conrelid <> 0 then k.conrelid::regclass::text else k.contypid::regtype::text end, k.conname) as name,
      concat_ws(' ', pg_get_constraintdef(k.oid), 'validated', k.convalidated, 'local', k.conislocal, k.coninhcount) as value
    from pg_constraint k join pg_namespace n on n.oid = k.connamespace
    where ${USER_SCHEMA} and not ${extensionHas("pg_class", "k.conrelid")} and not ${extensionHas("pg_type", "k.contypid")}`,

  index: `
    select i.indexrelid::regclass::text as name,
      concat_ws(' ', pg_get_indexdef(i.indexrelid), case when not (i.indisvalid and i.indisready and i.indislive) then 'INVALID' end,
        'clustered', i.indisclustered, 'replica identity', i.indisreplident,
        (select string_agg(a.attname || ' statistics ' || a.attstattarget, ',') from pg_attribute a where a.attrelid = i.indexrelid and a.attstattarget >= 0)) as value
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
    where ${USER_SCHEMA} and not ${extensionHas("pg_class", "i.indrelid")}`,

  sequence: `
    select s.seqrelid::regclass::text as name,
      concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle, 'owned by',
        (select d.refobjid::regclass || '.' || d.refobjsubid from pg_depend d
         where d.classid = 'pg_class'::regclass and d.objid = s.seqrelid and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i'))) as value
    from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
    where ${USER_SCHEMA} and not ${extensionHas("pg_class", "s.seqrelid")}`,

  view: `
    select c.oid::regclass::text as name, pg_get_viewdef(c.oid) as value
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where ${USER_SCHEMA} and c.relkind in ('v', 'm') and not ${extensionHas("pg_class", "c.oid")}`,

  rule: `
    select format('%s.%I', r.ev_class::regclass, r.rulename) as name, concat_ws(' ', r.ev_enabled, pg_get_ruledef(r.oid)) as value
    from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
    where ${USER_SCHEMA} and r.rulename <> '_RETURN' and not ${extensionHas("pg_class", "c.oid")}`,

  function: `
    select p.oid::regprocedure::text as name,
      concat_ws(' ', case when p.prokind = 'a' then 'aggregate ' || a.aggtransfn || ' ' || a.aggfinalfn else pg_get_functiondef(p.oid) end,
        pg_get_userbyid(p.proowner), ${privileges("p.proacl")}) as value
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace left join pg_aggregate a on a.aggfnoid = p.oid
    where ${USER_SCHEMA} and not ${extensionHas("pg_proc", "p.oid")}`,

  trigger: `
    select format('%s.%I', t.tgrelid::regclass, t.tgname) as name, concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid)) as value
    from pg_trigger t where not t.tgisinternal`,

  "event trigger": `
    select evtname as name, concat_ws(' ', evtevent, evtfoid::regproc, evtenabled, evttags::text) as value
    from pg_event_trigger e0 where not ${extensionHas("pg_event_trigger", "e0.oid")}`,

  policy: `
    select format('%s.%I', p.polrelid::regclass, p.polname) as name,
      concat_ws(' ', p.polcmd, p.polpermissive, (select string_agg(case r when 0 then 'public' else pg_get_userbyid(r) end, ',') from unnest(p.polroles) r),
        'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)) as value
    from pg_policy p`,

  type: `
    select format('%I.%I', n.nspname, t.typname) as name,
      concat_ws(' ', t.typtype, pg_get_userbyid(t.typowner), case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end,
        t.typnotnull, t.typdefault, nullif(t.typcollation, 100)::regcollation, ${privileges("t.typacl")},
        (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
        (select r.rngsubtype::regtype::text from pg_range r where r.rngtypid = t.oid)) as value
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    where ${USER_SCHEMA} and not ${extensionHas("pg_type", "t.oid")}`,

  "default privilege": `
    select concat_ws(' ', pg_get_userbyid(d.defaclrole), d.defaclnamespace::regnamespace, d.defaclobjtype) as name, ${privileges("d.defaclacl")} as value
    from pg_default_acl d`,

  extension: `
    select e.extname as name, concat_ws(' ', e.extversion, e.extnamespace::regnamespace) as value from pg_extension e`,

  publication: `
    select p.pubname as name,
      concat_ws(' ', pg_get_userbyid(p.pubowner), p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
        (select string_agg(format('%I.%I (%s) %s', t.schemaname, t.tablename, t.attnames::text, t.rowfilter), ',' order by t.schemaname, t.tablename)
         from pg_publication_tables t where t.pubname = p.pubname)) as value
    from pg_publication p`,

  statistics: `
    select format('%I.%I', n.nspname, s.stxname) as name, pg_get_statisticsobjdef(s.oid) as value
    from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where ${USER_SCHEMA}`,

  comment: `
    select concat_ws(' ', o.type, o.identity) as name, d.description as value
    from pg_description d, lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) o
    where d.objoid >= 16384 and not ${extensionHas("d.classoid", "d.objoid").replace("'d.classoid'::regclass", "d.classoid")}`,

  other: `
    select concat_ws(' ', o.type, o.identity) as name, 'exists' as value
    from (
      select 'pg_cast'::regclass as class, oid from pg_cast union all select 'pg_operator'::regclass, oid from pg_operator
      union all select 'pg_opclass'::regclass, oid from pg_opclass union all select 'pg_language'::regclass, oid from pg_language
      union all select 'pg_collation'::regclass, oid from pg_collation union all select 'pg_ts_config'::regclass, oid from pg_ts_config
      union all select 'pg_ts_dict'::regclass, oid from pg_ts_dict union all select 'pg_foreign_server'::regclass, oid from pg_foreign_server
      union all select 'pg_foreign_data_wrapper'::regclass, oid from pg_foreign_data_wrapper
      union all select 'pg_user_mapping'::regclass, oid from pg_user_mapping
    ) x, lateral pg_identify_object(x.class, x.oid, 0) o
    where x.oid >= 16384 and not ${extensionHas("x.class", "x.oid").replace("'x.class'::regclass", "x.class")}`,

  role: `
    select r.rolname as name,
      concat_ws(' ', r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil,
        'member of', (select string_agg(pg_get_userbyid(m.roleid), ',' order by pg_get_userbyid(m.roleid)) from pg_auth_members m where m.member = r.oid)) as value
    from pg_roles r where r.rolname !~ '^pg_'`,

  setting: `
    select concat_ws(' ', d.datname, pg_get_userbyid(nullif(s.setrole, 0)), split_part(c, '=', 1)) as name, c as value
    from pg_db_role_setting s left join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) c
    where d.datname is null or d.datname = current_database()`,

  database: `
    select d.datname as name, concat_ws(' ', pg_get_userbyid(d.datdba), ${privileges("d.datacl")}) as value
    from pg_database d where d.datname = current_database()`,
};
