//! Keys of labels and annotations, which a schema cannot bound and the API server checks.

use super::Invalid;

/// Longest name of a label without its prefix, and longest prefix.
const MAX_NAME: usize = 63;
const MAX_PREFIX: usize = 253;

/// Refuses the keys of a field that no label or annotation can have.
pub(super) fn check_keys<'a>(
    field: &str,
    keys: impl Iterator<Item = &'a String>,
    faults: &mut Vec<Invalid>,
) {
    for key in keys.filter(|key| !is_qualified_name(key)) {
        let message = "this is no name of a label or annotation; write for example \
                       kubernetes.io/metadata.name";
        faults.push(Invalid::spec(format!("{field}[{key}]"), message));
    }
}

/// Whether a text can be the key of a label or an annotation: a name, after an optional DNS
/// subdomain and a slash.
pub(super) fn is_qualified_name(key: &str) -> bool {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_part = |text: &str, allowed: fn(&u8) -> bool| {
        let bytes = text.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        ends.iter()
            .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
            && bytes.iter().all(allowed)
    };
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let in_label = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    let prefix_is_good = prefix.is_none_or(|prefix| {
        prefix.len() <= MAX_PREFIX && prefix.split('.').all(|label| is_part(label, in_label))
    });
    prefix_is_good && name.len() <= MAX_NAME && is_part(name, in_name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("team", true)]
    #[case("example.com/Team_1.x", true)]
    #[case("", false)]
    #[case("-a", false)]
    #[case("a b", false)]
    #[case("Example.com/a", false)]
    #[case("example..com/a", false)]
    #[case("/a", false)]
    #[case("a/b/c", false)]
    #[case(
        "a234567890123456789012345678901234567890123456789012345678901234",
        false
    )]
    #[case("kubernetes.io/metadata.name", true)]
    #[case("nginx.ingress.kubernetes.io/proxy-body-size", true)]
    #[case("A_b.c-1", true)]
    #[case("/name", false)]
    #[case("a/", false)]
    #[case("Example.com/x", false)]
    fn tells_names_of_labels(#[case] key: &str, #[case] expected: bool) {
        assert_eq!(is_qualified_name(key), expected, "{key}");
    }
}
