//! TLS between the platform's own pods: the certificate that this process serves with, and the
//! authority of the platform's certificates.

mod certificates;
mod listener;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use snafu::{ResultExt, Snafu};
use tokio::net::TcpStream;

pub(crate) use certificates::Certificates;
pub(crate) use listener::TlsListener;
#[cfg(test)]
pub(crate) use listener::acceptor;

/// How often the files of the certificate are looked at.
pub(crate) const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// The files of this process's own TLS.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArgs {
    /// File with the certificate that this process serves with, as PEM, its issuers after it
    #[arg(long, env = "TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,

    /// File with the private key of TLS_CERT_FILE, as PEM
    #[arg(long, env = "TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,

    /// File with the authority of the platform's own certificates, as PEM
    #[arg(long, env = "TLS_CA_FILE")]
    pub tls_ca_file: Option<PathBuf>,
}

impl TlsArgs {
    /// The certificate to serve with; none when none is set.
    pub(crate) fn certificates(&self) -> Result<Option<Arc<Certificates>>, TlsError> {
        match (&self.tls_cert_file, &self.tls_key_file) {
            (Some(certificate), Some(key)) => {
                Certificates::open(certificate, key).map(|opened| Some(Arc::new(opened)))
            }
            _ => Ok(None),
        }
    }
}

/// Why a certificate cannot be served with.
#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub enum TlsError {
    /// A file cannot be read.
    #[snafu(display("failed to read {variable} {path:?}"))]
    Read {
        /// The variable that names the file.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file is no PEM, or holds something else.
    #[snafu(display(
        "failed to understand {variable} {path:?}; it must hold PEM, beginning with -----BEGIN {label}-----"
    ))]
    Parse {
        /// The variable that names the file.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// What must stand there.
        label: &'static str,
        /// The cause.
        source: rustls::pki_types::pem::Error,
    },
    /// The two files are no pair.
    #[snafu(display(
        "TLS_KEY_FILE {key:?} is not the key of the certificate in TLS_CERT_FILE {certificate:?}"
    ))]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
}

/// The one cryptography of the whole workspace.
pub(crate) fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// Sends small pieces at once: a token of an answer must not wait for the next one.
pub(crate) fn no_delay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to set TCP_NODELAY");
    }
}

fn read(variable: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).context(ReadSnafu { variable, path })
}

#[cfg(test)]
mod tests;
