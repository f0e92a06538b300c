//! Tools over MCP streamable HTTP.
