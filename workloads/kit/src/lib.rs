//! What every LotoAI workload shares: telemetry, configuration, errors, readiness, drain.
