"""The HTTP interface of ClickHouse in front of the engine in process."""
