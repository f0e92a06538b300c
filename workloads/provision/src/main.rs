//! `provision <store>`: creates in a store what the platform needs there.

fn main() -> std::process::ExitCode {
    lotoai_kit::job("provision", lotoai_provision::run)
}
