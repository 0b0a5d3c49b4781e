//go:build tools

// Package tools names the Consul agent, so that go.mod and go.sum pin all it is built from.
package tools

import _ "github.com/hashicorp/consul"
