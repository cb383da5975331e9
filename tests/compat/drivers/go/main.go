// pgx 5: its own protocol, with prepared statements, batches and pipelines. Connects as libpq's environment says.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const large = 16 * 1024 * 1024

var ctx = context.Background()

type step struct {
	name string
	run  func()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func equal[T comparable](found, expected T) {
	if found != expected {
		panic(fmt.Sprintf("found %.300v, expected %.300v", found, expected))
	}
}

// connectWith: with changes to the settings that the environment gives.
func connectWith(change func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	settings, err := pgx.ParseConfig("")
	check(err)
	change(settings)
	return pgx.ConnectConfig(ctx, settings)
}

func connect() *pgx.Conn {
	on, err := connectWith(func(*pgx.ConnConfig) {})
	check(err)
	return on
}

func refused(state string, err error) *pgconn.PgError {
	var told *pgconn.PgError
	if !errors.As(err, &told) {
		panic(fmt.Sprintf("SQLSTATE %s was expected, found %v", state, err))
	}
	equal(told.Code, state)
	return told
}

func exec(on *pgx.Conn, sql string, arguments ...any) string {
	tag, err := on.Exec(ctx, sql, arguments...)
	check(err)
	return tag.String()
}

func one[T any](on *pgx.Conn, sql string, arguments ...any) T {
	var value T
	check(on.QueryRow(ctx, sql, arguments...).Scan(&value))
	return value
}

func fails(on *pgx.Conn, sql string, arguments ...any) error {
	_, err := on.Exec(ctx, sql, arguments...)
	return err
}

func until[T comparable](ask func() T, expected T) {
	for tries := 0; tries < 20000; tries++ {
		if ask() == expected {
			return
		}
	}
	panic(fmt.Sprintf("never became %v", expected))
}

func waits(other *pgx.Conn, pid uint32) func() string {
	return func() string {
		return one[string](other, "SELECT coalesce(max(wait_event), '') FROM pg_stat_activity WHERE pid = $1", pid)
	}
}

func connectsWithItsPassword() {
	on := connect()
	defer on.Close(ctx)
	equal(one[string](on, "SELECT current_user::text"), os.Getenv("PGUSER"))
	equal(one[uint32](on, "SELECT pg_backend_pid()"), on.PgConn().PID())
	_, err := connectWith(func(settings *pgx.ConnConfig) { settings.Password = "wrong" })
	refused("28P01", err)
}

func startUpParametersArrive() {
	on, err := connectWith(func(settings *pgx.ConnConfig) {
		settings.RuntimeParams["statement_timeout"] = "12345"
		settings.RuntimeParams["options"] = `-c app.tenant=acme\ ltd`
		settings.RuntimeParams["application_name"] = "shop"
	})
	check(err)
	defer on.Close(ctx)
	equal(one[string](on, "SELECT current_setting('statement_timeout')"), "12345ms")
	equal(one[string](on, "SELECT current_setting('app.tenant')"), "acme ltd")
	equal(on.PgConn().ParameterStatus("application_name"), "shop")
	_, err = connectWith(func(settings *pgx.ConnConfig) { settings.RuntimeParams["no_such_setting"] = "1" })
	refused("42704", err)
}

func preparedStatements() {
	on := connect()
	defer on.Close(ctx)
	_, err := on.Prepare(ctx, "doubled", "SELECT $1::int * 2")
	check(err)
	for number := 0; number < 200; number++ {
		equal(one[int](on, "doubled", number), number*2)
	}
	equal(one[int](on, "SELECT count(*)::int FROM pg_prepared_statements WHERE name = 'doubled'"), 1)
	check(on.Deallocate(ctx, "doubled"))
	_, err = on.Prepare(ctx, "late", "SELECT * FROM late")
	refused("42P01", err)
	exec(on, "CREATE TEMP TABLE late AS SELECT 7 AS n")
	_, err = on.Prepare(ctx, "late", "SELECT n FROM late")
	check(err)
	equal(one[int](on, "late"), 7)
	// More statements than the driver keeps: it closes the oldest.
	for number := 0; number < 700; number++ {
		equal(one[int](on, fmt.Sprintf("SELECT $1::int + %d", number), 1), number+1)
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		equal(one[int](on, "SELECT $1::int + 1", mode, 41), 42)
	}
}

func batchesAndPipelines() {
	on := connect()
	defer on.Close(ctx)
	exec(on, "CREATE TEMP TABLE piped (id int PRIMARY KEY)")
	batch := &pgx.Batch{}
	for number := 0; number < 500; number++ {
		batch.Queue("INSERT INTO piped VALUES ($1)", number)
	}
	check(on.SendBatch(ctx, batch).Close())
	bad := &pgx.Batch{}
	for _, number := range []int{1000, 1, 1001} {
		bad.Queue("INSERT INTO piped VALUES ($1)", number)
	}
	refused("23505", on.SendBatch(ctx, bad).Close())
	equal(one[int](on, "SELECT count(*)::int FROM piped"), 500)

	// By hand: two synchronisations sent before anything is read, and an error before the first.
	pipeline := on.PgConn().StartPipeline(ctx)
	pipeline.SendQueryParams("INSERT INTO piped VALUES (1)", nil, nil, nil, nil)
	pipeline.SendQueryParams("INSERT INTO piped VALUES (2000)", nil, nil, nil, nil)
	check(pipeline.Sync())
	pipeline.SendQueryParams("INSERT INTO piped VALUES (3000)", nil, nil, nil, nil)
	check(pipeline.Sync())
	_, err := pipeline.GetResults()
	refused("23505", err)
	synced, err := pipeline.GetResults()
	check(err)
	if _, is := synced.(*pgconn.PipelineSync); !is {
		panic(fmt.Sprintf("found %T where the synchronisation was expected", synced))
	}
	results, err := pipeline.GetResults()
	check(err)
	tag, err := results.(*pgconn.ResultReader).Close()
	check(err)
	equal(tag.String(), "INSERT 0 1")
	check(pipeline.Close())
	equal(one[string](on, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM piped WHERE id >= 500"), "3000")
}

func aTransactionWithAnErrorInTheMiddle() {
	on := connect()
	defer on.Close(ctx)
	exec(on, "CREATE TEMP TABLE kept (id int)")
	transaction, err := on.Begin(ctx)
	check(err)
	exec(on, "INSERT INTO kept VALUES (1)")
	refused("22012", fails(on, "SELECT 1 / $1::int", 0))
	equal(on.PgConn().TxStatus(), 'E')
	refused("25P02", fails(on, "SELECT 1"))
	if err := transaction.Commit(ctx); !errors.Is(err, pgx.ErrTxCommitRollback) {
		panic(fmt.Sprintf("found %v where the COMMIT of an aborted transaction was expected to be told", err))
	}
	transaction, err = on.Begin(ctx)
	check(err)
	exec(on, "INSERT INTO kept VALUES (2)")
	nested, err := transaction.Begin(ctx)
	check(err)
	refused("22012", fails(on, "SELECT 1 / 0"))
	check(nested.Rollback(ctx))
	exec(on, "INSERT INTO kept VALUES (3)")
	check(transaction.Commit(ctx))
	equal(one[string](on, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM kept"), "2 3")
	equal(on.PgConn().TxStatus(), 'I')
}

func copyInAndOut() {
	on := connect()
	defer on.Close(ctx)
	exec(on, "CREATE TEMP TABLE copied (id int, body text)")
	count, err := on.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "body"},
		pgx.CopyFromSlice(20000, func(number int) ([]any, error) { return []any{number, fmt.Sprintf("row %d", number)}, nil }))
	check(err)
	equal(count, 20000)
	var rows strings.Builder
	for number := 0; number < 20000; number++ {
		fmt.Fprintf(&rows, "%d\trow %d\n", number, number)
	}
	var out bytes.Buffer
	_, err = on.PgConn().CopyTo(ctx, &out, "COPY (SELECT * FROM copied ORDER BY id) TO STDOUT")
	check(err)
	equal(out.String() == rows.String(), true)
	_, err = on.PgConn().CopyFrom(ctx, strings.NewReader("bad\tx\n"+rows.String()), "COPY copied FROM STDIN")
	refused("22P02", err)
	_, err = on.PgConn().CopyFrom(ctx, givesUp{}, "COPY copied FROM STDIN")
	refused("57014", err)
	equal(one[int](on, "SELECT count(*)::int FROM copied"), 20000)
}

type givesUp struct{}

func (givesUp) Read([]byte) (int, error) { return 0, errors.New("the application gave up") }

func aRunningQueryIsCancelled() {
	on, other := connect(), connect()
	defer on.Close(ctx)
	defer other.Close(ctx)
	told := make(chan error, 1)
	go func() {
		until(waits(other, on.PgConn().PID()), "PgSleep")
		told <- on.PgConn().CancelRequest(ctx)
	}()
	refused("57014", fails(on, "SELECT pg_sleep(60)"))
	check(<-told)
	equal(one[int](on, "SELECT 1"), 1)
}

func notifications() {
	listener, sender := connect(), connect()
	defer listener.Close(ctx)
	defer sender.Close(ctx)
	exec(listener, "LISTEN news")
	exec(sender, "SELECT pg_notify('news', 'first')")
	bounded, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	heard, err := listener.WaitForNotification(bounded)
	check(err)
	equal(*heard, pgconn.Notification{PID: sender.PgConn().PID(), Channel: "news", Payload: "first"})
}

func largeValues() {
	on := connect()
	defer on.Close(ctx)
	text := strings.Repeat("ä", large/2)
	equal(one[string](on, "SELECT $1::text", text) == text, true)
	binary := bytes.Repeat([]byte{0, 1, 2, 255}, large/4)
	equal(bytes.Equal(one[[]byte](on, "SELECT $1::bytea", binary), binary), true)
}

func errorsAreWhole() {
	on := connect()
	defer on.Close(ctx)
	exec(on, "CREATE TEMP TABLE strict (id int CONSTRAINT strict_key PRIMARY KEY)")
	exec(on, "INSERT INTO strict VALUES (1)")
	told := refused("23505", fails(on, "INSERT INTO strict VALUES ($1)", 1))
	equal([4]string{told.Severity, told.TableName, told.ConstraintName, told.Detail},
		[4]string{"ERROR", "strict", "strict_key", "Key (id)=(1) already exists."})
	equal(refused("42703", fails(on, "SELECT id, idd FROM strict")).Position, 12)
	told = refused("P0001", fails(on, "DO $$ BEGIN RAISE EXCEPTION 'own' USING DETAIL = 'the detail', HINT = 'the hint'; END $$"))
	equal([3]string{told.Message, told.Detail, told.Hint}, [3]string{"own", "the detail", "the hint"})
}

func notices() {
	var heard []string
	on, err := connectWith(func(settings *pgx.ConnConfig) {
		settings.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
			heard = append(heard, notice.Severity+" "+notice.Message)
		}
	})
	check(err)
	defer on.Close(ctx)
	exec(on, "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$")
	equal(strings.Join(heard, ", "), "NOTICE one, WARNING two")
}

func cursorsFetchInPortions() {
	on := connect()
	defer on.Close(ctx)
	transaction, err := on.Begin(ctx)
	check(err)
	exec(on, "DECLARE steady SCROLL CURSOR FOR SELECT generate_series(1, 1050)")
	sum := 0
	for portion := 100; portion == 100; {
		rows, err := on.Query(ctx, "FETCH 100 FROM steady")
		check(err)
		values, err := pgx.CollectRows(rows, pgx.RowTo[int])
		check(err)
		portion = len(values)
		for _, value := range values {
			sum += value
		}
	}
	equal(sum, 1050*1051/2)
	equal(one[int](on, "FETCH ABSOLUTE 7 FROM steady"), 7)
	check(transaction.Rollback(ctx))
}

func sessionsEndOnBothSides() {
	watcher, ended, killed := connect(), connect(), connect()
	defer watcher.Close(ctx)
	pid := ended.PgConn().PID()
	check(ended.Close(ctx))
	until(func() int { return one[int](watcher, "SELECT count(*)::int FROM pg_stat_activity WHERE pid = $1", pid) }, 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		until(waits(watcher, killed.PgConn().PID()), "PgSleep")
		exec(watcher, "SELECT pg_terminate_backend($1)", killed.PgConn().PID())
	}()
	refused("57P01", fails(killed, "SELECT pg_sleep(60)"))
	<-done
}

func passes(one step) (passed bool) {
	defer func() {
		if wrong := recover(); wrong != nil {
			fmt.Printf("%v\nnot ok %s\n", wrong, one.name)
		}
	}()
	one.run()
	fmt.Printf("ok %s\n", one.name)
	return true
}

func main() {
	steps := []step{
		{"connects_with_its_password", connectsWithItsPassword},
		{"start_up_parameters_arrive", startUpParametersArrive},
		{"prepared_statements", preparedStatements},
		{"batches_and_pipelines", batchesAndPipelines},
		{"a_transaction_with_an_error_in_the_middle", aTransactionWithAnErrorInTheMiddle},
		{"copy_in_and_out", copyInAndOut},
		{"a_running_query_is_cancelled", aRunningQueryIsCancelled},
		{"notifications", notifications},
		{"large_values", largeValues},
		{"errors_are_whole", errorsAreWhole},
		{"notices", notices},
		{"cursors_fetch_in_portions", cursorsFetchInPortions},
		{"sessions_end_on_both_sides", sessionsEndOnBothSides},
	}
	wanted := " " + strings.Join(os.Args[1:], " ") + " "
	for _, one := range steps {
		if len(os.Args) > 1 && !strings.Contains(wanted, " "+one.name+" ") {
			continue
		}
		if !passes(one) {
			os.Exit(1)
		}
	}
}
