"""Debezium beside us: its source for PostgreSQL and its JDBC sink, in one worker of Kafka Connect, through a Kafka broker.

Tuned as far as its documentation says: large batches and queues, UNNEST inserts and the reduction buffer in the sink, lz4 and
a short linger in the producer, records flattened to the new row at the source (which halves what JSON has to carry), one
partition, so that the order is kept as it is by the others. The worker stays up between measurements, so that its code
stays compiled; its connectors are taken away and made again."""

import json
import urllib.error
import urllib.request

from servers import ROOT, free_port, until

WORKER = """
bootstrap.servers=127.0.0.1:{kafka}
listeners=http://127.0.0.1:{rest}
offset.storage.file.filename={folder}/connect.offsets
offset.flush.interval.ms=1000
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
connector.client.config.override.policy=All
topic.creation.enable=true
plugin.discovery=service_load
"""
LOGGING = """
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c: %m%n
"""


def source(legacy, tables):
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "tasks.max": "1",
        "database.hostname": "127.0.0.1", "database.port": str(legacy.port), "database.user": "crossfade",
        "database.password": "unused", "database.dbname": "app", "topic.prefix": "debezium", "plugin.name": "pgoutput",
        "slot.name": "debezium", "publication.name": "debezium", "publication.autocreate.mode": "disabled",
        "snapshot.mode": "no_data", "table.include.list": ",".join(f"public.{table}" for table in tables),
        "max.batch.size": "8192", "max.queue.size": "32768", "poll.interval.ms": "5", "tombstones.on.delete": "false",
        "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1",
        "transforms": "unwrap,route", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
        "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.route.regex": r"debezium\.public\.(.*)", "transforms.route.replacement": "$1",
        "producer.override.linger.ms": "2", "producer.override.batch.size": "262144",
        "producer.override.compression.type": "lz4", "producer.override.buffer.memory": "67108864",
    }


def sink(modern, database, tables):
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": "1", "topics": ",".join(tables),
        "connection.url": f"jdbc:postgresql://127.0.0.1:{modern.port}/{database}?reWriteBatchedInserts=true",
        "connection.username": "crossfade", "connection.password": "unused", "insert.mode": "upsert",
        "primary.key.mode": "record_key", "schema.evolution": "none", "collection.name.format": "${topic}",
        "dialect.postgres.unnest.insert.enabled": "true", "use.reduction.buffer": "true", "batch.size": "5000",
        "consumer.override.max.poll.records": "5000", "consumer.override.fetch.max.bytes": "52428800",
        "consumer.override.max.partition.fetch.bytes": "52428800",
    }


class Debezium:
    name, database = "Debezium", "debezium"

    def __init__(self, servers, legacy, modern, kafka, tables):
        self.connectors = {"source": source(legacy, tables), "sink": sink(modern, self.database, tables)}
        legacy.sql(f"CREATE PUBLICATION debezium FOR TABLE {', '.join(tables)}")
        legacy.sql("SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')")
        self.legacy, self.rest = legacy, free_port()
        worker = servers.write("connect.properties", WORKER.format(kafka=kafka, rest=self.rest, folder=servers.folder))
        logging = servers.write("connect.log4j.properties", LOGGING)
        self.worker = servers.start("connect", "java", "-Xms1g", "-Xmx1g", f"-Dlog4j.configuration=file:{logging}", "-cp",
                                    f"{ROOT}/build/debezium/libs/*", "org.apache.kafka.connect.cli.ConnectStandalone", worker)
        self.running = [self.worker]
        until("Kafka Connect", lambda: self.worker.check() or self.ask("GET", "/connectors") is not None, 90)
        # Its code is loaded before anything is measured. And a source that has seen no row yet knows no place in the WAL: it would
        # leave out what is written while it is away.
        self.start()
        for table in tables:
            row = (f"INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, jsonb_object_agg(column_name, CASE data_type"
                   " WHEN 'boolean' THEN to_jsonb(false) WHEN 'timestamp with time zone' THEN to_jsonb(now()) ELSE '1' END))).*"
                   f" FROM information_schema.columns WHERE table_name = '{table}'")
            legacy.sql(row)
            legacy.sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1)")
            until(f"Debezium's first row of {table}", lambda: self.worker.check() or
                  modern.sql(f"SELECT count(*) FROM {table}", self.database) == "1", 60)
        self.stop()

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as refused:
            if refused.code in (404, 409):
                return None
            raise SystemExit(f"Kafka Connect: {method} {path}: {refused.read().decode()}") from refused
        except OSError:
            return None

    def runs(self):
        for name in self.connectors:
            status = self.ask("GET", f"/connectors/{name}/status")
            if not status:
                return False
            for part in (status["connector"], *status["tasks"]):
                if part["state"] == "FAILED":
                    raise SystemExit(f"Debezium's {name}: {part['trace']}")
                if part["state"] != "RUNNING":
                    return False
            if not status["tasks"]:
                return False
        return True

    # Where it stands it knows by itself: offsets in the worker's file and in Kafka. Resuming stopped connectors is a deadlock
    # in this worker (4.1.1, standalone).
    def start(self):
        for name, settings in self.connectors.items():
            self.ask("PUT", f"/connectors/{name}/config", settings)
        until("Debezium to run", lambda: self.worker.check() or self.runs(), 60)

    def stop(self):
        for name in self.connectors:
            self.ask("DELETE", f"/connectors/{name}")
        until("Debezium's slot to be free", lambda: self.legacy.sql(
            "SELECT active FROM pg_replication_slots WHERE slot_name = 'debezium'") == "f")
