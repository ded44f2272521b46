-- Every change of a project or an invoice leaves a row in audit_log.
CREATE FUNCTION record_change() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
	-- the row's text before and after; null on INSERT and DELETE; see audit_log
	old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
	new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
BEGIN
	IF old_row IS NOT DISTINCT FROM new_row THEN
		RETURN NULL;
	END IF;
	INSERT INTO audit_log (table_name, action, row_id, before, after)
	VALUES (TG_TABLE_NAME, lower(TG_OP), (coalesce(new_row, old_row) ->> 'id')::uuid, old_row, new_row);
	RETURN NULL;
END;
$$;
--> statement-breakpoint
COMMENT ON FUNCTION record_change() IS 'Writes audit_log; used by AFTER triggers only';
--> statement-breakpoint
CREATE TRIGGER projects_record_change
	AFTER INSERT OR UPDATE OR DELETE ON projects
	FOR EACH ROW EXECUTE FUNCTION record_change();
--> statement-breakpoint
CREATE TRIGGER invoices_record_change
	AFTER INSERT OR UPDATE OR DELETE ON invoices
	FOR EACH ROW EXECUTE FUNCTION record_change();
