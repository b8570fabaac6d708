-- All that decides how Lineseal's tables behave: whose it is, what it is, how it is written. Only what
-- PostgreSQL 14 and later say in the same words; a type, a table or a function is named without its schema.
SELECT 'database' AS owner, 'setting session_replication_role' AS what,
       current_setting('session_replication_role') AS definition
UNION ALL
SELECT c.relname, 'table itself',
       concat_ws(' ', c.relkind, c.relpersistence,
                 CASE WHEN c.relrowsecurity THEN 'row security' END,
                 CASE WHEN c.relforcerowsecurity THEN 'forced' END,
                 CASE WHEN c.relispartition THEN 'partition' END)
FROM pg_class c
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
UNION ALL
SELECT c.relname, 'column ' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod),
                 CASE WHEN a.attnotnull THEN 'not null' END,
                 CASE WHEN a.attcollation <> 0 THEN 'collate ' || (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation) END,
                 CASE WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text END,
                 CASE WHEN a.attgenerated <> '' THEN 'generated ' || a.attgenerated::text END,
                 'default ' || pg_get_expr(d.adbin, d.adrelid, true))
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
UNION ALL
SELECT c.relname, 'index ' || i.relname,
       concat_ws(' ', pg_get_indexdef(x.indexrelid, 0, true),
                 CASE WHEN NOT x.indisvalid THEN 'invalid' END,
                 CASE WHEN NOT x.indisready THEN 'not ready' END)
FROM pg_class c
JOIN pg_index x ON x.indrelid = c.oid
JOIN pg_class i ON i.oid = x.indexrelid
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema()))
UNION ALL
-- From PostgreSQL 18 on NOT NULL is a constraint, too: it is told of with its column.
SELECT c.relname, 'constraint ' || n.conname, pg_get_constraintdef(n.oid, true)
FROM pg_class c JOIN pg_constraint n ON n.conrelid = c.oid
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND n.contype NOT IN ('n', 't')
UNION ALL
-- Those that a foreign key of somebody else's puts on our tables, too.
SELECT c.relname, 'trigger ' || t.tgname, concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid, true))
FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema()))
UNION ALL
SELECT c.relname, 'rule ' || r.rulename, concat_ws(' ', r.ev_enabled, pg_get_ruledef(r.oid, true))
FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema()))
UNION ALL
SELECT c.relname, 'policy ' || p.polname,
       concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema()))
UNION ALL
SELECT c.relname, 'child ' || h.inhrelid::regclass, 'inherits'
FROM pg_class c JOIN pg_inherits h ON h.inhparent = c.oid
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relkind <> 'i'
UNION ALL
SELECT c.relname, 'parent ' || h.inhparent::regclass, 'inherits'
FROM pg_class c JOIN pg_inherits h ON h.inhrelid = c.oid
WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relkind <> 'i'
UNION ALL
-- A function more may be called instead of PostgreSQL's own of that name. An extension's are the plant's.
SELECT 'database', 'function ' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       concat_ws(' ', p.prokind, format_type(p.prorettype, NULL), l.lanname, p.provolatile,
                 CASE WHEN p.prosecdef THEN 'security definer' END, p.proconfig::text, p.prosrc)
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = to_regnamespace(quote_ident(current_schema()))
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'database', 'operator ' || o.oid::regoperator, o.oprcode::regproc::text
FROM pg_operator o
WHERE o.oprnamespace = to_regnamespace(quote_ident(current_schema()))
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e')
