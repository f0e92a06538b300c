//! Compiles the protobuf definitions with a pure-Rust compiler, so that no `protoc` is needed, and
//! lists the methods of their services.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["common", "orchestrator", "agents", "rag"]
        .map(|name| format!("proto/lotoai/v1/{name}.proto"));
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(files, ["proto"])?;
    let mut methods = Vec::new();
    for file in &descriptors.file {
        for service in &file.service {
            let named = service.method.iter();
            methods.extend(named.map(|method| {
                let (package, service) = (file.package(), service.name());
                format!("/{package}.{service}/{}", method.name())
            }));
        }
    }
    let list = std::path::Path::new(&std::env::var("OUT_DIR")?).join("methods.rs");
    std::fs::write(list, format!("&{methods:?}"))?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
