//! The front door: sign-in, public APIs, conversations, documents.
