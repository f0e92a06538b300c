//! Text to chunks: pieces of a bounded number of characters that begin and end where Markdown does.

use snafu::Snafu;
use text_splitter::{ChunkConfig, MarkdownSplitter};

use super::headings::headings;

/// Characters of a heading that are kept: one line says what a piece is about.
const MAX_HEADING: usize = 200;
/// Bytes of one text that the embedding model takes. It reads about 1 KiB of them.
const MAX_EMBEDDED_BYTES: usize = 8 * 1024;

/// Bytes of text that are split at once. The splitter looks at all that is left of it for each chunk,
/// so that it takes 40 times as long for 6 times as much: minutes for what makes 5000 chunks.
const MAX_SECTION_BYTES: usize = 128 * 1024;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Position in the document, from 0.
    pub index: u32,
    /// The nearest heading at or above the piece; empty when there is none.
    pub heading: String,
    /// The piece itself.
    pub text: String,
}

impl Chunk {
    /// What is embedded: a piece says more about its subject together with its heading. It is cut
    /// where the model would refuse it.
    #[must_use]
    pub fn embedding_text(&self) -> String {
        let mut text = if self.heading.is_empty() || self.text.contains(&self.heading) {
            self.text.clone()
        } else {
            format!("{}\n{}", self.heading, self.text)
        };
        text.truncate(text.floor_char_boundary(MAX_EMBEDDED_BYTES));
        text
    }
}

/// The sizes do not fit together.
#[derive(Debug, Snafu)]
#[snafu(display(
    "failed to use CHUNK_OVERLAP_CHARACTERS={overlap} with CHUNK_MAX_CHARACTERS={max}; \
     the overlap may be at most half of a chunk"
))]
pub struct SizeError {
    max: usize,
    overlap: usize,
}

/// Splits text into chunks.
#[derive(Debug)]
pub struct Chunker {
    max: usize,
    splitter: MarkdownSplitter<text_splitter::Characters>,
}

impl Chunker {
    /// Chunks of at most `max` characters, neighbours sharing up to `overlap` of them.
    ///
    /// # Errors
    /// The overlap is more than half a chunk.
    pub fn new(max: usize, overlap: usize) -> Result<Self, SizeError> {
        if overlap * 2 > max {
            return Err(SizeError { max, overlap });
        }
        let config = ChunkConfig::new(max)
            .with_overlap(overlap)
            .map_err(|_| SizeError { max, overlap })?;
        Ok(Self {
            max,
            splitter: MarkdownSplitter::new(config),
        })
    }

    /// The chunks of a text, in order; `None` when there are more than `limit`.
    #[must_use]
    pub fn chunk(&self, text: &str, limit: usize) -> Option<Vec<Chunk>> {
        // A chunk holds no more than that, so most texts that make too many need not be split.
        let characters = text.chars().filter(|c| !c.is_whitespace()).count();
        if characters > limit.saturating_mul(self.max) {
            return None;
        }
        let headings = headings(text);
        let mut chunks = Vec::new();
        for (start, section) in sections(text, &headings, MAX_SECTION_BYTES) {
            for (offset, piece) in self.splitter.chunk_indices(section) {
                if chunks.len() == limit {
                    return None;
                }
                chunks.push(Chunk {
                    index: u32::try_from(chunks.len()).ok()?,
                    heading: heading_at(&headings, start + offset),
                    text: piece.to_owned(),
                });
            }
        }
        Some(chunks)
    }
}

/// Cuts a text into sections of at most `max` bytes, at least 4, with their offsets: each ends before
/// the last heading in its second half, or else behind a paragraph, a line, a word, where there is one.
fn sections<'a>(
    text: &'a str,
    headings: &[(usize, &str)],
    max: usize,
) -> impl Iterator<Item = (usize, &'a str)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let window = &rest[..rest.floor_char_boundary(max)];
        let end = if window.len() == rest.len() {
            rest.len()
        } else {
            let above = headings.partition_point(|(offset, _)| *offset <= start + window.len());
            let heading = || {
                headings[..above]
                    .last()
                    .map(|(offset, _)| offset.saturating_sub(start))
            };
            let behind = |what: &str| window.rfind(what).map(|at| at + what.len());
            let half = |end: &usize| *end > window.len() / 2;
            heading()
                .filter(half)
                .or_else(|| behind("\n\n").filter(half))
                .or_else(|| behind("\n").filter(half))
                .or_else(|| behind(" ").filter(half))
                .unwrap_or(window.len())
        };
        let section = (start, &rest[..end]);
        start += end;
        Some(section)
    })
}

fn heading_at(headings: &[(usize, &str)], offset: usize) -> String {
    let above = headings.partition_point(|(start, _)| *start <= offset);
    above
        .checked_sub(1)
        .and_then(|i| headings.get(i))
        .map(|(_, title)| title.chars().take(MAX_HEADING).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const GUIDE: &str = "# Guide\n\nFirst words.\n\n## Install\n\nRun it twice.\n\n```sh\n# no heading\n```\n\n\
                         ## Remove\n\nDelete the resource.\n";

    #[test]
    fn a_chunk_knows_its_heading() {
        let chunks = Chunker::new(40, 0).unwrap().chunk(GUIDE, 100).unwrap();
        let of = |needle: &str| {
            chunks
                .iter()
                .find(|chunk| chunk.text.contains(needle))
                .unwrap()
        };
        assert_eq!(of("Run it twice").heading, "Install");
        assert_eq!(of("Delete the resource").heading, "Remove");
        assert!(chunks.iter().all(|chunk| chunk.heading != "no heading"));
        let indexes: Vec<u32> = chunks.iter().map(|chunk| chunk.index).collect();
        assert_eq!(indexes, (0..indexes.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn a_heading_is_embedded_once() {
        let chunk = Chunk {
            index: 0,
            heading: "Remove".into(),
            text: "Delete it.".into(),
        };
        assert_eq!(chunk.embedding_text(), "Remove\nDelete it.");
        let chunk = Chunk {
            index: 0,
            heading: "Remove".into(),
            text: "# Remove\nDelete it.".into(),
        };
        assert_eq!(chunk.embedding_text(), "# Remove\nDelete it.");
    }

    #[test]
    fn a_long_heading_is_cut() {
        let text = format!("# {}\n\nwords", "ñ".repeat(5_000));
        let chunks = Chunker::new(100, 0).unwrap().chunk(&text, 1_000).unwrap();
        assert_eq!(chunks.last().unwrap().heading, "ñ".repeat(MAX_HEADING));
    }

    #[test]
    fn what_is_embedded_is_cut_between_characters() {
        let chunk = Chunk {
            index: 0,
            heading: "año".into(),
            text: "日本".repeat(2_000),
        };
        let text = chunk.embedding_text();
        assert!(text.len() <= MAX_EMBEDDED_BYTES && text.len() > MAX_EMBEDDED_BYTES - 4);
        assert!(text.starts_with("año\n日本日本") && text.ends_with(['日', '本']));
    }

    #[test]
    fn a_text_of_many_sections_is_split_as_one() {
        let paragraph = format!("{}end.\n\n", "word ".repeat(17));
        let part = format!("# Part\n\n{}", paragraph.repeat(30));
        let text = format!("{}# Last\n\nDone.", part.repeat(60));
        assert!(text.len() > MAX_SECTION_BYTES);
        let chunks = Chunker::new(100, 0).unwrap().chunk(&text, 5_000).unwrap();
        let paragraphs = chunks.iter().filter(|chunk| chunk.text.ends_with("end."));
        assert_eq!(paragraphs.count(), 60 * 30);
        assert!(chunks.iter().zip(0..).all(|(chunk, i)| chunk.index == i));
        let last = chunks.last().unwrap();
        assert_eq!(
            (last.heading.as_str(), last.text.as_str()),
            ("Last", "# Last\n\nDone.")
        );
    }

    #[rstest]
    #[case::heading("one\n\ntwo\n# two\nthree\n\nfour\n", &["one\n\ntwo\n", "# two\nthree\n\n", "four\n"])]
    #[case::paragraph("one\n\ntwo\n\nthree\nfour\n", &["one\n\ntwo\n\n", "three\nfour\n"])]
    #[case::line("one\ntwo three\nfour\n", &["one\ntwo three\n", "four\n"])]
    #[case::word("one two three four\n", &["one two three ", "four\n"])]
    #[case::character("ñññññññññ", &["ñññññññ", "ññ"])]
    #[case::short("one\n# two\n", &["one\n# two\n"])]
    fn a_section_ends_where_the_text_does(#[case] text: &str, #[case] expected: &[&str]) {
        let found: Vec<_> = sections(text, &headings(text), 15).collect();
        let texts: Vec<&str> = found.iter().map(|(_, section)| *section).collect();
        assert_eq!(texts, expected);
        assert!(
            found
                .iter()
                .all(|(start, section)| text[*start..].starts_with(section))
        );
    }

    #[test]
    fn what_makes_too_many_chunks_is_not_split_to_the_end() {
        let chunker = Chunker::new(100, 0).unwrap();
        // Quadratic in all of it, this would take hours.
        let log = "{\"level\":\"info\",\"status\":200}\n".repeat(1_000_000);
        assert_eq!(chunker.chunk(&log, 10), None);
        // So few characters could make fewer chunks.
        let words = format!("{}\n\n", "w".repeat(60)).repeat(11);
        assert_eq!(chunker.chunk(&words, 10), None);
        assert_eq!(
            chunker.chunk(&words, 11).map(|chunks| chunks.len()),
            Some(11)
        );
    }

    #[rstest]
    #[case(100, 51)]
    #[case(100, 100)]
    fn an_overlap_of_more_than_half_a_chunk_is_refused(#[case] max: usize, #[case] overlap: usize) {
        let error = Chunker::new(max, overlap).unwrap_err().to_string();
        assert!(error.contains("CHUNK_OVERLAP_CHARACTERS"), "{error}");
    }

    proptest! {
        #[test]
        fn chunks_are_bounded_and_lose_nothing(text in "[a-zñé😀 #\n.]{0,800}") {
            let chunks = Chunker::new(60, 0).unwrap().chunk(&text, 1_000).unwrap();
            let squeeze = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let joined: String = chunks.iter().map(|chunk| squeeze(&chunk.text)).collect();
            prop_assert_eq!(joined, squeeze(&text));
            for chunk in chunks {
                prop_assert!(chunk.text.chars().count() <= 60);
            }
        }
    }
}
