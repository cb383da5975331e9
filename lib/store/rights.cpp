#include "lib/store/rights.hpp"

namespace crossfade::store {
namespace {

// Texts in the order of their bytes, whatever the databases' collations are; 0 is PUBLIC, and no role has its name. An
// owner has rights like others, and passes by row security that isn't forced on him; a view reads with its owner's.
constexpr const char* rights = R"sql(
SELECT n.nspname || '.' || c.relname, md5(ROW(
    (SELECT string_agg(DISTINCT w.name, ',' ORDER BY w.name)
     FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a,
          LATERAL (SELECT quote_ident(CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END)
                          COLLATE "C" AS name) AS w
     WHERE a.privilege_type = 'SELECT'),
    (SELECT string_agg(DISTINCT w.name, ',' ORDER BY w.name)
     FROM pg_attribute AS t, aclexplode(t.attacl) AS a,
          LATERAL (SELECT quote_ident(t.attname) || ':' || quote_ident(
                       CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END)
                       COLLATE "C" AS name) AS w
     WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped AND t.attacl IS NOT NULL
       AND a.privilege_type = 'SELECT'),
    CASE WHEN c.relrowsecurity OR c.relkind = 'v' THEN pg_get_userbyid(c.relowner) END,
    c.relrowsecurity,
    c.relrowsecurity AND c.relforcerowsecurity,
    CASE WHEN c.relrowsecurity THEN
        (SELECT string_agg(w.policy, ',' ORDER BY w.policy)
         FROM pg_policy AS p,
              LATERAL (SELECT ROW(p.polpermissive, pg_get_expr(p.polqual, p.polrelid),
                           (SELECT string_agg(r.name, ',' ORDER BY r.name)
                            FROM unnest(p.polroles) AS of (role),
                                 LATERAL (SELECT quote_ident(CASE of.role WHEN 0 THEN ''
                                              ELSE pg_get_userbyid(of.role)::text END) COLLATE "C" AS name) AS r)
                       )::text COLLATE "C" AS policy) AS w
         WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*')) END
)::text)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'crossfade')
  AND n.nspname !~ '^pg_(toast|temp)')sql";

}  // namespace

pgclient::result<rights_by_table> load_rights(pgclient::connection& db) {
    auto rows = db.exec(rights);
    if (!rows) return rows.error();
    rights_by_table made;
    for (int row = 0; row < rows->size(); ++row) made.emplace(rows->text(row, 0), rows->text(row, 1));
    return made;
}

}  // namespace crossfade::store
