//! The `analytics` binary; everything is in the library.

fn main() -> std::process::ExitCode {
    lotoai_kit::main("analytics", lotoai_analytics::run)
}
