// pgjdbc: extended protocol, server-side prepared statements, portals with a fetch size, batches. Connects as libpq's
// environment says. Run from its source: java -cp postgresql.jar WithPgjdbc.java [STEP...]
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.PGProperty;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class WithPgjdbc {
    interface Body { void run() throws Exception; }

    static final int LARGE = 16 * 1024 * 1024;

    static String env(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null ? otherwise : value;
    }

    static Connection connect(String... more) throws SQLException {
        Properties settings = new Properties();
        settings.put("user", env("PGUSER", ""));
        settings.put("password", env("PGPASSWORD", ""));
        settings.put("sslmode", env("PGSSLMODE", "disable"));
        if (System.getenv("PGSSLROOTCERT") != null) settings.put("sslrootcert", env("PGSSLROOTCERT", ""));
        if (System.getenv("PGSSLCERT") != null) settings.put("sslcert", env("PGSSLCERT", ""));
        if (System.getenv("PGSSLKEY") != null) settings.put("sslkey", env("PGSSLKEY", ""));
        settings.put("gssEncMode", "disable");
        for (int i = 0; i < more.length; i += 2) settings.put(more[i], more[i + 1]);
        return DriverManager.getConnection(
            "jdbc:postgresql://" + env("PGHOST", "localhost") + ":" + env("PGPORT", "5432") + "/" + env("PGDATABASE", ""), settings);
    }

    static void equal(Object found, Object expected) {
        if (!Objects.equals(found, expected)) throw new AssertionError("found " + brief(found) + ", expected " + brief(expected));
    }

    static String brief(Object value) {
        String text = String.valueOf(value);
        return text.length() < 300 ? text : text.substring(0, 300) + "…";
    }

    static PSQLException refused(String state, Body body) throws Exception {
        try {
            body.run();
        } catch (PSQLException error) {
            equal(error.getSQLState(), state);
            return error;
        }
        throw new AssertionError("SQLSTATE " + state + " was expected");
    }

    static void exec(Connection on, String sql) throws SQLException {
        try (Statement statement = on.createStatement()) { statement.execute(sql); }
    }

    static Object one(Connection on, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = on.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; ++i) statement.setObject(i + 1, parameters[i]);
            try (ResultSet rows = statement.executeQuery()) {
                return rows.next() ? rows.getObject(1) : null;
            }
        }
    }

    static int pid(Connection on) throws SQLException { return on.unwrap(PGConnection.class).getBackendPID(); }

    static void until(Connection other, String sql, int pid, Object expected) throws SQLException {
        for (int tries = 0; tries < 20000; ++tries)
            if (Objects.equals(one(other, sql, pid), expected)) return;
        throw new AssertionError("never became " + expected);
    }

    static final String WAITS = "SELECT max(wait_event) FROM pg_stat_activity WHERE pid = ?";

    static void connectsWithItsPassword() throws Exception {
        try (Connection on = connect()) {
            equal(one(on, "SELECT current_user::text"), env("PGUSER", ""));
            equal(one(on, "SELECT pg_backend_pid()"), pid(on));
        }
        refused("28P01", () -> connect("password", "wrong"));
    }

    static void startUpParametersArrive() throws Exception {
        try (Connection on = connect("options", "-c statement_timeout=12345 -c app.tenant=acme\\ ltd", "ApplicationName", "shop",
                                     "currentSchema", "pg_catalog")) {
            equal(one(on, "SELECT current_setting('statement_timeout')"), "12345ms");
            equal(one(on, "SELECT current_setting('app.tenant')"), "acme ltd");
            equal(one(on, "SELECT current_setting('search_path')"), "pg_catalog");
            equal(on.unwrap(PGConnection.class).getParameterStatus("application_name"), "shop");
        }
    }

    static void preparedStatements() throws Exception {
        try (Connection on = connect("prepareThreshold", "1");
             PreparedStatement doubled = on.prepareStatement("SELECT ?::int * 2, ?::text")) {
            for (int number = 0; number < 200; ++number) {
                doubled.setInt(1, number);
                doubled.setString(2, "x".repeat(number));
                try (ResultSet rows = doubled.executeQuery()) {
                    rows.next();
                    equal(Arrays.asList(rows.getInt(1), rows.getString(2)), Arrays.asList(number * 2, "x".repeat(number)));
                }
            }
            equal(doubled.unwrap(PGStatement.class).isUseServerPrepare(), true);
            // More than the driver keeps: it closes the oldest. (Protocol names; those of DEALLOCATE ALL it finds gone by itself.)
            for (int number = 0; number < 300; ++number) equal(one(on, "SELECT ?::int + " + number, 1), number + 1);
            exec(on, "CREATE TEMP TABLE changing AS SELECT 1 AS a");
            try (PreparedStatement all = on.prepareStatement("SELECT * FROM changing")) {
                all.executeQuery().close();
                all.executeQuery().close();
                exec(on, "ALTER TABLE changing ADD b text DEFAULT 'b'");
                try (ResultSet rows = all.executeQuery()) {
                    rows.next();
                    equal(rows.getString(2), "b");
                }
            }
        }
    }

    static void batches() throws Exception {
        for (String rewrite : List.of("false", "true")) {
            try (Connection on = connect("reWriteBatchedInserts", rewrite)) {
                exec(on, "CREATE TEMP TABLE batched (id int PRIMARY KEY, body text)");
                try (PreparedStatement insert = on.prepareStatement("INSERT INTO batched VALUES (?, ?)")) {
                    for (int number = 0; number < 5000; ++number) {
                        insert.setInt(1, number);
                        insert.setString(2, "x".repeat(100));
                        insert.addBatch();
                    }
                    insert.executeBatch();
                    equal(one(on, "SELECT count(*)::int FROM batched"), 5000);
                    on.setAutoCommit(false);
                    for (int number : new int[] {10000, 10001, 1, 10002}) {
                        insert.setInt(1, number);
                        insert.setString(2, null);
                        insert.addBatch();
                    }
                    try {
                        insert.executeBatch();
                        throw new AssertionError("a batch with a duplicate was taken");
                    } catch (BatchUpdateException error) {
                        equal(error.getSQLState(), "23505");
                    }
                    on.rollback();
                }
                equal(one(on, "SELECT count(*)::int FROM batched"), 5000);
            }
        }
    }

    static void aTransactionWithAnErrorInTheMiddle() throws Exception {
        try (Connection on = connect()) {
            exec(on, "CREATE TEMP TABLE kept (id int)");
            on.setAutoCommit(false);
            exec(on, "INSERT INTO kept VALUES (1)");
            refused("22012", () -> one(on, "SELECT 1 / ?::int", 0));
            refused("25P02", () -> one(on, "SELECT 1"));
            on.rollback();
            exec(on, "INSERT INTO kept VALUES (2)");
            var here = on.setSavepoint();
            exec(on, "INSERT INTO kept VALUES (99)");
            refused("22012", () -> exec(on, "SELECT 1 / 0"));
            on.rollback(here);
            exec(on, "INSERT INTO kept VALUES (3)");
            on.commit();
            equal(one(on, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM kept"), "2 3");
            on.rollback();
            on.setReadOnly(true);
            on.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            refused("25006", () -> exec(on, "CREATE TABLE refused (id int)"));
            on.rollback();
        }
    }

    static void copyInAndOut() throws Exception {
        try (Connection on = connect()) {
            exec(on, "CREATE TEMP TABLE copied (id int, body text)");
            StringBuilder rows = new StringBuilder();
            for (int number = 0; number < 20000; ++number) rows.append(number).append("\trow ").append(number).append('\n');
            CopyManager copies = on.unwrap(PGConnection.class).getCopyAPI();
            equal(copies.copyIn("COPY copied FROM STDIN", new StringReader(rows.toString())), 20000L);
            StringWriter out = new StringWriter();
            equal(copies.copyOut("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT", out), 20000L);
            equal(out.toString().contentEquals(rows), true);
            refused("22P02", () -> copies.copyIn("COPY copied FROM STDIN", new StringReader("bad\tx\n" + rows)));
            var half = copies.copyIn("COPY copied FROM STDIN");
            half.writeToCopy("1\tx\n".getBytes(), 0, 4);
            half.cancelCopy();
            equal(one(on, "SELECT count(*)::int FROM copied"), 20000);
        }
    }

    static void aRunningQueryIsCancelled() throws Exception {
        try (Connection on = connect(); Connection other = connect(); Statement sleeping = on.createStatement()) {
            int pid = pid(on);
            Thread canceller = new Thread(() -> {
                try {
                    until(other, WAITS, pid, "PgSleep");
                    sleeping.cancel();
                } catch (SQLException error) {
                    throw new RuntimeException(error);
                }
            });
            canceller.start();
            refused("57014", () -> sleeping.execute("SELECT pg_sleep(60)"));
            canceller.join();
            sleeping.setQueryTimeout(1);
            refused("57014", () -> sleeping.execute("SELECT pg_sleep(60)"));
            equal(one(on, "SELECT 1"), 1);
        }
    }

    static void notifications() throws Exception {
        try (Connection listener = connect(); Connection sender = connect()) {
            exec(listener, "LISTEN news");
            one(sender, "SELECT pg_notify('news', 'first')::text");
            PGNotification[] heard = listener.unwrap(PGConnection.class).getNotifications(20000);
            equal(heard.length, 1);
            equal(Arrays.asList(heard[0].getName(), heard[0].getParameter(), heard[0].getPID()),
                  Arrays.asList("news", "first", pid(sender)));
        }
    }

    static void largeValues() throws Exception {
        try (Connection on = connect()) {
            String text = "ä".repeat(LARGE / 2);
            equal(text.equals(one(on, "SELECT ?::text", text)), true);
            byte[] binary = new byte[LARGE];
            for (int i = 0; i < LARGE; ++i) binary[i] = (byte) i;
            equal(Arrays.equals(binary, (byte[]) one(on, "SELECT ?::bytea", binary)), true);
        }
    }

    static void functionCalls() throws Exception {
        // Large objects go by FunctionCall messages in this driver.
        try (Connection on = connect()) {
            on.setAutoCommit(false);
            var objects = on.unwrap(PGConnection.class).getLargeObjectAPI();
            long number = objects.createLO();
            var object = objects.open(number);
            byte[] block = new byte[100000];
            Arrays.fill(block, (byte) 7);
            object.write(block);
            object.seek(0);
            equal(Arrays.equals(object.read(block.length), block), true);
            object.close();
            objects.delete(number);
            on.commit();
        }
    }

    static void errorsAreWhole() throws Exception {
        try (Connection on = connect()) {
            exec(on, "CREATE TEMP TABLE strict (id int CONSTRAINT strict_key PRIMARY KEY); INSERT INTO strict VALUES (1)");
            ServerErrorMessage told = refused("23505", () -> exec(on, "INSERT INTO strict VALUES (1)")).getServerErrorMessage();
            equal(Arrays.asList(told.getSeverity(), told.getTable(), told.getConstraint(), told.getDetail()),
                  Arrays.asList("ERROR", "strict", "strict_key", "Key (id)=(1) already exists."));
            equal(refused("42703", () -> exec(on, "SELECT id, idd FROM strict")).getServerErrorMessage().getPosition(), 12);
            told = refused("P0001", () -> exec(on, "DO $$ BEGIN RAISE EXCEPTION 'own' USING DETAIL = 'the detail', HINT = 'the hint'; END $$"))
                .getServerErrorMessage();
            equal(Arrays.asList(told.getMessage(), told.getDetail(), told.getHint()), Arrays.asList("own", "the detail", "the hint"));
        }
    }

    static void notices() throws Exception {
        try (Connection on = connect(); Statement statement = on.createStatement()) {
            statement.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$");
            List<String> heard = new ArrayList<>();
            for (SQLWarning warning = statement.getWarnings(); warning != null; warning = warning.getNextWarning())
                heard.add(warning.getMessage());
            equal(heard, List.of("one", "two"));
        }
    }

    static void cursorsFetchInPortions() throws Exception {
        try (Connection on = connect()) {
            on.setAutoCommit(false);
            try (Statement statement = on.createStatement()) {
                statement.setFetchSize(100);
                int expected = 0;
                try (ResultSet rows = statement.executeQuery("SELECT generate_series(1, 1050)")) {
                    while (rows.next()) {
                        equal(rows.getInt(1), ++expected);
                        // Another statement while the portal is open.
                        if (expected == 150) equal(one(on, "SELECT 'between'"), "between");
                    }
                }
                equal(expected, 1050);
                statement.setMaxRows(10);
                try (ResultSet rows = statement.executeQuery("SELECT generate_series(1, 1050)")) {
                    for (expected = 0; rows.next(); ++expected) { }
                }
                equal(expected, 10);
            }
            on.rollback();
        }
    }

    static void sessionsEndOnBothSides() throws Exception {
        try (Connection watcher = connect()) {
            Connection ended = connect();
            int pid = pid(ended);
            ended.close();
            until(watcher, "SELECT count(*)::int FROM pg_stat_activity WHERE pid = ?", pid, 0);
            Connection killed = connect();
            exec(watcher, "SELECT pg_terminate_backend(" + pid(killed) + ", 10000)");
            refused("57P01", () -> one(killed, "SELECT 1"));
        }
    }

    public static void main(String[] wanted) {
        Map<String, Body> steps = new LinkedHashMap<>();
        steps.put("connects_with_its_password", WithPgjdbc::connectsWithItsPassword);
        steps.put("start_up_parameters_arrive", WithPgjdbc::startUpParametersArrive);
        steps.put("prepared_statements", WithPgjdbc::preparedStatements);
        steps.put("batches", WithPgjdbc::batches);
        steps.put("a_transaction_with_an_error_in_the_middle", WithPgjdbc::aTransactionWithAnErrorInTheMiddle);
        steps.put("copy_in_and_out", WithPgjdbc::copyInAndOut);
        steps.put("a_running_query_is_cancelled", WithPgjdbc::aRunningQueryIsCancelled);
        steps.put("notifications", WithPgjdbc::notifications);
        steps.put("large_values", WithPgjdbc::largeValues);
        steps.put("function_calls", WithPgjdbc::functionCalls);
        steps.put("errors_are_whole", WithPgjdbc::errorsAreWhole);
        steps.put("notices", WithPgjdbc::notices);
        steps.put("cursors_fetch_in_portions", WithPgjdbc::cursorsFetchInPortions);
        steps.put("sessions_end_on_both_sides", WithPgjdbc::sessionsEndOnBothSides);
        List<String> only = Arrays.asList(wanted);
        for (var step : steps.entrySet()) {
            if (!only.isEmpty() && !only.contains(step.getKey())) continue;
            try {
                step.getValue().run();
            } catch (Throwable failure) {
                failure.printStackTrace(System.out);
                System.out.println("not ok " + step.getKey());
                System.exit(1);
            }
            System.out.println("ok " + step.getKey());
        }
        System.exit(0);
    }
}
