// pgx 5 and its pool: statements prepared and kept by the driver, batches, LISTEN. What it is told and says:
// tests/compat/drivers/python/pool.py.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	workers = 2
	size    = 3
	thinks  = 10 * time.Millisecond
	zone    = "Asia/Tokyo"
)

var (
	ctx      = context.Background()
	client   = os.Getenv("POOL_CLIENT")
	tenant   = os.Getenv("POOL_TENANT")
	channel  = os.Getenv("POOL_CHANNEL")
	stopping = make(chan struct{})
)

func say(words ...any) {
	line := strings.ReplaceAll(strings.TrimSuffix(fmt.Sprintln(words...), "\n"), "\n", " ")
	os.Stdout.WriteString(line + "\n")
}

func failed(err error) {
	state := "-"
	var told *pgconn.PgError
	if errors.As(err, &told) {
		state = told.Code
	}
	say("failed", state, err)
}

func check[T comparable](found, expected T, what string) error {
	if found != expected {
		return fmt.Errorf("%s is %v, not %v", what, found, expected)
	}
	return nil
}

// atOnce: the lines, in one flight.
func atOnce(id int64) *pgx.Batch {
	batch := &pgx.Batch{}
	for _, body := range []string{"one", "two"} {
		batch.Queue("INSERT INTO lines (tenant, order_id, body) VALUES ($1, $2, $3)", tenant, id, body)
	}
	return batch
}

func order(on pgx.Tx, worker, number int) error {
	var found, foundZone string
	if err := on.QueryRow(ctx, "SELECT current_setting('app.client'), current_setting('TimeZone')").Scan(&found, &foundZone); err != nil {
		return err
	}
	if err := check(found+" "+foundZone, client+" "+zone, "the session's setting"); err != nil {
		return err
	}
	var taken, id int64
	if err := on.QueryRow(ctx, "SELECT taken FROM stock WHERE tenant = $1 AND item = $2", tenant, number%10).Scan(&taken); err != nil {
		return err
	}
	nested, err := on.Begin(ctx) // a savepoint
	if err != nil {
		return err
	}
	if err := nested.QueryRow(ctx, "INSERT INTO orders (client, tenant, worker, number) VALUES ($1, $2, $3, $4) RETURNING id",
		client, tenant, worker, number).Scan(&id); err != nil {
		return err
	}
	if err := nested.SendBatch(ctx, atOnce(id)).Close(); err != nil {
		return err
	}
	if err := nested.Commit(ctx); err != nil {
		return err
	}
	if _, err := on.Exec(ctx, "UPDATE stock SET taken = taken + 1 WHERE tenant = $1 AND item = $2", tenant, number%10); err != nil {
		return err
	}
	if number > 2 {
		var seen int
		if err := on.QueryRow(ctx, "SELECT count(*) FROM orders WHERE client = $1 AND worker = $2 AND number = $3",
			client, worker, number-2).Scan(&seen); err != nil {
			return err
		}
		if err := check(seen, 1, "what was written before"); err != nil {
			return err
		}
	}
	_, err = on.Exec(ctx, "SELECT pg_notify($1, $2)", channel, fmt.Sprint(worker, " ", number))
	return err
}

func transact(pool *pgxpool.Pool, worker, number int) error {
	if number%2 == 0 {
		_, err := pool.Exec(ctx, "INSERT INTO notes (client, tenant, worker, number) VALUES ($1, $2, $3, $4)", client, tenant, worker, number)
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(on pgx.Tx) error { return order(on, worker, number) })
}

func work(pool *pgxpool.Pool, worker int) {
	for number := 1; ; number++ {
		since := time.Now()
		if err := transact(pool, worker, number); err != nil {
			failed(err)
		} else {
			say("done", worker, number, float64(time.Since(since).Microseconds())/1000)
		}
		select {
		case <-stopping:
			return
		case <-time.After(thinks):
		}
	}
}

func prepare(_ context.Context, on *pgx.Conn) error {
	say("opened")
	_, err := on.Exec(ctx, "SELECT set_config('app.client', $1, false), set_config('TimeZone', $2, false)", client, zone)
	return err
}

func listener(settings *pgx.ConnConfig) (*pgx.Conn, error) {
	on, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return nil, err
	}
	say("opened")
	_, err = on.Exec(ctx, "LISTEN "+channel)
	return on, err
}

func listen(on *pgx.Conn) {
	var err error
	for err == nil {
		var heard *pgconn.Notification
		if heard, err = on.WaitForNotification(ctx); err == nil {
			say("heard", heard.Payload)
		}
	}
	failed(err)
}

func main() {
	settings, err := pgxpool.ParseConfig("")
	if err != nil {
		failed(err)
		os.Exit(1)
	}
	settings.MinConns, settings.MaxConns = size, size
	settings.AfterConnect = prepare
	settings.ConnConfig.RuntimeParams["options"] = os.Getenv("PGOPTIONS")
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		failed(err)
		os.Exit(1)
	}
	on, err := listener(settings.ConnConfig.Copy())
	if err != nil {
		failed(err)
		os.Exit(1)
	}
	go listen(on)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(stopping)
	}()
	var all sync.WaitGroup
	for worker := 0; worker < workers; worker++ {
		all.Add(1)
		go func(worker int) {
			defer all.Done()
			work(pool, worker)
		}(worker)
	}
	all.Wait()
	pool.Close()
}
