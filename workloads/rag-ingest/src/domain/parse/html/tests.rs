use rstest::rstest;

use super::*;

/// Limits that a test passes at once.
const SMALL: Limits = Limits {
    parts: 20_000,
    markdown_bytes: 64 * 1024,
    ..LIMITS
};

fn numbered(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

/// Elements that the parser makes again in each paragraph. It keeps three of a kind, so no two are.
fn going_on(count: usize) -> String {
    format!("<p>{}", numbered(count, |i| format!("<b a={i}>")))
}

/// Parts that were made of the page, and why it was refused.
fn made(page: &str, limits: Limits) -> (usize, Option<ParseError>) {
    let parser = tree::Parser::new(limits);
    let error = parser.read(page).err();
    (parser.parts(), error)
}

#[rstest]
#[case::in_each_paragraph(going_on(480) + &"<p>x".repeat(5_000))]
#[case::with_their_attributes(
    format!("<p><b {}>", numbered(1_000, |i| format!("a{i} "))) + &"<p>x".repeat(5_000)
)]
#[case::in_front_of_a_table(format!("<table>{}", going_on(400)) + &"<p>x".repeat(5_000))]
#[case::in_a_template(format!("<template>{}", going_on(400)) + &"<p>x".repeat(5_000))]
#[case::comments("<!>".repeat(30_000))]
#[case::elements("<br>".repeat(30_000))]
#[case::texts("x<br>".repeat(15_000))]
#[case::text_in_a_table(format!("<table>{}", "x<tr>".repeat(15_000)))]
fn what_asks_for_too_many_parts_is_refused_before_they_are_made(#[case] page: String) {
    let (parts, error) = made(&page, SMALL);
    let limit = SMALL.parts;
    assert_eq!(error, Some(ParseError::TooManyParts { limit }));
    // What goes on behind the last tag is at most as much as the tree is deep.
    assert!(parts > limit && parts <= limit + 2 * MAX_DEPTH, "{parts}");
}

#[test]
fn as_many_parts_as_the_limit_are_made() {
    // Three elements are there without a tag.
    let page = "<br>".repeat(SMALL.parts - 3);
    assert_eq!(made(&page, SMALL), (SMALL.parts, None));
    let (parts, error) = made(&(page + "<br>"), SMALL);
    assert_eq!(parts, SMALL.parts + 1);
    assert!(error.is_some());
}

#[test]
fn the_attributes_of_a_tag_are_parts() {
    let page = format!("<p {}><p>", numbered(SMALL.parts, |i| format!("a{i} ")));
    let (parts, error) = made(&page, SMALL);
    // The tag was read as a whole; the next one makes nothing.
    assert_eq!(parts, SMALL.parts + 4);
    assert!(error.is_some());
}

#[test]
fn after_a_refusal_nothing_more_is_made() {
    let page = "<br>".repeat(SMALL.parts);
    let (parts, _) = made(&page, SMALL);
    // The same piece goes on.
    assert_eq!(made(&(page + "<p><b>x<p>y"), SMALL).0, parts);
}

#[test]
fn a_page_of_kilobytes_that_asks_for_millions_of_elements_is_refused() {
    let page = going_on(480) + "x" + &"<p>x".repeat(10_000);
    assert!(page.len() < 50_000);
    let error = to_markdown(&page).unwrap_err();
    let limit = LIMITS.parts;
    assert_eq!(error, ParseError::TooManyParts { limit });
    assert_eq!(error.code(), "bad_html");
    let message = error.to_string();
    assert!(
        message.contains("2000000") && message.contains("split it"),
        "{message}"
    );
    // The control: they go on in a few paragraphs.
    let page = going_on(480) + "x" + &"<p>x".repeat(10);
    assert_eq!(to_markdown(&page).unwrap().matches('x').count(), 11);
}

#[test]
fn what_a_second_body_says_costs_nothing() {
    let page = "<body>x".to_owned() + &numbered(5_000, |i| format!("<body a{i}=1>"));
    let (parts, error) = made(&page, SMALL);
    assert_eq!((parts, error), (4, None));
}

#[rstest]
#[case::quotes("<blockquote>".repeat(480) + &"x<br>".repeat(1_000))]
#[case::items("<ul><li>".repeat(200) + &"x<br>".repeat(1_000))]
#[case::numbered_items("<ol start=2000000000><li>".repeat(200) + &"x<br>".repeat(1_000))]
#[case::quotes_beside_quotes(
    ("<blockquote>".repeat(20) + &"x<br>".repeat(200) + &"</blockquote>".repeat(19)).repeat(20)
)]
#[case::links(format!("<p><a href='{}'>x", "y".repeat(4_000)) + &"<p>x".repeat(1_000))]
#[case::fences("<pre><code>".repeat(200) + &"`".repeat(1_000))]
fn what_becomes_too_long_is_refused(#[case] page: String) {
    assert!(page.len() < SMALL.markdown_bytes);
    let error = convert(&page, SMALL).unwrap_err();
    let limit = SMALL.markdown_bytes;
    assert_eq!(error, ParseError::TooMuchText { limit });
    assert_eq!(error.code(), "bad_html");
}

#[test]
fn what_is_written_into_one_around_it_counts_once() {
    // Forty levels of four kilobytes are more than the limit, the text of the last is not.
    let page = "<blockquote>".repeat(40) + &"y".repeat(4_000) + &"</blockquote>".repeat(40);
    let text = convert(&page, SMALL).unwrap();
    assert_eq!(text.len(), 4_000 + 2 * 40);
}

#[test]
fn what_takes_too_long_is_refused() {
    let none = Limits {
        time: Duration::ZERO,
        ..LIMITS
    };
    let late = ParseError::TooComplex { seconds: 0 };
    let (parts, error) = made("<p>x", none);
    assert_eq!((parts, error.as_ref()), (0, Some(&late)));
    let tree = tree::parse("<blockquote>x", LIMITS).unwrap();
    assert_eq!(markdown::from_tree(&tree, none), Err(late));
    assert_eq!(markdown::from_tree(&tree, LIMITS).unwrap(), "> x");
}

#[test]
fn a_long_cell_does_not_make_others_longer() {
    let row = |name: &str| format!("<tr><td>{name}<td>y");
    let page = "<table><tr><th>Name<th>Value".to_owned()
        + &row(&"long ".repeat(2_000))
        + &row("x").repeat(2_000);
    let text = convert(&page, SMALL).unwrap();
    assert!(
        text.starts_with("| Name | Value |\n| --- | --- |\n| long long "),
        "{}",
        &text[..100]
    );
    assert_eq!(text.matches("\n| x | y |").count(), 2_000);
    assert!(text.len() < page.len());
}

#[test]
fn captions_within_captions_are_converted_once() {
    // Twice each would be never.
    let page = "<table><thead></thead><caption>".repeat(100) + "deep";
    assert_eq!(convert(&page, SMALL).unwrap(), "deep");
    let page = "<table><tr><th>h</th></tr><caption>".repeat(100) + "deep";
    let text = convert(&page, SMALL).unwrap();
    assert_eq!(
        (text.matches("deep").count(), text.matches("| h |").count()),
        (1, 100)
    );
}

#[rstest]
#[case::with_a_header(
    "<table><caption>Gates</caption><thead><tr><th>Gate<th>Opens at</thead>\
     <tr><th>A|B<td>seven<tr><td><p>C</p><p>D</p><td><b>eight</b></table>",
    "Gates\n\n| Gate | Opens at |\n| --- | --- |\n| A\\|B | seven |\n| C D | **eight** |"
)]
#[case::that_only_places("<table><tr><td>one<td>two</table>", "one\n\ntwo")]
#[case::in_a_cell(
    "<table><tr><th>a<tr><td>x<table><tr><th>y<tr><td>z</table></table>",
    "| a |\n| --- |\n| x y z |"
)]
#[case::without_a_row("<table><caption>c</caption><thead></thead></table>", "c")]
fn tables_become_rows(#[case] page: &str, #[case] text: &str) {
    assert_eq!(convert(page, LIMITS).unwrap(), text);
}

#[test]
fn what_is_alike_is_joined_unless_there_is_too_much_of_it() {
    let text = convert(&"<i>x</i>".repeat(200), LIMITS).unwrap();
    assert_eq!(text, format!("*{}*", "x".repeat(200)));
    // Joining these would move each of them as often as there are some.
    let text = convert(&"<i>x</i>".repeat(100_000), LIMITS).unwrap();
    assert_eq!(text.matches('x').count(), 100_000);
}

/// The control: a long page of all that the limits are about, made by somebody who only wrote much.
#[test]
fn a_long_page_of_bold_parts_lists_quotes_and_tables_is_converted() {
    let section = |i: usize| {
        format!(
            "<h2 id=s{i}>Section {i}</h2>\n<p class=text>The <b>gate</b> of <i>hall {i}</i> opens \
             at <a href='https://example.org/{i}'>seven</a>.</p>\n\
             <ul><li>one<ul><li>two<ol><li>three <b>bold {i}</b></ol></ul></ul>\n\
             <blockquote><p>asked<blockquote><p>answered {i}</blockquote></blockquote>\n\
             <table><tr><th>day<th>hours<tr><td>Monday<td>{i}</table>\n\
             <pre><code class=language-sh>open --gate {i}\n</code></pre>\n"
        )
    };
    let page = numbered(5_000, section);
    let (parts, error) = made(&page, LIMITS);
    assert!(error.is_none() && parts < LIMITS.parts / 4, "{parts}");
    let text = to_markdown(&page).unwrap();
    for i in [0, 2_500, 4_999] {
        for line in [
            format!("## Section {i}\n"),
            format!("The **gate** of *hall {i}* opens at [seven](https://example.org/{i})."),
            format!("*   one\n    *   two\n        1.  three **bold {i}**\n"),
            format!("> asked\n> \n> > answered {i}\n"),
            format!("| day | hours |\n| --- | --- |\n| Monday | {i} |\n"),
            format!("```sh\nopen --gate {i}\n```"),
        ] {
            assert!(text.contains(&line), "{line}");
        }
    }
}
