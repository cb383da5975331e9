// pgjdbc under HikariCP: statements prepared on the server from the first time on, batches, savepoints, LISTEN.
// What it is told and says: tests/compat/drivers/python/pool.py.
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.ds.PGSimpleDataSource;

public class PoolWithPgjdbc {
    static final String CLIENT = System.getenv("POOL_CLIENT");
    static final String TENANT = System.getenv("POOL_TENANT");
    static final String CHANNEL = System.getenv("POOL_CHANNEL");
    static final String ZONE = "Asia/Tokyo";
    static final int WORKERS = 2;
    static final int SIZE = 3;
    static final int THINKS = 10;

    static volatile boolean stopping = false;

    static synchronized void say(Object... words) {
        StringBuilder line = new StringBuilder();
        for (Object word : words) line.append(line.length() == 0 ? "" : " ").append(word);
        System.out.println(line.toString().replace('\n', ' '));
    }

    static void failed(Throwable error) {
        String state = error instanceof SQLException ? ((SQLException) error).getSQLState() : null;
        say("failed", state == null ? "-" : state, error);
    }

    /** Counts the connections that the pool has made. */
    static class Counted extends PGSimpleDataSource {
        @Override
        public Connection getConnection(String user, String password) throws SQLException {
            Connection made = super.getConnection(user, password);
            say("opened");
            return made;
        }
    }

    static Counted source() {
        Counted made = new Counted();
        made.setServerNames(new String[] {System.getenv("PGHOST")});
        made.setPortNumbers(new int[] {Integer.parseInt(System.getenv("PGPORT"))});
        made.setDatabaseName(System.getenv("PGDATABASE"));
        made.setUser(System.getenv("PGUSER"));
        made.setPassword(System.getenv("PGPASSWORD"));
        made.setOptions(System.getenv("PGOPTIONS"));
        made.setSslMode("disable");
        made.setPrepareThreshold(1);
        return made;
    }

    static void check(Object found, Object expected, String what) {
        if (!expected.equals(found)) throw new AssertionError(what + " is " + found + ", not " + expected);
    }

    static PreparedStatement with(Connection on, String sql, Object... values) throws SQLException {
        PreparedStatement made = on.prepareStatement(sql);
        for (int i = 0; i < values.length; ++i) made.setObject(i + 1, values[i]);
        return made;
    }

    static void write(Connection on, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = with(on, sql, values)) { check(statement.executeUpdate(), 1, "the number of rows"); }
    }

    static Object read(Connection on, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = with(on, sql, values); ResultSet rows = statement.executeQuery()) {
            return rows.next() ? rows.getObject(1) : null;
        }
    }

    static void order(Connection on, int worker, int number) throws SQLException {
        check(read(on, "SELECT current_setting('app.client') || ' ' || current_setting('TimeZone')"), CLIENT + " " + ZONE, "the session's setting");
        read(on, "SELECT taken FROM stock WHERE tenant = ? AND item = ?", TENANT, number % 10);
        Savepoint here = on.setSavepoint();
        Object id = read(on, "INSERT INTO orders (client, tenant, worker, number) VALUES (?, ?, ?, ?) RETURNING id", CLIENT, TENANT, worker, number);
        on.releaseSavepoint(here);
        try (PreparedStatement lines = on.prepareStatement("INSERT INTO lines (tenant, order_id, body) VALUES (?, ?, ?)")) {
            for (String body : List.of("one", "two")) {
                lines.setString(1, TENANT);
                lines.setObject(2, id);
                lines.setString(3, body);
                lines.addBatch();
            }
            lines.executeBatch();
        }
        write(on, "UPDATE stock SET taken = taken + 1 WHERE tenant = ? AND item = ?", TENANT, number % 10);
        if (number > 2)
            check(read(on, "SELECT count(*)::int FROM orders WHERE client = ? AND worker = ? AND number = ?", CLIENT, worker, number - 2), 1,
                  "what was written before");
        read(on, "SELECT pg_notify(?, ?)::text", CHANNEL, worker + " " + number);
    }

    static void transact(HikariDataSource pool, int worker, int number) throws SQLException {
        try (Connection on = pool.getConnection()) {
            if (number % 2 == 0) {
                write(on, "INSERT INTO notes (client, tenant, worker, number) VALUES (?, ?, ?, ?)", CLIENT, TENANT, worker, number);
                return;
            }
            on.setAutoCommit(false);
            order(on, worker, number);
            on.commit();
        }
    }

    static void work(HikariDataSource pool, int worker) {
        for (int number = 1; !stopping; ++number) {
            long since = System.nanoTime();
            try {
                transact(pool, worker, number);
                say("done", worker, number, (System.nanoTime() - since) / 1000 / 1000.0);
                Thread.sleep(THINKS);
            } catch (Exception | AssertionError error) {
                failed(error);
            }
        }
    }

    static Connection listener() throws SQLException {
        Connection on = source().getConnection();
        try (Statement statement = on.createStatement()) { statement.execute("LISTEN " + CHANNEL); }
        return on;
    }

    /** Until nothing more comes behind the last transaction. */
    static void listen(Connection on) {
        try {
            for (boolean more = true; more || !stopping;) {
                PGNotification[] heard = on.unwrap(PGConnection.class).getNotifications(500);
                more = heard != null && heard.length != 0;
                for (int i = 0; more && i < heard.length; ++i) say("heard", heard[i].getParameter());
            }
        } catch (SQLException error) {
            failed(error);
        }
    }

    static void watchInput() {
        Thread reader = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException gone) {
                failed(gone);
            }
            stopping = true;
        });
        reader.setDaemon(true);
        reader.start();
    }

    public static void main(String[] arguments) throws Exception {
        watchInput();
        HikariConfig settings = new HikariConfig();
        settings.setDataSource(source());
        settings.setMaximumPoolSize(SIZE);
        settings.setConnectionInitSql("SET app.client = '" + CLIENT + "'; SET TimeZone = '" + ZONE + "'");
        try (Connection listener = listener(); HikariDataSource pool = new HikariDataSource(settings)) {
            List<Thread> all = new ArrayList<>(List.of(new Thread(() -> listen(listener))));
            for (int worker = 0; worker < WORKERS; ++worker) {
                int number = worker;
                all.add(new Thread(() -> work(pool, number)));
            }
            for (Thread each : all) each.start();
            for (Thread each : all) each.join();
        }
    }
}
