//! Starts the model server.

fn main() -> std::process::ExitCode {
    lotoai_kit::main("model-server", lotoai_model_server::run)
}
