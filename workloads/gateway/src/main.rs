//! The gateway process.

fn main() -> std::process::ExitCode {
    lotoai_kit::main("gateway", lotoai_gateway::run)
}
