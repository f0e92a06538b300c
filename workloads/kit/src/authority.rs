//! Certificate authorities, each a file of one or more certificates. The authority of a store or an
//! identity provider is trusted beside the well-known ones, because the server may be anybody's;
//! our own services are known by the platform's authority alone.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder};
use snafu::{ResultExt, Snafu, ensure};

/// Why an authority cannot be trusted.
#[derive(Debug, Snafu)]
pub enum AuthorityError {
    /// The file cannot be read.
    #[snafu(display("failed to read the certificate authority in {path:?}"))]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A certificate in the file is damaged.
    #[snafu(display("failed to understand the certificate authority in {path:?}"))]
    Parse {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: reqwest::Error,
    },
    /// The file holds something else.
    #[snafu(display(
        "{path:?} holds no certificate; it must hold PEM, beginning with -----BEGIN CERTIFICATE-----"
    ))]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// The certificates of a file, as PEM that was checked.
///
/// # Errors
/// The file cannot be read or holds no certificates.
pub fn read(path: &Path) -> Result<String, AuthorityError> {
    open(path).map(|(text, _)| text)
}

/// An HTTP client that trusts the authority of a file, if there is one, beside the well-known.
///
/// # Errors
/// The file cannot be read or holds no certificates.
pub fn trust(builder: ClientBuilder, file: Option<&Path>) -> Result<ClientBuilder, AuthorityError> {
    let Some(path) = file else {
        return Ok(builder);
    };
    Ok(builder.tls_certs_merge(open(path)?.1))
}

/// An HTTP client that trusts the authority of a file and nobody else.
///
/// # Errors
/// The file cannot be read or holds no certificates.
pub fn trust_only(builder: ClientBuilder, path: &Path) -> Result<ClientBuilder, AuthorityError> {
    Ok(builder.tls_certs_only(open(path)?.1))
}

/// Whether a server's certificate is at fault for an error: it bears another name, nobody who is
/// trusted vouches for it, or it is not valid now. No waiting mends that.
#[must_use]
pub fn refuses_certificate(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref::<rustls::Error>() {
            return true;
        }
        // The source of such an error is that of the error which it holds.
        let held = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match held {
            Some(held) => {
                let held: &(dyn StdError + 'static) = held;
                Some(held)
            }
            None => error.source(),
        };
    }
    false
}

/// The text of a file, and the certificates in it: one or more.
fn open(path: &Path) -> Result<(String, Vec<Certificate>), AuthorityError> {
    let text = std::fs::read_to_string(path).context(ReadSnafu { path })?;
    let certificates =
        Certificate::from_pem_bundle(text.as_bytes()).context(ParseSnafu { path })?;
    ensure!(!certificates.is_empty(), EmptySnafu { path });
    Ok((text, certificates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_at_fault_however_deep_the_error_lies() {
        let unknown = rustls::CertificateError::UnknownIssuer;
        let refused = rustls::Error::InvalidCertificate(unknown);
        assert!(refuses_certificate(&refused));
        let inner = io::Error::new(io::ErrorKind::InvalidData, refused);
        assert!(refuses_certificate(&io::Error::other(inner)));
        let others: [io::Error; 3] = [
            io::ErrorKind::ConnectionRefused.into(),
            io::Error::other("invalid peer certificate"),
            io::Error::other(rustls::Error::General("no".to_owned())),
        ];
        for other in others {
            assert!(!refuses_certificate(&other), "{other}");
        }
    }

    #[test]
    fn without_a_file_nothing_changes() {
        assert!(trust(reqwest::Client::builder(), None).is_ok());
    }

    #[test]
    fn a_file_that_is_missing_or_holds_no_certificate_is_an_error_that_names_it() {
        let missing = Path::new("/nowhere/ca.crt");
        let error = read(missing).unwrap_err().to_string();
        assert!(error.contains("/nowhere/ca.crt"), "{error}");
        let path = std::env::temp_dir().join(format!("lotoai-kit-{}.crt", std::process::id()));
        std::fs::write(&path, "no certificate").unwrap();
        let error = trust(reqwest::Client::builder(), Some(&path)).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(error.to_string().contains("BEGIN CERTIFICATE"), "{error}");
    }
}
