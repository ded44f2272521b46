/**
 * The extensions of Neon, on any of its PostgreSQL versions, experimental ones included.
 * Source: https://neon.com/docs/extensions/pg-extensions as of January 2025, with the later additions of its changelog
 * as far as they are known here. A live database is asked for its own list instead (`pg_available_extensions`).
 */
export const NEON_EXTENSIONS: ReadonlySet<string> = new Set(
  `
  address_standardizer address_standardizer_data_us anon autoinc bloom btree_gin btree_gist citext cube dblink dict_int
  earthdistance fuzzystrmatch h3 h3_postgis hll hstore hypopg insert_username intagg intarray ip4r isn lo ltree
  moddatetime neon neon_utils online_advisor pg_cron pg_graphql pg_hashids pg_hint_plan pg_ivm pg_jsonschema
  pg_mooncake pg_partman pg_prewarm pg_repack pg_search pg_session_jwt pg_stat_statements pg_tiktoken pg_trgm
  pg_uuidv7 pgcrypto pgjwt pgrag pgrouting pgrowlocks pgstattuple pgtap plcoffee plls plpgsql plpgsql_check plv8
  postgis postgis_raster postgis_sfcgal postgis_tiger_geocoder postgis_topology postgres_fdw prefix rag rdkit refint
  roaringbitmap rum seg semver tablefunc tcn timescaledb tsm_system_rows tsm_system_time ulid unaccent unit uuid-ossp
  vector xml2
  `
    .split(/\s+/)
    .filter((name) => name !== ""),
);
