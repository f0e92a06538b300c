//! Model providers by role: the only pod with provider keys.
