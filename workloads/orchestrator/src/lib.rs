//! Decides per request between knowledge, an agent role and a tool.
