//! What can go wrong while images are built.

use std::io;
use std::path::PathBuf;

use snafu::Snafu;

/// The result of everything that builds images.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image could not be built.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be read or changed.
    #[snafu(display("failed to {action} {}", path.display()))]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A program that an image needs failed.
    #[snafu(display("failed to {step}"))]
    Step {
        /// What was tried, as a verb with its object.
        step: String,
        /// The cause.
        #[snafu(source(from(crate::error::Error, Box::new)))]
        source: Box<crate::error::Error>,
    },
    /// A program is not installed.
    #[snafu(display("{program:?} is not installed: install the package {package}"))]
    NoProgram {
        /// The program.
        program: &'static str,
        /// The Debian package that holds it.
        package: &'static str,
    },
    /// An image is asked for that is not in the catalogue.
    #[snafu(display("there is no image {name:?}; known are {known:?}"))]
    UnknownImage {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// A file that goes into an image has not been built.
    #[snafu(display("image {image:?} needs {}: {fix}", path.display()))]
    NoInput {
        /// The image.
        image: String,
        /// The missing file.
        path: PathBuf,
        /// How to get it.
        fix: String,
    },
    /// A file of pinned downloads has a line that cannot be read.
    #[snafu(display("{}:{line}: expected {expected}", path.display()))]
    BadPin {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the line has to look like.
        expected: &'static str,
    },
    /// A download is not what was pinned.
    #[snafu(display("{} has SHA-256 {found}, pinned is {pinned}", path.display()))]
    Checksum {
        /// The download, which was removed.
        path: PathBuf,
        /// What it has.
        found: String,
        /// What it must have.
        pinned: String,
    },
    /// Debian does not serve a package.
    #[snafu(display("Debian serves no package {package:?} for image {image:?}"))]
    NoPackage {
        /// The package.
        package: String,
        /// The image that needs it.
        image: String,
    },
}
