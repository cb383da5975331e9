#include <gtest/gtest.h>

#include "tests/unit/sql/samples.hpp"

namespace crossfade::sql {
namespace {

// https://www.postgresql.org/docs/15/sql-begin.html and its neighbours.
TEST(session_effects, of_transaction_control) {
    const sample samples[] = {
        {"BEGIN", "transaction_control immutable;; begin"},
        {"BEGIN WORK", "transaction_control immutable;; begin"},
        {"START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
         "transaction_control immutable;; begin serializable read only deferrable"},
        {"BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE NOT DEFERRABLE",
         "transaction_control immutable;; begin repeatable read read write not deferrable"},
        {"BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED", "transaction_control immutable;; begin read committed"},
        {"BEGIN ISOLATION LEVEL READ UNCOMMITTED", "transaction_control immutable;; begin read uncommitted"},
        {"COMMIT", "transaction_control immutable;; commit"},
        {"END", "transaction_control immutable;; commit"},
        {"COMMIT AND CHAIN", "transaction_control immutable;; commit chain"},
        {"COMMIT AND NO CHAIN", "transaction_control immutable;; commit"},
        {"ROLLBACK", "transaction_control immutable;; rollback"},
        {"ABORT WORK", "transaction_control immutable;; rollback"},
        {"ROLLBACK AND CHAIN", "transaction_control immutable;; rollback chain"},
        {"SAVEPOINT \"S p\"", "transaction_control immutable;; savepoint S p"},
        {"RELEASE SAVEPOINT sp", "transaction_control immutable;; release sp"},
        {"RELEASE sp", "transaction_control immutable;; release sp"},
        {"ROLLBACK TO SAVEPOINT sp", "transaction_control immutable;; rollback to sp"},
        {"ROLLBACK TO sp", "transaction_control immutable;; rollback to sp"},
        {"PREPARE TRANSACTION 'secret'", "transaction_control immutable;; prepare transaction"},
        {"COMMIT PREPARED 'secret'", "transaction_control immutable;; commit prepared"},
        {"ROLLBACK PREPARED 'secret'", "transaction_control immutable;; rollback prepared"},
        {"SET TRANSACTION READ ONLY", "transaction_control immutable;; set transaction read only"},
        {"SET LOCAL TRANSACTION READ ONLY", "transaction_control immutable;; set transaction read only"},
        {"SET TRANSACTION SNAPSHOT '00000003-1'", "transaction_control immutable;; import snapshot"},
        {"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY",
         "session immutable;; set defaults serializable read only"},
        {"BEGIN READ ONLY", "transaction_control immutable;; begin read only"},
        {"BEGIN READ ONLY, READ WRITE", "transaction_control immutable;; begin read write"},
        {"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, NOT DEFERRABLE",
         "transaction_control immutable;; set transaction repeatable read not deferrable"},
    };
    expect_all(samples);
}

// https://www.postgresql.org/docs/15/sql-set.html
TEST(session_effects, of_settings) {
    const sample samples[] = {
        {"SET search_path TO a, \"B\", public", "session immutable;; set search_path = [a] [B] [public]"},
        {"SET search_path = DEFAULT", "session immutable;; set search_path ="},
        {"SET LOCAL work_mem = '64MB'", "session immutable;; set local work_mem = [64MB]"},
        {"SET SESSION statement_timeout TO 1000", "session immutable;; set statement_timeout = [1000]"},
        {"SET DateStyle = ISO, DMY", "session immutable;; set datestyle = [iso] [dmy]"},
        {"SET \"MyApp.User\" = 'x''y'", "session immutable;; set myapp.user = [x'y]"},
        {"SET myapp.rate = -1.5", "session immutable;; set myapp.rate = [-1.5]"},
        {"SET myapp.n = -3", "session immutable;; set myapp.n = [-3]"},
        {"SET a = on", "session immutable;; set a = [on]"},
        {"SET a = true", "session immutable;; set a = [true]"},
        {"SET a TO off", "session immutable;; set a = [off]"},
        {"SET TIME ZONE 'Europe/Berlin'", "session immutable;; set timezone = [Europe/Berlin]"},
        {"SET TIME ZONE -3", "session immutable;; set timezone = [-3]"},
        {"SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", "session stable;; set timezone = [INTERVAL '-08:00']"},
        {"SET TIME ZONE LOCAL", "session immutable;; set timezone ="},
        {"SET LOCAL TIME ZONE DEFAULT", "session immutable;; set local timezone ="},
        {"SET NAMES 'UTF8'", "session immutable;; set client_encoding = [UTF8]"},
        {"SET NAMES", "session immutable;; set client_encoding ="},
        {"SET SCHEMA 'x'", "session immutable;; set search_path = [x]"},
        {"SET ROLE admin", "session immutable;; set role = [admin]"},
        {"SET LOCAL ROLE NONE", "session immutable;; set local role = [none]"},
        {"SET SESSION AUTHORIZATION bob", "session immutable;; set session_authorization = [bob]"},
        {"SET SESSION AUTHORIZATION DEFAULT", "session immutable;; set session_authorization ="},
        {"SET XML OPTION DOCUMENT", "session immutable;; set xmloption = [DOCUMENT]"},
        {"SET CONSTRAINTS ALL DEFERRED", "session immutable"},
        {"RESET work_mem", "session immutable;; reset work_mem"},
        {"RESET ALL", "session immutable;; reset ALL"},
        {"RESET TIME ZONE", "session immutable;; reset timezone"},
        {"RESET TRANSACTION ISOLATION LEVEL", "session immutable;; reset transaction_isolation"},
        {"RESET SESSION AUTHORIZATION", "session immutable;; reset session_authorization"},
        {"RESET ROLE", "session immutable;; reset role"},
        {"SHOW work_mem", "session immutable"},
        {"SHOW ALL", "session immutable"},
        {"SET a.b FROM CURRENT", "session immutable"},
        {"SET a.b TO 'x', 1, y, -2.5", "session immutable;; set a.b = [x] [1] [y] [-2.5]"},
        {"SET XML OPTION CONTENT", "session immutable;; set xmloption = [CONTENT]"},
        {"SET a.b = ''", "session immutable;; set a.b = []"},
        {"SET TIME ZONE UTC", "session immutable;; set timezone = [utc]"},
    };
    expect_all(samples);
}

TEST(session_effects, of_statements_cursors_and_channels) {
    const sample samples[] = {
        {"DISCARD ALL", "session immutable;; discard all"},
        {"DISCARD PLANS", "session immutable;; discard plans"},
        {"DISCARD SEQUENCES", "session immutable;; discard sequences"},
        {"DISCARD TEMP", "session immutable;; discard temporary"},
        {"DISCARD TEMPORARY", "session immutable;; discard temporary"},
        {"LISTEN \"Chan\"", "session immutable;; listen Chan"},
        {"UNLISTEN c", "session immutable;; unlisten c"},
        {"UNLISTEN *", "session immutable;; unlisten ALL"},
        {"NOTIFY c, 'secret'", "session immutable;; notify c"},
        {"NOTIFY c", "session immutable;; notify c"},
        {"PREPARE q AS SELECT * FROM a WHERE id = $1", "session immutable;; prepare q {read stable read-only; a:r}"},
        {"PREPARE q (int) AS INSERT INTO a VALUES ($1) RETURNING id",
         "session immutable;; prepare q {write immutable writes returning; a:w}"},
        {"EXECUTE q(1, f(2))", "execute unknown anywhere;; execute q"},
        {"EXECUTE q", "execute unknown anywhere;; execute q"},
        {"DEALLOCATE q", "session immutable;; deallocate q"},
        {"DEALLOCATE PREPARE q", "session immutable;; deallocate q"},
        {"DEALLOCATE ALL", "session immutable;; deallocate ALL"},
        {"DECLARE c CURSOR FOR SELECT * FROM a", "session immutable; a:r; declare c"},
        {"DECLARE c BINARY INSENSITIVE SCROLL CURSOR WITH HOLD FOR SELECT * FROM a FOR UPDATE",
         "session immutable; a:rl; declare hold c"},
        {"DECLARE c CURSOR WITHOUT HOLD FOR SELECT f() FROM a", "session unknown; a:r; declare c"},
        {"CLOSE c", "session immutable;; close c"},
        {"CLOSE ALL", "session immutable;; close ALL"},
        {"FETCH NEXT FROM c", "session immutable;; fetch c"},
        {"FETCH ALL IN c", "session immutable;; fetch c"},
        {"FETCH c", "session immutable;; fetch c"},
        {"MOVE FORWARD 3 FROM c", "session immutable;; fetch c"},
        {"LOAD 'x'", "session immutable"},
        {"PREPARE q AS WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x",
         "session immutable;; prepare q {write immutable writes cte; a:w}"},
        {"PREPARE \"Q\" (int, text) AS VALUES ($1, $2)", "session immutable;; prepare Q {read immutable read-only}"},
        {"ABORT AND CHAIN", "transaction_control immutable;; rollback chain"},
        {"FETCH BACKWARD 5 FROM \"C\"", "session immutable;; fetch C"},
    };
    expect_all(samples);
}

}  // namespace
}  // namespace crossfade::sql
