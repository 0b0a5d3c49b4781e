"""One channel per address: in process, unix, TCP or Consul."""
