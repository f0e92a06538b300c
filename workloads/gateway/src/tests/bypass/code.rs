//! Code of others that ran in the process. None can here: there is nothing that runs any.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Ways out of the process, or for other code into it.
const WAYS: [&str; 10] = [
    "process::Command",
    "Command::new",
    "libc::",
    "execve",
    "fork(",
    "posix_spawn",
    "dlopen",
    "Library::new",
    "unsafe ",
    "/bin/sh",
];

/// Engines for scripts and templates, loaders of code and shells, by the names of their crates.
const ENGINES: [&str; 38] = [
    "askama",
    "boa_engine",
    "cel-interpreter",
    "cmd_lib",
    "deno_core",
    "duct",
    "dyon",
    "evalexpr",
    "gluon",
    "handlebars",
    "jaq-core",
    "jsonlogic",
    "koto",
    "libloading",
    "liquid",
    "minijinja",
    "mlua",
    "mozjs",
    "piccolo",
    "pyo3",
    "quick-js",
    "rhai",
    "rlua",
    "rquickjs",
    "rune",
    "rustpython-vm",
    "shell-words",
    "starlark",
    "steel-core",
    "subprocess",
    "tera",
    "tinytemplate",
    "v8",
    "wasm3",
    "wasmer",
    "wasmi",
    "wasmtime",
    "xshell",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The sources of the gateway and of what it shares with others, without their tests.
pub(super) fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let workloads = root().join("workloads");
    let mut directories = ["gateway/src", "kit/src", "contracts/src"]
        .map(|name| workloads.join(name))
        .to_vec();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let is_test = name == "tests" || name == "testing" || name.ends_with("_tests");
            if is_test {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let end = text.find("#[cfg(test)]\nmod tests {");
                let text = text[..end.unwrap_or(text.len())].to_owned();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 100, "{} files", found.len());
    found
}

/// Every crate below one in a lock file, by the names in it.
fn below(lock: &str, name: &str) -> BTreeSet<String> {
    let quoted = |text: &str| text.trim().trim_matches([',', '"']).to_owned();
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let mut lines = package.lines();
        let name = lines.find_map(|line| line.strip_prefix("name = "));
        let dependencies = lines
            .skip_while(|line| *line != "dependencies = [")
            .skip(1)
            .take_while(|line| *line != "]");
        // Of a crate that there are several versions of, the version follows the name.
        let dependencies = dependencies.map(|line| {
            let line = quoted(line);
            line.split(' ').next().unwrap_or_default().to_owned()
        });
        let all = needs.entry(quoted(name.unwrap())).or_default();
        all.extend(dependencies);
    }
    let mut found = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        for needed in needs.get(&name).into_iter().flatten() {
            if found.insert(needed.clone()) {
                open.push(needed.clone());
            }
        }
    }
    found
}

/// No line of ours starts a program or loads code.
#[test]
fn cve_2026_40217_no_source_starts_a_program() {
    let ways = |text: &str| -> Vec<String> {
        let code = text.lines().filter(|line| !line.trim().starts_with("//"));
        let bad = code.filter(|line| WAYS.iter().any(|way| line.contains(way)));
        bad.map(str::to_owned).collect()
    };
    for (file, text) in sources() {
        assert_eq!(ways(&text), Vec::<String>::new(), "{}", file.display());
    }
    // The control: a test of ours starts programs.
    let starts = include_str!("../postgres/process.rs");
    assert!(!ways(starts).is_empty());
}

/// No engine that would run a text of somebody is among what the gateway is built of.
#[test]
fn cve_2026_40217_no_engine_for_code_of_others_is_built_in() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let below_gateway = below(&lock, "gateway");
    assert!(below_gateway.len() > 300, "{}", below_gateway.len());
    for expected in ["axum", "sqlx-postgres", "lotoai-kit", "hyper"] {
        assert!(below_gateway.contains(expected), "the control: {expected}");
    }
    for engine in ENGINES {
        assert!(!below_gateway.contains(engine), "{engine}");
    }
    // The control: one far below is found.
    let planted = lock.replacen(
        "name = \"sqlx-postgres\"\n",
        "name = \"sqlx-postgres\"\ndependencies = [\n \"rhai 1.0.0\",\n]\n",
        1,
    );
    assert!(below(&planted, "gateway").contains("rhai"));
}
