//! Usage events to ClickHouse.
