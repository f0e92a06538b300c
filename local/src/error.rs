//! What can go wrong on the way to a running node.

use std::io;
use std::path::PathBuf;

use snafu::Snafu;

/// The result of everything in this crate that touches the machine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the local cluster could not be built, started, stopped or removed.
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
    /// A program could not be started.
    #[snafu(display("failed to start {command:?}"))]
    Spawn {
        /// The command line.
        command: String,
        /// The cause.
        source: io::Error,
    },
    /// A program ended with an error.
    #[snafu(display("{command:?} ended with {status}: {output}"))]
    Command {
        /// The command line.
        command: String,
        /// The exit status, as text.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// A program did not end in time.
    #[snafu(display("{command:?} took longer than {seconds} s and was ended: {output}"))]
    CommandTimeout {
        /// The command line.
        command: String,
        /// The limit in seconds.
        seconds: u64,
        /// The end of what it printed.
        output: String,
    },
    /// A key or certificate could not be made.
    #[snafu(display("failed to make the certificate of {name:?}"))]
    Certificate {
        /// Whose certificate.
        name: String,
        /// The cause.
        source: rcgen::Error,
    },
    /// The name of an instance is not usable.
    #[snafu(display(
        "{name:?} cannot name an instance: use 1 to 24 lower-case letters, digits and dashes, \
         beginning with a letter and ending with a letter or digit"
    ))]
    InvalidName {
        /// The refused name.
        name: String,
    },
    /// An environment variable has a value that cannot be used.
    #[snafu(display("{variable} is {value:?}, which is not {expected}"))]
    InvalidVariable {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// Every address block is in use.
    #[snafu(display(
        "all {slots} address blocks for instances are in use: remove one of {owners:?}"
    ))]
    NoSlot {
        /// How many blocks there are.
        slots: u8,
        /// The instances that hold them.
        owners: Vec<String>,
    },
    /// The stored address block of the instance belongs to another one now.
    #[snafu(display(
        "address block {slot} of instance {name:?} is in use by instance {owner:?}: remove one of \
         the two"
    ))]
    SlotTaken {
        /// The block.
        slot: u8,
        /// The instance that wants it.
        name: String,
        /// The instance that has it.
        owner: String,
    },
    /// Another process works on the same thing.
    #[snafu(display(
        "another process has held {} for more than {seconds} s: wait for it or end it", path.display()
    ))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// A process of the cluster ended by itself.
    #[snafu(display("{name} ended; the end of {} says:\n{tail}", log.display()))]
    Died {
        /// The process.
        name: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A process could not be ended.
    #[snafu(display("failed to end {what}: still running after KILL"))]
    Unstoppable {
        /// What still runs.
        what: String,
    },
    /// Something did not become ready in time.
    #[snafu(display("{what} was not ready after {seconds} s: {hint}"))]
    NotReady {
        /// What was waited for.
        what: String,
        /// The limit in seconds.
        seconds: u64,
        /// What is known, and where to look.
        hint: String,
    },
    /// A stored or received document could not be understood.
    #[snafu(display("failed to understand {what}"))]
    Decode {
        /// The document.
        what: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// A Go module file lacks the version that names the cache directory.
    #[snafu(display("{} requires no version of {module:?}", path.display()))]
    NoVersion {
        /// The go.mod file.
        path: PathBuf,
        /// The module whose version is missing.
        module: &'static str,
    },
    /// Sources of ours, of which a program is built, could not be read.
    #[snafu(display("failed to read what a program is built from"))]
    Sources {
        /// The cause.
        #[snafu(source(from(crate::images::Error, Box::new)))]
        source: Box<crate::images::Error>,
    },
    /// A program of the cluster has not been built.
    #[snafu(display("{} does not exist: build the third-party programs first", path.display()))]
    NotBuilt {
        /// Where it should be.
        path: PathBuf,
    },
    /// An image that the cluster itself needs has not been built.
    #[snafu(display(
        "the image {image} is neither in the cluster nor in {}: build the images first",
        archive.display()
    ))]
    NoImage {
        /// The image.
        image: String,
        /// The archive that should hold it.
        archive: PathBuf,
    },
    /// A file is no image archive.
    #[snafu(display("{} is neither an OCI nor a Docker image archive", path.display()))]
    NotAnArchive {
        /// The file.
        path: PathBuf,
    },
    /// The machine has no usable cgroup hierarchy.
    #[snafu(display("no cgroup hierarchy with the controllers {missing:?} is mounted"))]
    NoCgroups {
        /// What is missing.
        missing: Vec<String>,
    },
    /// A directory is not removed because something is mounted in it.
    #[snafu(display("{} is still mounted, so its directory is not removed", path.display()))]
    StillMounted {
        /// The mount point.
        path: PathBuf,
    },
    /// A template still holds a placeholder.
    #[snafu(display("template {template} has no value for {placeholder:?}"))]
    Template {
        /// The template.
        template: &'static str,
        /// The placeholder.
        placeholder: String,
    },
}

/// The error and its causes in one line, each cause once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
