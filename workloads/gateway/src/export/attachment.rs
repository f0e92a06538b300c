//! What a file is called that is saved, and never shown.

/// `Content-Disposition` of a file with this name, whatever is in it (RFC 6266). Clients that do not
/// read the name as it is get one of letters, digits, spaces, dots, hyphens and underscores.
pub(super) fn attachment(name: &str) -> String {
    let plain: String = name.chars().map(plain).collect();
    let disposition = format!("attachment; filename=\"{plain}\"");
    if plain == name {
        return disposition;
    }
    let exact: String = name.bytes().map(escaped).collect();
    format!("{disposition}; filename*=UTF-8''{exact}")
}

fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '-' | '_') {
        c
    } else {
        '_'
    }
}

/// As RFC 8187 has it.
fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("plan.txt", "attachment; filename=\"plan.txt\"")]
    #[case("my plan-2_b.md", "attachment; filename=\"my plan-2_b.md\"")]
    #[case(
        "año.md",
        "attachment; filename=\"a_o.md\"; filename*=UTF-8''a%C3%B1o.md"
    )]
    #[case(
        "a\"; filename=\"b.html",
        "attachment; filename=\"a__ filename__b.html\"; \
         filename*=UTF-8''a%22%3B%20filename%3D%22b.html"
    )]
    #[case(
        "100%41\r\nx.txt",
        "attachment; filename=\"100_41__x.txt\"; filename*=UTF-8''100%2541%0D%0Ax.txt"
    )]
    fn a_name_is_a_name_and_nothing_else(#[case] name: &str, #[case] expected: &str) {
        assert_eq!(attachment(name), expected);
    }
}
