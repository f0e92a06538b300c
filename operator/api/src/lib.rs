//! The LotoAI resource: spec, status, names and versions.
