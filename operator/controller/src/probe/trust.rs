//! Who vouches for the certificate that an edge shows.
//!
//! No Kubernetes client needed.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Whether a connection failed because nobody who is trusted has signed the server's certificate, be
/// it that the signer has another name, or the name and another key.
pub(super) fn nobody_vouches(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(fault)) =
            error.downcast_ref::<rustls::Error>()
        {
            return matches!(
                fault,
                CertificateError::UnknownIssuer | CertificateError::BadSignature
            );
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

/// Whether these certificates, PEM, are a single one that another has signed: then it is no use to
/// trust it.
pub(super) fn is_alone(roots: &str) -> bool {
    let mut all = CertificateDer::pem_slice_iter(roots.as_bytes());
    let (Some(Ok(first)), None) = (all.next(), all.next()) else {
        return false;
    };
    x509_parser::parse_x509_certificate(&first)
        .is_ok_and(|(_, it)| it.issuer().as_raw() != it.subject().as_raw())
}
