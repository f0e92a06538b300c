//! Creates roles, queues, buckets and clients in the stores, idempotently.
