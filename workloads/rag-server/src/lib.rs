//! The only owner of the vector store: search with citations.
