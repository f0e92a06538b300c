//! The `agents` binary; everything is in the library.

fn main() -> std::process::ExitCode {
    lotoai_kit::main("agents", lotoai_agents::run)
}
