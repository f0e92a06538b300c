//! Pure parts: the declaration of tools, the check of arguments, the building of a request.

pub mod declaration;
pub mod request;
pub mod tool;
