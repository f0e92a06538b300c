//! Pure parts: the declaration of tools, the check of arguments, the building of a request.

mod consent;
pub mod declaration;
pub mod request;
pub mod tool;
