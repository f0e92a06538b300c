//! The certificate that this process serves with, which follows its files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use snafu::ResultExt;

use super::{PairSnafu, ParseSnafu, TlsError, provider, read};
use crate::{Service, runtime};

const CERTIFICATE: &str = "TLS_CERT_FILE";
const KEY: &str = "TLS_KEY_FILE";

/// A certificate with its key. Handshakes take the one that was read last; connections that stand
/// keep theirs.
pub(crate) struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
    /// What the files held when they were last looked at; nothing when they could not be read.
    seen: Mutex<Option<Seen>>,
}

/// Digest of what the two files held.
type Seen = [u8; 32];

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    /// The platform's clients all send the name that they called, but the one certificate of a
    /// process is right for every one of its names: clients check, servers need not choose.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

impl Certificates {
    /// Reads both files.
    pub(super) fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = Files::read(certificate, key)?;
        Ok(Self {
            current: RwLock::new(Arc::new(files.pair(certificate, key)?)),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            seen: Mutex::new(Some(files.digest())),
        })
    }

    /// Looks at the files for as long as the process runs. A pair that cannot be used is logged
    /// once, and the one before goes on being served.
    pub(crate) fn watch(self: Arc<Self>, service: &Service, every: Duration) {
        let shutdown = service.shutdown.clone();
        service.keep_up("certificates", async move {
            let mut looks = tokio::time::interval(every);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    _ = looks.tick() => self.look(),
                }
            }
        });
    }

    /// Takes the pair in the files when it is not the one that was seen last.
    pub(super) fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A few kilobytes of a volume in memory: no reason for another thread.
        let files = match Files::read(&self.certificate, &self.key) {
            Ok(files) => files,
            Err(error) => {
                if seen.take().is_some() {
                    refuse(&error);
                }
                return;
            }
        };
        let digest = files.digest();
        if seen.replace(digest) == Some(digest) {
            return;
        }
        match files.pair(&self.certificate, &self.key) {
            Ok(pair) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                tracing::info!(file = ?self.certificate, "the certificate is read again");
            }
            Err(error) => refuse(&error),
        }
    }

    /// The certificate that is shown now.
    #[cfg(test)]
    pub(super) fn leaf(&self) -> Vec<u8> {
        self.current.read().unwrap().cert[0].to_vec()
    }
}

fn refuse(error: &TlsError) {
    let error = runtime::chain(error);
    tracing::warn!(
        error,
        "the new certificate cannot be used; the one before stays"
    );
}

/// What the two files hold.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(CERTIFICATE, certificate)?,
            key: read(KEY, key)?,
        })
    }

    fn digest(&self) -> Seen {
        let mut digest = Sha256::new();
        digest.update(&self.certificate);
        digest.update(&self.key);
        digest.finalize().into()
    }

    /// The two as a pair that fits.
    fn pair(&self, certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
        let chain = chain(&self.certificate).context(ParseSnafu {
            variable: CERTIFICATE,
            path: certificate,
            label: "CERTIFICATE",
        })?;
        let private = PrivateKeyDer::from_pem_slice(&self.key).context(ParseSnafu {
            variable: KEY,
            path: key,
            label: "PRIVATE KEY",
        })?;
        CertifiedKey::from_der(chain, private, &provider()).context(PairSnafu { certificate, key })
    }
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
    if chain.is_empty() {
        return Err(PemError::NoItemsFound);
    }
    Ok(chain)
}
