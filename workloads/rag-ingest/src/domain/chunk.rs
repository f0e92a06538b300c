//! Text to chunks: pieces of a bounded number of characters that begin and end where Markdown does.

use snafu::Snafu;
use text_splitter::{ChunkConfig, MarkdownSplitter};

/// Characters of a heading that are kept: one line says what a piece is about.
const MAX_HEADING: usize = 200;
/// Bytes of one text that the embedding model takes. It reads about 1 KiB of them.
const MAX_EMBEDDED_BYTES: usize = 8 * 1024;

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
            splitter: MarkdownSplitter::new(config),
        })
    }

    /// The chunks of a text, in order.
    #[must_use]
    pub fn chunk(&self, text: &str) -> Vec<Chunk> {
        let headings = headings(text);
        let pieces = self.splitter.chunk_indices(text);
        pieces
            .zip(0_u32..)
            .map(|((offset, piece), index)| Chunk {
                index,
                heading: heading_at(&headings, offset),
                text: piece.to_owned(),
            })
            .collect()
    }
}

/// Byte offset and text of every ATX heading that stands outside a code fence.
fn headings(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut offset = 0;
    let mut is_code = false;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            is_code = !is_code;
        }
        let title = trimmed.trim_start_matches('#');
        let level = trimmed.len() - title.len();
        if !is_code && (1..=6).contains(&level) && title.starts_with(' ') {
            found.push((offset, title.trim()));
        }
        offset += line.len();
    }
    found
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
        let chunks = Chunker::new(40, 0).unwrap().chunk(GUIDE);
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
        let chunks = Chunker::new(100, 0).unwrap().chunk(&text);
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
            let chunks = Chunker::new(60, 0).unwrap().chunk(&text);
            let squeeze = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let joined: String = chunks.iter().map(|chunk| squeeze(&chunk.text)).collect();
            prop_assert_eq!(joined, squeeze(&text));
            for chunk in chunks {
                prop_assert!(chunk.text.chars().count() <= 60);
            }
        }
    }
}
