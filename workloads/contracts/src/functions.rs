//! What functions of the caller add to a conversation.

use crate::v1::{Functions, Message};

impl Message {
    /// Bytes of all text that a model reads of it: what is said, and the calls it makes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let calls = self.function_calls.iter();
        let calls = calls.map(|call| call.id.len() + call.name.len() + call.arguments_json.len());
        self.content.len() + self.function_call_id.len() + calls.sum::<usize>()
    }

    /// Whether it calls a function of the caller, or says what one gave.
    #[must_use]
    pub fn is_of_functions(&self) -> bool {
        !self.function_calls.is_empty() || !self.function_call_id.is_empty()
    }
}

impl Functions {
    /// Bytes of all text that a model reads of them.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let declared = self.declared.iter();
        declared
            .map(|it| it.name.len() + it.description.len() + it.parameters_json.len())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Function, FunctionCall};

    #[test]
    fn a_call_and_its_result_are_of_functions_and_have_their_bytes() {
        let plain = Message {
            role: "tool".into(),
            content: "noon".into(),
            ..Message::default()
        };
        assert_eq!((plain.text_bytes(), plain.is_of_functions()), (4, false));
        let result = Message {
            function_call_id: "c1".into(),
            ..plain
        };
        assert_eq!((result.text_bytes(), result.is_of_functions()), (6, true));
        let call = FunctionCall {
            id: "c1".into(),
            name: "clock".into(),
            arguments_json: "{}".into(),
        };
        let asking = Message {
            function_calls: vec![call],
            ..Message::default()
        };
        assert_eq!((asking.text_bytes(), asking.is_of_functions()), (9, true));
        let clock = Function {
            name: "clock".into(),
            parameters_json: "{}".into(),
            ..Function::default()
        };
        let functions = Functions {
            declared: vec![clock],
            ..Functions::default()
        };
        assert_eq!(functions.text_bytes(), 7);
    }
}
