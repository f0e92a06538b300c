//! What the format of an answer adds to a question.

use crate::v1::AnswerFormat;

impl AnswerFormat {
    /// Bytes of all text that a model reads of it.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.name.len() + self.description.len() + self.schema_json.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_has_the_bytes_of_its_schema() {
        assert_eq!(AnswerFormat::default().text_bytes(), 0);
        let format = AnswerFormat {
            name: "day".into(),
            description: "A day".into(),
            schema_json: "{}".into(),
            strict: Some(true),
        };
        assert_eq!(format.text_bytes(), 10);
    }
}
