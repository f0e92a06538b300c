//! Starts the RAG server.

fn main() -> std::process::ExitCode {
    lotoai_kit::main("rag-server", lotoai_rag_server::run)
}
