//go:build tools

// The server of toxiproxy, which the network's faults in tests/chaos go through; script/bootstrap --toxiproxy builds it
// into build/toxiproxy. This file keeps it, and what it needs, in go.mod and go.sum.
package tools

import _ "github.com/Shopify/toxiproxy/v2/cmd/server"
