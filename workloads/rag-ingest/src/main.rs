//! The `rag-ingest` binary; everything is in the library.

fn main() -> std::process::ExitCode {
    lotoai_kit::main("rag-ingest", lotoai_rag_ingest::run)
}
