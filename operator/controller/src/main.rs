//! `lotoai-operator`: see the library of the same name.

fn main() -> std::process::ExitCode {
    lotoai_operator::main()
}
