//! The `mcp-server` binary; everything is in the library.

fn main() -> std::process::ExitCode {
    lotoai_kit::main("mcp-server", lotoai_mcp_server::run)
}
