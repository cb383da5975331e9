module crossfade/toxiproxy

go 1.19

require github.com/Shopify/toxiproxy/v2 v2.8.0

require github.com/beorn7/perks v1.0.1 // indirect

require github.com/cespare/xxhash/v2 v2.2.0 // indirect

require github.com/golang/protobuf v1.5.3 // indirect

require github.com/gorilla/mux v1.8.0 // indirect

require github.com/mattn/go-colorable v0.1.13 // indirect

require github.com/mattn/go-isatty v0.0.19 // indirect

require github.com/matttproud/golang_protobuf_extensions v1.0.4 // indirect

require github.com/prometheus/client_golang v1.17.0 // indirect

require github.com/prometheus/client_model v0.4.1-0.20230718164431-9a2bf3000d16 // indirect

require github.com/prometheus/common v0.44.0 // indirect

require github.com/prometheus/procfs v0.11.1 // indirect

require github.com/rs/xid v1.5.0 // indirect

require github.com/rs/zerolog v1.31.0 // indirect

require golang.org/x/sys v0.13.0 // indirect

require google.golang.org/protobuf v1.31.0 // indirect

require gopkg.in/tomb.v1 v1.0.0-20141024135613-dd632973f1e7 // indirect
