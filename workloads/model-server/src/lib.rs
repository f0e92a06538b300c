//! Embeddings and a small instruct model on CPU.
