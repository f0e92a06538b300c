//! Documents to chunks to vectors.
