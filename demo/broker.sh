# shellcheck shell=bash disable=SC2154 # what is shared is set in script/demo
# Kafka: librdkafka's mock cluster in a process of ours, or the real broker on one node.

start_mock_kafka() {
    # The mock cluster can't be asked to create topics; it prints where it listens.
    start kafka "$bin/crossfade-mock-kafka" --topic crossfade.app.changes:1 --topic crossfade.app.deadletters:1 \
        --topic crossfade.app_back.changes:1 --topic crossfade.app_back.deadletters:1
    wait_for 10 "the in-memory Kafka" grep -q ':[0-9]' "$work/logs/kafka.log"
    kafka_port=$(sed -n 's/.*:\([0-9]*\).*/\1/p' "$work/logs/kafka.log" | head -n 1)
}

start_real_kafka() {
    local libs=$root/build/kafka/libs
    [[ -d $libs ]] || die "no Kafka in $libs: script/bootstrap --kafka brings it"
    local controller_port
    free_port kafka_port
    free_port controller_port
    mkdir -p "$work/kafka"
    cat >"$work/kafka/server.properties" <<-PROPERTIES
	process.roles=broker,controller
	node.id=1
	controller.quorum.voters=1@127.0.0.1:$controller_port
	listeners=PLAINTEXT://127.0.0.1:$kafka_port,CONTROLLER://127.0.0.1:$controller_port
	advertised.listeners=PLAINTEXT://127.0.0.1:$kafka_port
	controller.listener.names=CONTROLLER
	listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
	log.dirs=$work/kafka/data
	offsets.topic.replication.factor=1
	transaction.state.log.replication.factor=1
	transaction.state.log.min.isr=1
	auto.create.topics.enable=false
	PROPERTIES
    # The cluster id is any UUID in base64.
    java -cp "$libs/*" kafka.tools.StorageTool format --cluster-id Y3Jvc3NmYWRlLWRlbW8tMQ \
        --config "$work/kafka/server.properties" >"$work/logs/kafka.log" 2>&1
    start kafka java -Xmx384m -cp "$libs/*" kafka.Kafka "$work/kafka/server.properties"
}

kafka_listens() { (exec 3<>"/dev/tcp/127.0.0.1/$kafka_port") 2>/dev/null; }

start_kafka() {
    if [[ -n $real_kafka ]]; then start_real_kafka; else start_mock_kafka; fi
    wait_for 60 "Kafka" kafka_listens
}
