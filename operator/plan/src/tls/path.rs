//! Certificates in one text: PEM, one after the other.
//!
//! The path of an authority begins with itself; each next one vouches for the one before, and the
//! last is the root. The path of a root is the root alone.

use std::collections::BTreeSet;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a text, without what stands between them. A text without any mark is taken
/// for one as a whole, an empty one for none.
#[must_use]
pub fn blocks(text: &str) -> Vec<&str> {
    if !text.contains(BEGIN) {
        return Some(text)
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect();
    }
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        let from = rest.get(begin..).unwrap_or_default();
        let Some(end) = from.find(END) else { break };
        let (block, after) = from.split_at(end + END.len());
        let line_end = usize::from(after.starts_with('\n'));
        blocks.push(from.get(..block.len() + line_end).unwrap_or(block));
        rest = after;
    }
    blocks
}

/// The root of a path.
#[must_use]
pub fn root(path: &str) -> &str {
    blocks(path).pop().unwrap_or_default()
}

/// What a server sends after its own certificate: the path without its root, which who checks must
/// know anyway.
#[must_use]
pub fn below_root(path: &str) -> String {
    let mut blocks = blocks(path);
    blocks.pop();
    blocks.concat()
}

/// One text of many certificates, each once, where it stands first.
#[must_use]
pub fn joined<'a>(blocks: impl IntoIterator<Item = &'a str>) -> String {
    let mut seen = BTreeSet::new();
    let fresh = blocks.into_iter().filter(|block| seen.insert(*block));
    fresh.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n";
    const B: &str = "-----BEGIN CERTIFICATE-----\nYg==\n-----END CERTIFICATE-----\n";

    #[test]
    fn certificates_are_taken_out_of_what_stands_around_them() {
        let text = format!("subject: a\n{A}\nissuer: b\n{B}");
        assert_eq!(blocks(&text), [A, B]);
        assert_eq!(blocks(A.trim_end()), [A.trim_end()]);
        assert_eq!(blocks("pem"), ["pem"]);
        assert_eq!(blocks(""), Vec::<&str>::new());
        assert_eq!(
            blocks("-----BEGIN CERTIFICATE-----\nYQ=="),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn a_path_ends_with_its_root() {
        let path = [A, B].concat();
        assert_eq!((root(&path), below_root(&path).as_str()), (B, A));
        assert_eq!((root(A), below_root(A).as_str()), (A, ""));
        assert_eq!((root(""), below_root("").as_str()), ("", ""));
    }

    #[test]
    fn each_certificate_is_told_once() {
        assert_eq!(joined([B, A, B, A]), [B, A].concat());
        assert_eq!(joined([A, ""]), A);
    }
}
