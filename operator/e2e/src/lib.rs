//! A client of the platform's public API, and the demonstration and end-to-end tests built on it.
//!
//! Nothing here reaches behind the front door: what a test sees is what a user sees.

pub mod client;
pub mod corpus;
pub mod demo;
pub mod error;
pub mod platform;

pub use client::{Answer, PublicClient};
pub use error::{Error, Result};
pub use platform::Platform;
