//! Which faults of other products there are tests of.

/// Row of the list of faults, the fault, and what is tested here. A test begins with the fault's
/// name in small letters, with `_` for `-`.
const FAULTS: [(u8, &str, &str); 18] = [
    (1, "CVE-2026-42208", "a key is never part of a statement"),
    (
        3,
        "CVE-2026-48710",
        "host, spelling and bytes of a path open nothing",
    ),
    (5, "CVE-2026-35030", "verdicts are kept by the whole token"),
    (6, "CVE-2026-47101", "a key goes no further than its maker"),
    (
        7,
        "CVE-2026-47102",
        "nothing is set that is not the caller's",
    ),
    (8, "CVE-2026-40217", "no code of others is run"),
    (
        9,
        "CVE-2026-12772",
        "a session ends with its sign-out, and a role with its loss",
    ),
    (10, "CVE-2026-12795", "no function is without its check"),
    (
        13,
        "CVE-2026-45402",
        "what is another's is no part of one's own",
    ),
    (14, "CVE-2026-45398", "a knowledge base is its whole name"),
    (15, "CVE-2026-45671", "who may read may not delete"),
    (
        16,
        "GHSA-57q6-fvp4-pqmm",
        "another header takes no restriction away",
    ),
    (17, "CVE-2026-31950", "a live stream is its asker's alone"),
    (
        20,
        "CVE-2026-41949",
        "lists, citations and exports are their readers'",
    ),
    (
        21,
        "CVE-2026-55255",
        "every form of an id asks for its owner",
    ),
    (
        41,
        "CVE-2026-53576",
        "no path is public by its ends, case or spelling",
    ),
    (42, "CVE-2026-27111", "one rule for every protocol"),
    (43, "CVE-2026-21862", "what is forwarded decides nothing"),
];

const TESTS: [&str; 9] = [
    include_str!("callers.rs"),
    include_str!("code.rs"),
    include_str!("keys.rs"),
    include_str!("paths.rs"),
    include_str!("protocols.rs"),
    include_str!("proxies.rs"),
    include_str!("streams.rs"),
    include_str!("talks.rs"),
    include_str!("things.rs"),
];

/// The names of all tests in these files.
fn tests() -> Vec<String> {
    let named = |text: &'static str| {
        let tests = ["#[tokio::test]\nasync fn ", "#[test]\nfn "]
            .into_iter()
            .flat_map(move |begin| text.split(begin).skip(1));
        tests.filter_map(|test| test.split('(').next().map(str::to_owned))
    };
    TESTS.into_iter().flat_map(named).collect()
}

#[test]
fn every_fault_has_a_test_and_every_test_its_fault() {
    let prefix = |fault: &str| fault.to_lowercase().replace('-', "_") + "_";
    let tests = tests();
    assert!(tests.len() >= FAULTS.len(), "{tests:?}");
    for (row, fault, what) in FAULTS {
        let prefix = prefix(fault);
        let is_there = tests.iter().any(|test| test.starts_with(&prefix));
        assert!(is_there, "row {row}, {fault}: no test that {what}");
    }
    for test in &tests {
        let mut faults = FAULTS.iter();
        let is_listed = faults.any(|(_, fault, _)| test.starts_with(&prefix(fault)));
        assert!(is_listed, "{test} stands for no fault of the list");
    }
}
