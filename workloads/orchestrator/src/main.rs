//! The `orchestrator` binary; everything is in the library.

fn main() -> std::process::ExitCode {
    lotoai_kit::main("orchestrator", lotoai_orchestrator::run)
}
